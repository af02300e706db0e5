package ui

import (
	"fmt"
	"image/color"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	uv "github.com/charmbracelet/ultraviolet"

	"bulkhead/engine"
	"bulkhead/engine/project"
)

// view is one golden screen: how to get to it, and what tells that it is there.
type view struct {
	name  string
	w, h  int
	alter func(*engine.Snapshot)
	keys  []string
	want  string
}

func views() []view {
	fall := func(n *engine.Snapshot) { n.Services[6].State, n.Services[6].ByHand = engine.StateRunning, false }
	fell := func(n *engine.Snapshot) { n.Ledgers = []engine.Ledger{fakeLedger(n, "worker", start)} }
	reload := func(n *engine.Snapshot) {
		n.Reload = &engine.Reload{At: start,
			Changes: []project.Change{{Service: "web", Kind: project.Recreate},
				{Service: "search", Kind: project.Added}}}
	}
	return []view{
		{"main", 80, 24, nil, nil, "GET /orders 200 15ms"},
		{"events", 80, 24, nil, []string{"3", "j"}, "1 newer"},
		{"builds", 80, 24, nil, []string{"4"}, "RUN go mod download"},
		{"ledger", 80, 24, fall, []string{"G", "K", "5"}, "healthy -> unhealthy"},
		{"proof", 80, 24, fell, []string{"5", "j", "j", "enter"}, "healthy -> unhealthy"},
		{"help", 80, 24, nil, []string{"?"}, "restart with all that depend on it"},
		{"palette", 80, 24, nil, []string{":", "pause web"}, "> pause web"},
		{"inspect", 80, 24, nil, []string{"j", "j", "j", "i"}, "./gw/route.go"},
		{"graph", 80, 24, nil, []string{"c"}, "(+) drawn above"},
		{"calls", 80, 24, tapped, []string{"c"}, "depends_on, never used"},
		{"quit", 80, 24, nil, []string{"q"}, "leave them running"},
		{"signal", 80, 24, nil, []string{"X"}, "SIGUSR1"},
		{"fault", 80, 24, nil, []string{"F"}, "Fault on api"},
		{"down", 80, 24, nil, []string{"D"}, "volumes keep their data"},
		{"reload", 80, 24, reload, nil, "search is new"},
		{"search", 80, 24, nil, []string{"2", "/", "refused|502", "enter"}, "2 of 9 lines"},
		{"typing", 80, 24, nil, []string{"2", "/", "refus"}, "1 of 9 lines"},
		{"zoom", 80, 24, nil, []string{"2", "z"}, "zoomed"},
		{"marked", 80, 24, nil, []string{"space", "space"}, "api, cache"},
		{"timeline", 150, 36, nil, []string{"3", "<"}, "logs at 12:0"},
		{"small", 59, 13, nil, nil, "1 SVC"},
		{"tiny", 24, 6, nil, []string{"2"}, "db     LOG"},
	}
}

// TestEveryViewInEveryTheme compares each view with a file in which styles stand as tags: {#ff8787 bold}.
func TestEveryViewInEveryTheme(t *testing.T) {
	for _, theme := range []string{"dark", "light", "no-color"} {
		for _, v := range views() {
			t.Run(v.name+"-"+theme, func(t *testing.T) {
				b := shop()
				if v.alter != nil {
					v.alter(&b.snap)
				}
				s := openScreen(t, b, v.w, v.h, func(o *Options) {
					o.Config.Theme = theme
					if theme == "no-color" {
						o.Config.Theme = ""
						o.Environ = append(o.Environ, "NO_COLOR=1")
						o.program = o.program[:1] // the profile is to be found out
					}
				})
				s.wait("api")
				s.keys(v.keys...)
				s.wait(v.want)
				s.compare(filepath.Join("testdata", "views", v.name+"-"+theme+".golden"), s.styled)
			})
		}
	}
}

// styled is the screen with its styles as tags, where they change.
func (s *screen) styled() string {
	var b strings.Builder
	cells := s.cells()
	for y := range cells.Height() {
		row, last := "", ""
		for x := 0; x < cells.Width(); {
			c := cells.CellAt(x, y)
			tag, content, w := "", " ", 1
			if c != nil && c.Content != "" {
				tag, content, w = tagOf(c), c.Content, max(c.Width, 1)
			}
			if content == " " && !strings.Contains(tag, "reverse") && !strings.Contains(tag, "underline") {
				tag = last // a blank shows no colour
				if last != "" && strings.Contains(last, "reverse") {
					tag = ""
				}
			}
			if tag != last {
				row += "{" + tag + "}"
				last = tag
			}
			row += content
			x += w
		}
		b.WriteString(strings.TrimRight(strings.TrimSuffix(strings.TrimRight(row, " "), "{}"), " ") + "\n")
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// CellAt is a cell of the screen as it is now: what the emulator's own returns goes on changing.
func (s *screen) CellAt(x, y int) *uv.Cell { return s.cells().CellAt(x, y) }

// cells is a copy of the screen.
func (s *screen) cells() uv.ScreenBuffer {
	out := uv.NewScreenBuffer(s.Width(), s.Height())
	s.Draw(out, out.Bounds())
	return out
}

func tagOf(c *uv.Cell) string {
	var parts []string
	for _, f := range []struct {
		sign string
		c    color.Color
	}{{"", c.Style.Fg}, {"on ", c.Style.Bg}} {
		if f.c != nil {
			r, g, b, _ := f.c.RGBA()
			parts = append(parts, fmt.Sprintf("%s#%02x%02x%02x", f.sign, r>>8, g>>8, b>>8))
		}
	}
	for _, a := range []struct {
		bit  uint8
		name string
	}{{uv.AttrBold, "bold"}, {uv.AttrFaint, "faint"}, {uv.AttrItalic, "italic"}, {uv.AttrReverse, "reverse"}} {
		if c.Style.Attrs&a.bit != 0 {
			parts = append(parts, a.name)
		}
	}
	return strings.Join(parts, " ")
}

// compare waits until the screen is what a file holds; with -update it writes the file once nothing moves any more.
func (s *screen) compare(path string, shown func() string) {
	s.t.Helper()
	if *update {
		last := ""
		s.until("a quiet screen", func(string) bool {
			time.Sleep(50 * time.Millisecond)
			now := shown()
			same := now == last
			last = now
			return same
		})
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			s.t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(last+"\n"), 0o644); err != nil {
			s.t.Fatal(err)
		}
		return
	}
	b, err := os.ReadFile(path)
	if err != nil {
		s.t.Fatal(err)
	}
	want := strings.TrimSuffix(string(b), "\n")
	for end := time.Now().Add(patience); shown() != want; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			s.t.Fatalf("%s differs; -update rewrites it. The screen:\n%s\nwanted:\n%s", path, shown(), want)
		}
	}
}
