package ui

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"bulkhead/engine"
	"bulkhead/engine/logs"
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
			f.store.Append(s.Name, 1, 1, logs.Stdout, start.Add(time.Duration(j)*time.Millisecond), fmt.Appendf(nil, "\x1b[32mINFO\x1b[0m GET /orders/%d 200 %dms user=%d trace=0123456789abcdef", j, i, j*i))
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

func BenchmarkViewUnchanged(b *testing.B) {
	m, _ := load(b, 30, 200, 60)
	m.View()
	b.ReportAllocs()
	for b.Loop() {
		m.View()
	}
}

func BenchmarkViewAfterLogLine(b *testing.B) {
	for _, focus := range []pane{paneServices, paneLogs} {
		b.Run(fmt.Sprintf("services=30/200x60/focus=%s", focus), func(b *testing.B) {
			m, f := load(b, 30, 200, 60)
			m.focusPane(focus)
			b.ReportAllocs()
			for b.Loop() {
				f.store.Append("svc-03", 1, 1, logs.Stdout, start.Add(time.Minute), []byte("INFO one more line"))
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
		f.store.Append("svc-03", 1, 1, logs.Stdout, start.Add(time.Duration(i)*time.Microsecond), []byte("INFO one more line of very many lines"))
	}
	m.refresh()
	m.focusPane(paneLogs)
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
	}{{"header", f.header}, {"banner", f.banner}, {"footer", f.footer}, {"services", f.services}, {"side", f.side}, {"tabs", f.tabs}, {"main", f.main},
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
		in := wish{rows: rows, lanes: rows, banners: banners, focus: panes()[focus%5], zoom: zoom}
		if err := checkFrame(layout(w, h, in)); err != nil {
			t.Errorf("layout(%d, %d, %+v): %v", w, h, in, err)
		}
	})
}

func abs(n int) int { return max(n, -n) }

// FuzzScreen draws hostile text at any size: no row is wider than the screen, and nothing but colours comes through.
func FuzzScreen(f *testing.F) {
	f.Add(80, 24, "plain", uint8(0))
	f.Add(1, 1, "\x1b]0;title\x07\x1b[2J\x9b31m\ttab\r", uint8(1))
	f.Add(61, 15, "日本語日本語日本語日本語日本語日本語\u202e", uint8(2))
	f.Add(200, 50, strings.Repeat("\x1b[31m語", 300), uint8(4))
	f.Fuzz(func(t *testing.T, w, h int, text string, focus uint8) {
		w, h = abs(w%260), abs(h%80)
		m, b := load(t, 7, w, h)
		b.store.Append("svc-01", 1, 1, logs.Stderr, start.Add(time.Hour), []byte(text))
		m.log.wrap, m.log.pretty = focus&8 != 0, focus&16 != 0
		m.focusPane(panes()[focus%5])
		m.refresh()
		v := m.View().Content
		rows := strings.Split(v, "\n")
		if h > 0 && w > 0 && len(rows) != h {
			t.Errorf("%d rows at %dx%d", len(rows), w, h)
		}
		for i, r := range rows {
			if width(r) > w {
				t.Errorf("row %d is %d wide at %dx%d: %q", i, width(r), w, h, r)
			}
			for rest := r; ; {
				at := strings.IndexByte(rest, 0x1b)
				if at < 0 {
					break
				}
				end := strings.IndexAny(rest[at+1:], "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz]_^P")
				if end < 1 || rest[at+1] != '[' || rest[at+1+end] != 'm' {
					t.Fatalf("row %d holds an escape that is no colour: %q", i, rest[at:])
				}
				rest = rest[at+1+end:]
			}
		}
	})
}

func TestColumnsLeaveInTheirOrder(t *testing.T) {
	order := []func(columns) int{func(c columns) int { return c.mem }, func(c columns) int { return c.cpu }, func(c columns) int { return c.rst },
		func(c columns) int { return c.port }, func(c columns) int { return c.up }}
	for w := 100; w > 30; w-- {
		gone := false
		for i := len(order) - 1; i >= 0; i-- {
			if order[i](fitColumns(w, 8)) == 0 {
				gone = true
			} else if gone {
				t.Fatalf("at %d column %d stays while a later one left: %+v", w, i, fitColumns(w, 8))
			}
		}
	}
	if c := fitColumns(80, 8); c.mem == 0 {
		t.Errorf("80 cells do not show everything: %+v", c)
	}
}

func TestFooterKeepsWholeItems(t *testing.T) {
	m, _ := load(t, 7, 200, 50)
	full := m.footerLine(200)
	for w := 199; w > 0; w-- {
		row := m.footerLine(w)
		if width(row) != w {
			t.Fatalf("%d wide at %d", width(row), w)
		}
		if strings.Contains(row, "…") {
			t.Fatalf("an item is cut at %d: %s", w, row)
		}
	}
	if !strings.Contains(full, "help") || !strings.Contains(m.footerLine(20), "help") {
		t.Error("the way to the help is not there")
	}
}

func TestKeysConfigIsReadBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(path, []byte(KeysConfig(Config{Keys: map[string][]string{"kill": {"ctrl+x"}}})), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := LoadConfig(path)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(c.Keys["kill"], []string{"ctrl+x"}) || !slices.Equal(c.Keys["restart"], []string{"r"}) || len(c.Keys) != len(allActions()) {
		t.Errorf("read back: %v", c.Keys)
	}
}

func TestBadConfigSaysWhatToWrite(t *testing.T) {
	for text, want := range map[string]string{
		"theme: pink":          `theme: "pink" is unknown; write one of auto, dark, light`,
		"keys: {restrat: [x]}": `no action "restrat"; ` + "`bulkhead keys` lists them",
		"keys: {restart: [s]}": `"s" is both restart and stop-start`,
		"colour: red":          "colour",
		"log_size: much":       `log_size: "much" is no size of a service's log; write one from 64KiB to 1GiB, as 16MiB`,
		"keys: [":              "line 1",
	} {
		path := filepath.Join(t.TempDir(), "config.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := LoadConfig(path)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), path) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v; want %s", text, err, want)
		}
	}
	if _, err := LoadConfig(filepath.Join(t.TempDir(), "none")); err != nil {
		t.Errorf("a missing file: %v", err)
	}
}

func TestRemappedKeyIsShownAndWorks(t *testing.T) {
	s := openScreen(t, shop(), 80, 24, func(o *Options) { o.Config.Keys = map[string][]string{"restart": {"ctrl+r"}, "quit": {"q"}} })
	s.wait("ctrl+r restart")
	s.keys("r", "ctrl+r")
	s.until("the restart", func(string) bool { return s.b.told("restart api (you pressed ctrl+r)") })
	s.quit()
}

func TestShortWords(t *testing.T) {
	for got, want := range map[string]string{
		age(59 * time.Second): "59s", age(14 * time.Minute): "14m", age(47 * time.Hour): "47h", age(50 * 24 * time.Hour): "50d",
		took(40 * time.Millisecond): "0.04s", took(900 * time.Millisecond): "0.9s", took(182 * time.Second): "3m02s",
		bytesText(88 << 20): "88M", bytesText(1181116006): "1.1G", bytesText(-1): "-", bytesText(0): "0B", percent(.034): "3%", percent(12): "12x",
		thousands(1234567): "1,234,567", thousands(12): "12", plural(1, "file"): "1 file", plural(2, "file"): "2 files",
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
		`GET /orders 200 a=b`:            "", `{"level":"info"} trailing`: "", `{"a":1,"b":2}`: "", `time=12 half "quote`: "", `{"level":`: "", "": "",
		`level=info msg="open`: "",
	} {
		got, ok := compact([]byte(raw))
		if got != want || ok != (want != "") {
			t.Errorf("%s\n gave %q, %v\nwant %q", raw, got, ok, want)
		}
	}
}
