package ui

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"bulkhead/engine"
	"bulkhead/engine/logs"
	"bulkhead/ui/duration"
	"bulkhead/ui/internal/hostile"
)

// load is a project with n services and some logs on a screen of w by h, without a terminal.
func load(t testing.TB, n, w, h int) (*Model, *fake) {
	f := shop()
	var all []engine.Service
	for i := range n {
		s := f.snap.Services[i%len(f.snap.Services)]
		s.Name = fmt.Sprintf("svc-%02d", i)
		s.DependsOn = nil
		if i > 0 {
			s.DependsOn = []string{fmt.Sprintf("svc-%02d", i/2)}
		}
		all = append(all, s)
		for j := range 100 {
			f.store.Append(s.Name, 1, 1, logs.Stdout, start.Add(time.Duration(j)*time.Millisecond),
				fmt.Appendf(nil,
					"\x1b[32mINFO\x1b[0m GET /orders/%d 200 %dms user=%d trace=0123456789abcdef", j, i, j*i))
		}
	}
	f.snap.Services = all
	m, err := newModel(t.Context(), Options{Backend: f, Now: f.clock}, make(chan struct{}))
	if err != nil {
		t.Fatal(err)
	}
	m.Update(tea.WindowSizeMsg{Width: w, Height: h})
	return m, f
}

// What is above and below the rows that have room is counted, and no cell is lost to the count: the
// last column ends before it, as it does at the edge of the screen.
func TestCountsOfMoreRowsLeaveTheCellsWhole(t *testing.T) {
	for _, size := range [][2]int{{80, 24}, {120, 40}, {200, 30}} {
		m, _ := load(t, 60, size[0], size[1])
		m.e.focusPane(paneServices)
		m.View()
		m.svc.move(30)
		rows := strings.Split(ansi.Strip(strings.Join(m.svc.render(m.e.f.services), "\n")), "\n")
		all := strings.Join(rows, "\n")
		if !regexp.MustCompile(`↑ \d+ more`).MatchString(all) ||
			!regexp.MustCompile(`↓ \d+ more`).MatchString(all) {
			t.Errorf("%v: what is above and below is not counted:\n%s", size, all)
		}
		for i, row := range rows {
			if width(row) != m.e.f.services.w {
				t.Errorf("%v: row %d is %d wide, want %d", size, i, width(row), m.e.f.services.w)
			}
		}
		counted := rows[len(rows)-1]
		cells, _, _ := strings.Cut(counted, "↓")
		whole := ansi.Strip(m.svc.row(m.svc.rows[m.svc.top+m.svc.h-1],
			m.svc.columns(m.e.f.services.w), m.e.f.services.w))
		if cells = strings.TrimRight(cells, " …"); !strings.HasPrefix(whole, cells) {
			t.Errorf("%v: cells %q of the row %q", size, cells, whole)
		}
	}
}

// The load leaves the header before the words of the counts do, and so does the usual way of watching.
func TestHeaderKeepsItsWordsWhereTheLoadHasNoRoom(t *testing.T) {
	m, f := load(t, 7, 80, 24)
	for i := range f.snap.Services {
		s := &f.snap.Services[i]
		s.State, s.Health = engine.StateRunning, engine.Healthy
	}
	f.snap.Services[2].Health, f.snap.Services[3].State = engine.Unhealthy, engine.StateBuilding
	f.snap.Services[4].State, f.snap.Services[5].State = engine.StatePaused, engine.StateExited
	f.snap.Seq++
	m.refresh()
	for _, c := range []struct {
		w           int
		words, load bool
	}{{120, true, true}, {80, true, false}, {72, true, false}, {60, false, false}, {40, false, false}} {
		line := ansi.Strip(m.header.render(c.w))
		words, load := strings.Contains(line, "unhealthy"), strings.Contains(line, "cpu ")
		if words != c.words || load != c.load || width(line) != c.w {
			t.Errorf("%d wide: %q", c.w, line)
		}
	}
}

func TestStopIsNotCalledAKill(t *testing.T) {
	for _, c := range []struct {
		last *engine.Change
		exit int
		w    int
		want string
	}{
		{&engine.Change{Action: "stop", Stop: engine.StopSignal}, 143, 40, "stopped 5s ago"},
		{&engine.Change{Action: "stop", Stop: engine.StopLate}, 137, 40,
			"stopped 5s ago, killed after its grace"},
		{&engine.Change{Action: "stop", Stop: engine.StopLate}, 137, 20, "stopped 5s ago"},
		{&engine.Change{Action: "kill"}, 137, 40, "killed 5s ago"},
		{&engine.Change{Action: "kill"}, 143, 40, "killed 5s ago"},
		{&engine.Change{Action: "up"}, 137, 40, "killed 5s ago"}, // by another program
		{nil, 143, 40, "stopped 5s ago"},
	} {
		s := &engine.Service{State: engine.StateExited, ByHand: true, ExitCode: c.exit, Last: c.last,
			Since: start.Add(-5 * time.Second)}
		if got := downText(s, start, c.w); got != c.want {
			t.Errorf("%+v, exit %d: %q, want %q", c.last, c.exit, got, c.want)
		}
	}
}

func BenchmarkViewUnchanged(b *testing.B) {
	m, _ := load(b, 30, 200, 60)
	m.View()
	b.ReportAllocs()
	for b.Loop() {
		m.View()
	}
}

func BenchmarkViewAfterLogLine(b *testing.B) {
	for _, focus := range []paneID{paneServices, paneLogs} {
		b.Run(fmt.Sprintf("services=30/200x60/focus=%s", focus), func(b *testing.B) {
			m, f := load(b, 30, 200, 60)
			m.e.focusPane(focus)
			b.ReportAllocs()
			for b.Loop() {
				f.store.Append("svc-03", 1, 1, logs.Stdout, start.Add(time.Minute),
					[]byte("INFO one more line"))
				m.refresh()
				m.dirty = true
				m.View()
			}
		})
	}
}

func BenchmarkViewAfterNewState(b *testing.B) {
	m, f := load(b, 30, 200, 60)
	b.ReportAllocs()
	for b.Loop() {
		f.snap.Seq++
		m.refresh()
		m.dirty = true
		m.View()
	}
}

func BenchmarkKeyWithAMillionLines(b *testing.B) {
	m, f := load(b, 10, 200, 60)
	for i := range 1_000_000 {
		f.store.Append("svc-03", 1, 1, logs.Stdout, start.Add(time.Duration(i)*time.Microsecond),
			[]byte("INFO one more line of very many lines"))
	}
	m.refresh()
	m.e.focusPane(paneLogs)
	for b.Loop() {
		m.Update(tea.KeyPressMsg{Code: 'k', Text: "k"})
		m.View()
	}
}

// checkFrame says what is wrong with a layout.
func checkFrame(f frame) error {
	used := map[[2]int]string{}
	for _, part := range []struct {
		name string
		r    rect
	}{{"header", f.header}, {"banner", f.banner}, {"footer", f.footer}, {"services", f.services},
		{"side", f.side}, {"tabs", f.tabs}, {"main", f.main},
		{"strip", f.stripRule}, {"events", f.events}, {"timeline", f.timeline}, {"left", f.left}} {
		r := part.r
		if r.empty() {
			continue
		}
		if r.x < 0 || r.y < 0 || r.x+r.w > f.w || r.y+r.h > f.h {
			return fmt.Errorf("%s %+v is outside of %dx%d", part.name, r, f.w, f.h)
		}
		for y := r.y; y < r.y+r.h; y++ {
			for x := r.x; x < r.x+r.w; x += max(r.w-1, 1) {
				if other := used[[2]int{x, y}]; other != "" {
					return fmt.Errorf("%s and %s share %d,%d", part.name, other, x, y)
				}
				used[[2]int{x, y}] = part.name
			}
		}
	}
	return nil
}

func FuzzLayout(f *testing.F) {
	f.Add(80, 24, 7, 1, uint8(0), false)
	f.Add(1, 1, 0, 3, uint8(1), true)
	f.Add(200, 50, 7, 2, uint8(2), false)
	f.Fuzz(func(t *testing.T, w, h, rows, banners int, focus uint8, zoom bool) {
		w, h, rows, banners = w%400, h%200, abs(rows%100), abs(banners%6)
		in := layoutInput{rows: rows, lanes: rows, banners: banners, focus: paneIDs()[focus%5], zoom: zoom}
		if err := checkFrame(layout(w, h, in)); err != nil {
			t.Errorf("layout(%d, %d, %+v): %v", w, h, in, err)
		}
	})
}

func abs(n int) int { return max(n, -n) }

// FuzzScreen draws hostile text at any size and in every way: no row is wider than the screen, and
// nothing but colours comes through.
func FuzzScreen(f *testing.F) {
	f.Add(80, 24, "plain", uint8(0))
	f.Add(1, 1, "\x1b]0;title\x07\x1b[2J\x9b31m\ttab\r", uint8(1))
	f.Add(61, 15, "日本語日本語日本語日本語日本語日本語\u202e", uint8(2))
	f.Add(200, 50, strings.Repeat("\x1b[31m語", 300), uint8(4))
	f.Add(40, 20, `{"a":"\x1b[31m語\u202e","b":["`+strings.Repeat("é語", 40)+`"]}`, uint8(0x21))
	f.Fuzz(func(t *testing.T, w, h int, text string, how uint8) {
		w, h = abs(w%260), abs(h%80)
		m, b := load(t, 7, w, h)
		b.store.Append("svc-01", 1, 1, logs.Stderr, start.Add(time.Hour), []byte(text))
		m.log.format.wrap, m.log.format.pretty = how&8 != 0, how&16 != 0
		m.e.focusPane(paneIDs()[how%5])
		m.refresh()
		if how&32 != 0 {
			m.View()
			m.log.format.openLine()
		}
		if how&64 != 0 {
			m.log.search.lookFor(".", regexp.MustCompile("."))
		}
		m.dirty = true
		checkRows(t, m.View().Content, w, h)
	})
}

// checkRows fails where drawn rows are not what a terminal of w by h may be given.
func checkRows(t *testing.T, content string, w, h int) {
	t.Helper()
	rows := strings.Split(content, "\n")
	if h > 0 && w > 0 && len(rows) != h {
		t.Errorf("%d rows at %dx%d", len(rows), w, h)
	}
	for i, r := range rows {
		r = hostile.WithoutLinks(r)
		if width(r) > w {
			t.Errorf("row %d is %d wide at %dx%d: %q", i, width(r), w, h, r)
		}
		if !utf8.ValidString(r) {
			t.Errorf("row %d is not UTF-8: %q", i, r)
		}
		for rest := r; ; {
			at := strings.IndexFunc(rest, unicode.IsControl)
			if at < 0 {
				break
			}
			sgr := ansiSGR.FindString(rest[at:])
			if sgr == "" {
				t.Fatalf("row %d holds a control character that begins no colour: %q", i, rest[at:])
			}
			rest = rest[at+len(sgr):]
		}
	}
}

var ansiSGR = regexp.MustCompile("^\x1b\\[[0-9;:]*m")

// Each kind of hostile text, in each way of showing a line: it stays within its rows, and what can
// be read of it is there.
func TestHostileLinesStayWithinTheirRows(t *testing.T) {
	for name, c := range map[string]struct{ raw, want string }{
		"colour left open":     {"\x1b[1;31mred from here", "red from here"},
		"cursor and screen":    {"one\x1b[2J\x1b[H\x1b[10;20H\x1b[5A\x1b[?1049l\x1b[?25hthing", "onething"},
		"title, clipboard":     {"a\x1b]0;owned\x07b\x1b]52;c;ZXZpbA==\x1b\\\x1b]8;;http://x\x07c", "abc"},
		"DCS, APC, PM, SOS":    {"a\x1bPq#0;1\x1b\\b\x1b_Gf=1\x1b\\c\x1b^x\x1b\\d\x1bXy\x1b\\e", "abcde"},
		"a string with no end": {"seen\x1bPand never the rest", "seen"},
		"C0, C1, DEL":          {"a\x00\x05\x07\x0e\x7fb\u0085\u0090c\u009c", "ab"},
		"raw C1 bytes":         {"a\x9b2J\x90qb", "a�2J�qb"},
		"tabs":                 {"a\tb\tc", "a       b       c"},
		"progress bar":         {" 10%\r 50%\r\x1b[K100% done\r", "100% done"},
		"backspaces":           {"passwort\b\b\b\b\b\b\b\bhidden  ", "hidden"},
		"wide":                 {strings.Repeat("日本語", 200), "日本語"},
		"combining":            {strings.Repeat("e\u0301\u0302\u0303", 300), "e\u0301"},
		"zalgo at the start":   {strings.Repeat("\u0301", 50) + "x", "x"},
		"emoji":                {strings.Repeat("👩\u200d👩\u200d👧🏽🇩🇪", 60), "👩"},
		"direction":            {"\u202ednim s'rekcah\u2066\u2028end", "dnim s'rekcahend"},
		"invalid UTF-8":        {"a\xff\xfe\xc3(\xe2\x82", "a�(�"},
		"90,000 characters":    {strings.Repeat("0123456789", 9000), "0123456789"},
		"90,000 wide":          {strings.Repeat("語", 90000), "語語"},
		"90,000 colours":       {strings.Repeat("\x1b[3"+"1mx", 18000), "xxx"},
		"binary": {string(func() (b []byte) {
			for i := range 4096 {
				b = append(b, byte(i*7))
			}
			return
		}()), ""},
		"JSON with escapes": {`{"level":"error","msg":"a\u001b[2Jb\u0007\u202ec","long":"` +
			strings.Repeat("語", 300) + `"}`, "error"},
		"an object of newlines": {`{"msg":"x","stack":"one\ntwo\r\n\u001b]0;t\u0007three"}`, "x"},
		"logfmt with escapes":   {"level=error msg=\"a\\x1b[2J\\n\" key=\x1b[2J\x1b]0;t\x07v", "level"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, size := range [][2]int{{80, 24}, {61, 15}, {7, 5}} {
				m, b := load(t, 3, size[0], size[1])
				for _, stream := range []logs.Stream{logs.Stdout, logs.Stderr} {
					b.store.Append("svc-01", 1, 1, stream, start.Add(time.Hour), []byte(c.raw))
				}
				m.e.focusPane(paneLogs)
				m.refresh()
				for how := range 32 {
					p := m.log
					p.format.wrap, p.format.pretty, p.format.raw = how&1 != 0, how&2 != 0, how&4 != 0
					p.win.follow, p.win.skip = true, 0
					clear(p.format.open)
					p.search.lookFor("", nil)
					m.View()
					if how&8 != 0 {
						p.format.openLine()
					}
					if how&16 != 0 {
						p.search.lookFor("[a-z語]+", regexp.MustCompile("[a-z語]+"))
					}
					m.dirty = true
					content := m.View().Content
					checkRows(t, content, size[0], size[1])
					headSeen := how&(1|2|8) == 0 // else it may be above the window
					if text := ansi.Strip(content); size[0] >= 80 && headSeen &&
						!strings.Contains(strings.ToLower(text), strings.ToLower(c.want)) {
						t.Errorf("%q is not seen in way %b:\n%s", c.want, how, text)
					}
				}
			}
		})
	}
}

func TestColumnsLeaveInTheirOrder(t *testing.T) {
	order := []func(columns) int{func(c columns) int { return c.mem }, func(c columns) int {
		return c.cpu
	}, func(c columns) int { return c.rst },
		func(c columns) int { return c.port }, func(c columns) int { return c.up }}
	for w := 100; w > 30; w-- {
		gone := false
		for i := len(order) - 1; i >= 0; i-- {
			if order[i](fitColumns(w, 8, 6)) == 0 {
				gone = true
			} else if gone {
				t.Fatalf("at %d column %d stays while a later one left: %+v", w, i, fitColumns(w, 8, 6))
			}
		}
	}
	if c := fitColumns(80, 8, 6); c.mem == 0 {
		t.Errorf("80 cells do not show everything: %+v", c)
	}
}

func TestFooterKeepsWholeItems(t *testing.T) {
	m, _ := load(t, 7, 200, 50)
	full := m.footer.render(200)
	for w := 199; w > 0; w-- {
		row := m.footer.render(w)
		if width(row) != w {
			t.Fatalf("%d wide at %d", width(row), w)
		}
		if strings.Contains(row, "…") {
			t.Fatalf("an item is cut at %d: %s", w, row)
		}
	}
	if !strings.Contains(full, "help") || !strings.Contains(m.footer.render(20), "help") {
		t.Error("the way to the help is not there")
	}
}

func TestKeysConfigIsReadBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(path,
		[]byte(KeysConfig(Config{Theme: "light", Keys: map[string][]string{"kill": {"ctrl+x"}}},
			path)), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := LoadConfig(path)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(c.Keys["kill"], []string{"ctrl+x"}) || !slices.Equal(c.Keys["restart"],
		[]string{"r"}) || len(c.Keys) != len(defaultActions()) || c.Theme != "light" ||
		c.Notify != "" || c.SaveDir != "" {
		t.Errorf("read back: %v", c.Keys)
	}
}

func TestBadConfigSaysWhatToWrite(t *testing.T) {
	for text, want := range map[string]string{
		"mouse: on\ntheme: pink":  `:2: theme: "pink" is unknown; write one of auto, dark, light, contrast, ansi, none`,
		"keys: {restrat: [x]}":    `no action "restrat"; ` + "`bulkhead keys` lists them",
		"keys:\n\n  restart: [s]": `:3: keys: "s" is both restart and stop-start`,
		"# mine\ncolour: red":     ":2: there is no setting \"colour\"; `bulkhead keys` prints all of them",
		"log_size: much":          `:1: log_size: "much" is no size of a service's log; write one from 64KiB to 1GiB, as 16MiB`,
		"keys: [":                 "line 1",
	} {
		path := filepath.Join(t.TempDir(), "config.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := LoadConfig(path)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(),
			path) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v; want %s", text, err, want)
		}
	}
	if _, err := LoadConfig(filepath.Join(t.TempDir(), "none")); err != nil {
		t.Errorf("a missing file: %v", err)
	}
}

func TestRemappedKeyIsShownAndWorks(t *testing.T) {
	s := openScreen(t, shop(), 80, 24, func(o *Options) {
		o.Config.Keys = map[string][]string{"restart": {"ctrl+r"}, "quit": {"q"}}
	})
	s.wait("ctrl+r restart")
	s.keys("r", "ctrl+r")
	s.until("the restart", func(string) bool { return s.b.told("restart api (you pressed ctrl+r)") })
	s.quit()
}

// The quick way to a width is the parser's.
func TestWidthIsThatOfTheParser(t *testing.T) {
	for _, s := range []string{"", "plain", "\x1b[32mok\x1b[m", "\x1b[1;38;5;3mx\x1b[0m y",
		"─│┄━▁▂█▓░▒●◐◌○", "a…b ‖ ·", "日本", "e\u0301", "●\ufe0f", "\x1b", "\x1b[", "\x1b[3",
		"\x1b]0;title\x07x", "\x1b[2Jx", "a\tb", "⟳ ✗ ✓", "◽◾◿◰", "✗ worker", "\xff\xfe", "\x1bmx"} {
		if got, want := width(s), ansi.StringWidth(s); got != want {
			t.Errorf("width of %q is %d, want %d", s, got, want)
		}
	}
}

func TestShortWords(t *testing.T) {
	for got, want := range map[string]string{
		duration.Age(59 * time.Second): "59s", duration.Age(14 * time.Minute): "14m",
		duration.Age(47 * time.Hour): "47h", duration.Age(50 * 24 * time.Hour): "50d",
		duration.Took(40 * time.Millisecond): "0.04s", duration.Took(900 * time.Millisecond): "0.9s",
		duration.Took(182 * time.Second): "3m02s",
		bytesText(88 << 20):              "88M", bytesText(1181116006): "1.1G", bytesText(-1): "-",
		bytesText(0): "0B", percent(.034): "3%", percent(12): "12x",
		thousands(1234567): "1,234,567", thousands(12): "12", plural(1, "file"): "1 file",
		plural(2, "file"): "2 files",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestShortFormOfStructuredLines(t *testing.T) {
	for raw, want := range map[string]string{
		`{"time":"2026-11-23T21:58:37.16Z","level":"INFO","msg":"order placed","id":7,"who":{"a":[1]},"note":"two words","x":""}`: `INFO  order placed id=7 who={"a":[1]} note="two words" x=""`,
		`time=2026-11-23T21:58:37.319Z level=WARN msg="orders is down" service=orders`:                                            `WARN  orders is down service=orders`,
		`level=info msg=traffic sent=25`: `INFO  traffic sent=25`,
		`GET /orders 200 a=b`:            "", `{"level":"info"} trailing`: "", `{"a":1,"b":2}`: "",
		`time=12 half "quote`: "", `{"level":`: "", "": "",
		`level=info msg="open`: "",
	} {
		got, ok := compact([]byte(raw))
		if got != want || ok != (want != "") {
			t.Errorf("%s\n gave %q, %v\nwant %q", raw, got, ok, want)
		}
	}
}

// BenchmarkViewAfterASecond is what a screen at rest costs: the clock goes on, and nothing else happened.
func BenchmarkViewAfterASecond(b *testing.B) {
	m, f := load(b, 20, 200, 50)
	b.ReportAllocs()
	for b.Loop() {
		f.now = f.now.Add(time.Second)
		m.Update(tickMsg{})
		m.View()
	}
}

// A hint beside the logs names the way from there: c is another matter among them.
func TestHintsNameTheWayFromTheFocusedPane(t *testing.T) {
	m, _ := load(t, 7, 200, 50)
	for focus, want := range map[paneID][]string{
		paneServices: {"[c]", "[w] cycle", "[i] inspect"},
		paneLogs:     {"[1 c]", "[1 w] cycle", "[i] inspect"},
	} {
		m.e.focusPane(focus)
		m.dirty = true
		text := ansi.Strip(m.View().Content)
		for _, hint := range want {
			if !strings.Contains(text, hint) {
				t.Errorf("with the keys in the %s there is no %s:\n%s", focus, hint, text)
			}
		}
	}
}
