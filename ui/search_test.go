package ui

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"bulkhead/engine/logs"
)

func TestSearchShowsMatchesWhileTypedAndWhileFollowing(t *testing.T) {
	s := openScreen(t, shop(), 80, 24)
	s.keys("2", "/", "refu")
	s.wait("/refu", "1 of 9 lines", "following")
	s.b.write("db", "one more is refused", start)
	s.wait("2 of 10 lines", "one more is refused", "following")
	s.keys("s[e")
	s.wait("as text: missing closing ]", "/refus[e", "0 of 10 lines")
	s.keys("]")
	s.wait("2 of 10 lines")
	s.gone("as text")
	s.keys("esc")
	s.gone("of 10 lines")
	s.wait("following")
	s.quit()
}

func TestSearchesOfBeforeComeBack(t *testing.T) {
	s := openScreen(t, shop(), 80, 24)
	s.keys("2", "/", "refused", "enter")
	s.wait("/refused/")
	s.keys("/", "502", "enter")
	s.wait("/502/  1 of 9")
	s.keys("/", "half", "up")
	s.wait("/502 ", "↑ earlier", "1 of 9 lines")
	s.keys("up")
	s.wait("/refused ", "1 of 9 lines")
	s.keys("up") // there is none before it
	s.wait("/refused ")
	s.keys("down", "down")
	s.wait("/half ", "0 of 9 lines") // what was typed is not lost
	s.keys("up", "up", "enter")
	s.wait(">12:04:28 api    WARN  queue worker: connection refused")
	s.keys("/", "up")
	s.wait("/refused ") // the latest now, and once only
	s.keys("up", "up")
	s.wait("/502 ")
	s.keys("esc")
	s.quit()
}

func TestSearchMindsCaseOnlyWhereItIsAskedFor(t *testing.T) {
	for q, want := range map[string]string{
		"get": `(?i)get`, "GET": `GET`, `\S+x`: `(?i)\S+x`, `\\S`: `\\S`, `Über`: `Über`,
		`über`: `(?i)über`, `a(`: `(?i)a\(`, `A[`: `A\[`, `*`: `(?i)\*`,
	} {
		if re, _ := compileSearch(q); re.String() != want {
			t.Errorf("%s is read as %s, want %s", q, re, want)
		}
	}
	if re, fault := compileSearch(""); re != nil || fault != "" {
		t.Error("nothing is a search")
	}
	if _, fault := compileSearch("a("); fault != "missing closing )" {
		t.Errorf("the fault is %q", fault)
	}
}

func TestPreviousErrorHasAShiftedKey(t *testing.T) {
	b := shop()
	b.store.Append("db", 1, 1, logs.Stdout, start, []byte("ERROR another"))
	s := openScreen(t, b, 80, 24)
	s.keys("2", "P")
	s.wait(">12:04:31 db     ERROR another")
	s.keys("P")
	s.wait(">12:04:29 gw     ERROR")
	s.keys("E")
	s.wait(">12:04:31 db     ERROR another")
	s.quit()
}

// aMillion is a shop whose store holds a million lines more.
func aMillion() *fake { return withLines(1_000_000) }

func withLines(n int) *fake {
	b := shop()
	b.store = logs.New(logs.Options{ServiceBytes: 1 << 30, TotalBytes: 2 << 30})
	for i := range n {
		b.store.Append([]string{"api", "db", "gw", "web"}[i%4], 1, 1, logs.Stdout,
			start.Add(time.Duration(i)*time.Microsecond),
			fmt.Appendf(nil,
				"2026-11-23T12:04:31Z INFO  [worker-%d] order %d accepted for customer %d in %d ms",
				i%16, i, i*7%99991, i%250))
	}
	return b
}

// A search over many lines is answered while it goes on, and another one takes its place at once. How long one takes:
// BenchmarkSearchAMillionLines.
func TestSearchOverAMillionLinesIsAnsweredWhileItGoesOn(t *testing.T) {
	if testing.Short() {
		t.Skip("left out with -short: a million lines")
	}
	lines := 1_000_000
	if raceEnabled {
		lines /= 5 // as much work, where each line takes ten times as long
	}
	s := openScreen(t, withLines(lines), 120, 40)
	all, order := thousands(int64(lines))+" lines", lines/9*7
	s.wait(all)
	s.keys("2", "/")
	s.wait("enter find")
	answered := func(want string, keys ...string) {
		t.Helper()
		s.keys(keys...)
		s.wait(want)
	}
	answered("1 of "+all, fmt.Sprintf("order %d ", order))
	answered(fmt.Sprintf("order %d accepted for customer %d", order, order*7%99991), "enter")
	answered("of "+all, "/", "777")
	answered("lines so far", "/", `[0-9]+ms|\d{9}`) // no literal to go by: it is shown as it grows
	// While that goes on, keys are answered, and another search takes its place.
	answered("refused$", "esc", "/", "refused$")
	answered("0 of "+all, "esc", "/", "refused")
	s.keys("esc", "esc", "esc")
	s.quit()
}

func BenchmarkSearchAMillionLines(b *testing.B) {
	f := aMillion()
	m, err := newModel(b.Context(), Options{Backend: f, Now: f.clock}, make(chan struct{}))
	if err != nil {
		b.Fatal(err)
	}
	m.Update(tea.WindowSizeMsg{Width: 200, Height: 60})
	m.View()
	// pump carries out what commands ask for, as the event loop does.
	var queue []tea.Cmd
	pump := func(done func() bool) {
		for len(queue) > 0 && !done() {
			cmd := queue[0]
			queue = queue[1:]
			if cmd == nil {
				continue
			}
			switch msg := cmd().(type) {
			case nil:
			case tea.BatchMsg:
				queue = append(queue, msg...)
			default:
				_, next := m.Update(msg)
				m.View()
				queue = append(queue, next)
			}
		}
	}
	never := func() bool { return false }
	search := func(q string) {
		re, _ := compileSearch(q)
		m.log.search.lookFor(q, re)
		queue = append(queue, m.settle())
	}
	for _, q := range []string{"refused", "ERROR", "order 77.*ms", `\d{5} accepted`} {
		for name, done := range map[string]func() bool{
			"first": func() bool { return m.log.search.countedFor.query == q },
			"whole": func() bool { return m.log.search.countedFor.query == q && m.log.search.counted },
		} {
			b.Run(name+" count/"+q, func(b *testing.B) {
				for b.Loop() {
					search(q)
					pump(done)
					b.StopTimer()
					search("")
					pump(never)
					b.StartTimer()
				}
			})
		}
	}
	for _, q := range []string{"refused", "order 7 ", "accepted"} {
		b.Run("latest match/"+q, func(b *testing.B) {
			search(q)
			pump(never)
			for b.Loop() {
				m.log.win.toEnd()
				queue = append(queue, m.log.search.match(false)())
				pump(never)
			}
		})
	}
}

func TestMatchesAreShownAcrossColours(t *testing.T) {
	st := newStyles("dark", true)
	on := string(paintOf(st.matchStyle))
	for text, want := range map[string]string{
		"an order here":                       "an \x1b[m" + on + "order\x1b[m here",
		"\x1b[31man ord\x1b[32mer here\x1b[m": "\x1b[31man \x1b[m" + on + "order\x1b[m\x1b[0;32m here\x1b[m",
		"日本 order日":                           "日本 \x1b[m" + on + "order\x1b[m日",
		"orderorder":                          "\x1b[m" + on + "order\x1b[m\x1b[m" + on + "order\x1b[m",
		"\x1b[1mnone\x1b[m":                   "\x1b[1mnone\x1b[m",
	} {
		p := &lineFormat{e: &env{st: st}, re: regexp.MustCompile("order|x*")}
		if got := p.highlight(text); got != want {
			t.Errorf("%q is shown as %q, want %q", text, got, want)
		}
	}
}

func TestWrappedRowsGoOnInTheirColour(t *testing.T) {
	got := carryStyles([]string{"\x1b[1;31mone", "two\x1b[22m", "three\x1b[m", "four"})
	want := []string{"\x1b[1;31mone\x1b[m", "\x1b[0;1;31mtwo\x1b[22m\x1b[m", "\x1b[0;31mthree\x1b[m", "four"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	// A colour for each character does not pile up from row to row.
	rows := make([]string, 200)
	for i := range rows {
		rows[i] = strings.Repeat("\x1b[31mx\x1b[32my", 30)
	}
	if n := len(strings.Join(carryStyles(rows), "")); n > 200*30*14 {
		t.Errorf("%d bytes for 200 rows", n)
	}
}

// A screen full of the worst lines is drawn from scratch.
func BenchmarkHostileScreen(b *testing.B) {
	for name, line := range map[string]string{
		"colours": strings.Repeat("\x1b[31mx", 18000), "wide": strings.Repeat("語", 90000),
		"json": `{"msg":"` + strings.Repeat("order ", 15000) + `"}`,
	} {
		b.Run(name, func(b *testing.B) {
			m, f := load(b, 1, 80, 40)
			for range 40 {
				f.store.Append("svc-00", 1, 1, logs.Stdout, start.Add(time.Hour), []byte(line))
			}
			m.log.format.re = regexp.MustCompile("x|語|order")
			m.refresh()
			for b.Loop() {
				m.log.format.dropCache()
				m.dirty = true
				m.View()
			}
		})
	}
}

func TestOnlyMatchesThenTheLinesAroundThemThenAll(t *testing.T) {
	b := shop()
	for i := range 8 {
		b.write("web", fmt.Sprintf("web step %d", i), start.Add(time.Duration(i)*time.Millisecond))
	}
	s := openScreen(t, b, 80, 24)
	s.wait("web step 7")
	s.keys("2", "/", "step 3", "enter", "x")
	s.wait("only these", "web step 3")
	s.gone("web step 2")
	s.keys("x")
	s.wait("these with 3 around", "web step 0", "web step 2", "web step 3", "web step 6")
	s.gone("web step 7")
	s.keys("x")
	s.wait("web step 7", "GET /orders 200 15ms")
	s.quit()
}
