package ui

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/compose-spec/compose-go/v2/types"

	"bulkhead/engine"
	"bulkhead/ui/internal/hostile"
)

// sourceFile writes a file of a project's folder.
func sourceFile(t *testing.T, dir, name string) string {
	t.Helper()
	file := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte("x\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

// linkOf is where the first cell of a text on the screen leads, and the cell before and behind the
// text.
func (s *screen) linkOf(what string) (to, before, behind string) {
	s.t.Helper()
	for y, row := range strings.Split(s.wait(what), "\n") {
		if i := strings.Index(row, what); i >= 0 {
			cells := s.cells()
			at := func(x int) string {
				if c := cells.CellAt(x, y); c != nil {
					return c.Link.URL
				}
				return ""
			}
			x := width(row[:i])
			return at(x), at(x - 1), at(x + width(what))
		}
	}
	return "", "", ""
}

// waitLink waits until a text leads to a file, and nothing beside it does.
func (s *screen) waitLink(what, file string) {
	s.t.Helper()
	s.until("a link of "+what, func(string) bool { to, _, _ := s.linkOf(what); return to != "" })
	to, before, behind := s.linkOf(what)
	if !strings.HasPrefix(to, "file://") ||
		!strings.HasSuffix(to, fileURL("", file)[len("file://"):]) || before != "" || behind != "" {
		s.t.Errorf("%s leads to %q, with %q before and %q behind; want %s", what, to, before, behind, file)
	}
}

func linkedShop(t *testing.T) (*fake, string) {
	t.Helper()
	dir := t.TempDir()
	file := sourceFile(t, dir, "api/main.go")
	sourceFile(t, dir, "main.go")
	b := shop()
	b.snap.Dir = dir
	b.snap.Services[0].Config.Config.Volumes = []types.ServiceVolumeConfig{{Type: "bind",
		Source: filepath.Join(dir, "api"), Target: "/app"}}
	return b, file
}

func TestPathsInLogsAreLinks(t *testing.T) {
	b, file := linkedShop(t)
	python := sourceFile(t, b.snap.Dir, "api/my app é.py")
	b.write("api",
		"\x1b[31mgoroutine\x1b[0m in \x1b[1m/app/ma\x1b[32min.go:42\x1b[m +0x1d, /app/none.go:7", start)
	b.write("api", `  File "/app/my app é.py", line 3, in main`, start)
	s := openScreen(t, b, 120, 40)
	s.waitLink("/app/main.go:42", file)
	s.waitLink(`File "/app/my app é.py", line 3`, python)
	if to, _, _ := s.linkOf("/app/none.go:7"); to != "" {
		t.Errorf("a file that is not there is linked to %s", to)
	}
	s.keys("2")
	s.keys("?")
	s.wait("Keys · ")
	s.until("no links behind", func(text string) bool {
		cells := s.cells()
		for y := range 40 {
			for x := range 120 {
				if c := cells.CellAt(x, y); c != nil && c.Link.URL != "" {
					return false
				}
			}
		}
		return true
	})
	s.keys("esc")
	s.waitLink("/app/main.go:42", file)
	s.quit()
}

// A path that is broken over two rows is a link in both.
func TestPathsThatAreBrokenAreLinks(t *testing.T) {
	for n := 46; n <= 64; n++ {
		b, file := linkedShop(t)
		b.write("api", strings.Repeat("x", n)+" /app/main.go:42 here and more of it", start)
		s := openScreen(t, b, 80, 24)
		s.keys("2", "w")
		s.wait("of it")
		var linked strings.Builder
		s.until("the link", func(string) bool {
			linked.Reset()
			cells := s.cells()
			for y := range 24 {
				for x := range 80 {
					if c := cells.CellAt(x, y); c != nil && c.Link.URL != "" {
						if !strings.HasSuffix(c.Link.URL, fileURL("", file)[len("file://"):]) {
							t.Errorf("it leads to %s", c.Link.URL)
						}
						linked.WriteString(c.Content)
					}
				}
			}
			return linked.Len() > 0
		})
		if got := linked.String(); got != "/app/main.go:42" {
			t.Errorf("behind %d letters %q is linked:\n%s", n, got, s.text())
		}
		s.quit()
	}
}

func TestEndOfAPathIsNoLinkToAnotherFile(t *testing.T) {
	b, _ := linkedShop(t)
	m, err := newModel(t.Context(), Options{Backend: b, Now: b.clock}, make(chan struct{}))
	if err != nil {
		t.Fatal(err)
	}
	found := []mention{{"/app/main.go:42", "/app/main.go"}, {"main.go:42", "main.go"}}
	for _, key := range found {
		m.links.files[pathOf{"api", key.path}] = foundFile{file: "/x/" + key.path, at: m.e.now}
	}
	for row, want := range map[string]string{
		"app/main.go:42":                "app/main.go:42",
		"main.go:42":                    "[main.go:42]",
		"main.go:421":                   "main.go:421",
		"/app/main.go:42":               "[/app/main.go:42]",
		"x /app/main.go:42, main.go:42": "x [/app/main.go:42], [main.go:42]",
	} {
		one := linkRow{plain: row, end: 80}
		m.links.find(&one, []string{"api"}, found)
		got := withLinks(row, one.spans)
		got = strings.ReplaceAll(got, "\x1b]8;;\x1b\\", "]")
		for {
			a, rest, ok := strings.Cut(got, "\x1b]8;;file://")
			if !ok {
				break
			}
			_, rest, _ = strings.Cut(rest, "\x1b\\")
			got = a + "[" + rest
		}
		if got != want {
			t.Errorf("%q: got %q, want %q", row, got, want)
		}
	}
}

func TestPathsInBuildErrorsAreLinks(t *testing.T) {
	for _, size := range [][2]int{{80, 24}, {200, 50}} {
		b, _ := linkedShop(t)
		file := sourceFile(t, b.snap.Dir, "mail/main.go")
		docker := sourceFile(t, b.snap.Dir, "mail/Dockerfile")
		s := openScreen(t, b, size[0], size[1])
		b.change(func(n *engine.Snapshot) {
			bld := n.Builds[1]
			bld.Ended, bld.Err, bld.Why = start, "build mail: exit code 1", "exit code 1"
			bld.File, bld.Line = docker, 4
			bld.Lines = []string{filepath.Join(b.snap.Dir, "mail/main.go") + ":12:2: undefined: smtpp"}
			n.Builds = []engine.Build{n.Builds[0], bld}
			n.Services[4].State, n.Services[4].Err, n.Services[4].Doing = engine.StateBroken, bld.Err, ""
			n.Services[4].ErrShort, n.Services[4].ErrNamed = bld.Why, true
		})
		s.keys("4", "w")
		s.waitLink("./mail/main.go:12", file) // the list of services has it without the dot
		s.quit()
	}
}

func TestLinksAreOffWhereTheyAreNotShown(t *testing.T) {
	for _, c := range []struct {
		environ []string
		config  Config
		on      bool
	}{
		{environ: []string{"TERM=xterm-256color"}, on: true},
		{environ: []string{"TERM=xterm-256color"}, config: Config{Links: "auto"}, on: true},
		{environ: []string{"TERM=tmux-256color", "TMUX=x"}, on: true},
		{environ: []string{"TERM=xterm-256color"}, config: Config{Links: "off"}},
		{environ: []string{"TERM=xterm-256color"}, config: Config{Theme: "none"}},
		{environ: []string{"TERM=xterm-256color", "NO_COLOR=1"}},
		{environ: []string{"TERM=linux"}},
		{environ: []string{"TERM=dumb"}},
		{environ: []string{"TERM=vt100"}},
		{environ: []string{"TERM=screen", "STY=1.pts"}},
	} {
		b := shop()
		m, err := newModel(t.Context(), Options{Backend: b, Now: b.clock, Environ: c.environ,
			Config: c.config}, make(chan struct{}))
		if err != nil {
			t.Fatal(err)
		}
		if m.links.on != c.on {
			t.Errorf("%v, %+v: on %t", c.environ, c.config, m.links.on)
		}
	}
}

// Lines that bring links and commands of their own, beside paths that lead to files: only our own
// links are in what is shown.
func TestOnlyOwnLinksReachTheTerminal(t *testing.T) {
	b, _ := linkedShop(t)
	odd := sourceFile(t, b.snap.Dir, "api/a;b\u009cc.py")
	for _, text := range []string{
		"\x1b]8;;https://evil.example/\x1b\\/app/main.go:42\x1b]8;;\x1b\\ " + hostile.Log,
		"/app/main.go:42\x1b]8;;file:///etc/passwd\x07 and on",
		"/app/ma\x1b]8;id=1;file:///etc/passwd\x1b\\in.go:42",
		`File "/app/a;b` + "\u009c" + `c.py", line 3`,
	} {
		b.write("api", text, start)
	}
	m, err := newModel(t.Context(), Options{Backend: b, Now: b.clock}, make(chan struct{}))
	if err != nil {
		t.Fatal(err)
	}
	for _, size := range [][2]int{{200, 50}, {80, 24}, {31, 9}} {
		m.Update(tea.WindowSizeMsg{Width: size[0], Height: size[1]})
		m.e.focusPane(paneLogs)
		for range 2 {
			m.dirty = true
			m.View()
			if cmd := m.links.look(); cmd != nil {
				m.Update(cmd())
			}
		}
		text := m.View().Content
		checkRows(t, text, size[0], size[1])
		if bad := hostile.Check(text, true); bad != "" {
			t.Errorf("%v: %s", size, bad)
		}
		if n := strings.Count(text, "\x1b]8;;file://"); size[0] > 80 && n < 3 {
			t.Errorf("%v: %d links", size, n)
		}
		if strings.Contains(text, "passwd") {
			t.Errorf("%v: a foreign link", size)
		}
	}
	if u := fileURL("h", odd); strings.ContainsFunc(u, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		t.Errorf("%q", u)
	}
}

func TestFilesOfLinksAreLookedForAgain(t *testing.T) {
	b, _ := linkedShop(t)
	b.write("api", "/app/later.go:1", start)
	m, err := newModel(t.Context(), Options{Backend: b, Now: b.clock}, make(chan struct{}))
	if err != nil {
		t.Fatal(err)
	}
	m.Update(tea.WindowSizeMsg{Width: 120, Height: 40})
	linked := func() bool {
		m.dirty = true
		m.View()
		if cmd := m.links.look(); cmd != nil {
			m.Update(cmd())
		}
		return strings.Contains(m.View().Content, "later.go\x1b\\")
	}
	if linked() {
		t.Fatal("there is no such file")
	}
	sourceFile(t, b.snap.Dir, "api/later.go")
	if linked() {
		t.Error("the disk is asked with every frame")
	}
	m.e.now = m.e.now.Add(fileAge + time.Second)
	if !linked() {
		t.Error("a file that came later is not linked")
	}
}

// The check itself: what is not exactly a link of the screen's own is found.
func TestCheckTakesOwnLinksOnly(t *testing.T) {
	const end = "\x1b]8;;\x1b\\"
	for text, ok := range map[string]bool{
		"a \x1b]8;;file://host/x/main.go\x1b\\main\x1b[1m.go" + end + " b": true,
		"\x1b]8;;file:///x%20y\x1b\\x" + end:                               true,
		"\x1b]8;;https://host/x\x1b\\x" + end:                              false,
		"\x1b]8;id=1;file:///x\x1b\\x" + end:                               false,
		"\x1b]8;;file:///x\x07x" + end:                                     false,
		"\x1b]8;;file:///x y\x1b\\x" + end:                                 false,
		"\x1b]8;;file:///x\x1b\\x":                                         false,
		"\x1b]8;;file:///x\x1b\\x\n" + end:                                 false,
		"\x1b]8;;file:///x\x1b\\\x1b]0;t\x07" + end:                        false,
		end: false,
	} {
		if bad := hostile.Check(text, true); (bad == "") != ok {
			t.Errorf("%q: %q", text, bad)
		}
	}
}

func TestPathsInEventsAndInspectAreLinks(t *testing.T) {
	b, file := linkedShop(t)
	compose := sourceFile(t, b.snap.Dir, "compose.yaml")
	b.snap.Records = append(b.snap.Records, engine.Record{Seq: 9, Time: start, Kind: "service",
		Service: "api", Err: "/app/main.go:42: undefined"})
	s := openScreen(t, b, 80, 24)
	s.keys("3")
	s.waitLink("/app/main.go:42", file)
	s.keys("i")
	s.waitLink("compose.yaml:12", compose)
	s.keys("esc")
	s.resize(120, 40) // the events have a strip of their own
	s.keys("2")
	s.waitLink("/app/main.go:42", file)
}
