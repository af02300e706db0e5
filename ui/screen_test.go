package ui

import (
	"context"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"
	uv "github.com/charmbracelet/ultraviolet"
	"github.com/charmbracelet/x/ansi"
	"github.com/charmbracelet/x/vt"
	"go.uber.org/goleak"

	"bulkhead/engine"
)

var update = flag.Bool("update", false, "rewrite the golden screens")

func TestMain(m *testing.M) {
	time.Local = time.UTC // the screen shows local times, the golden files those of nowhere
	// Bubble Tea's input reader does not look at its context while it hands on what came in just before the end; the
	// process is ending then, so nothing is lost but this goroutine.
	goleak.VerifyTestMain(m,
		goleak.IgnoreTopFunction("github.com/charmbracelet/ultraviolet.(*TerminalReader).sendEvents"))
}

// screen is a person's terminal with the program on it.
type screen struct {
	*vt.SafeEmulator
	t       *testing.T
	b       *fake
	prog    chan *tea.Program
	p       *tea.Program
	done    chan struct{}
	outcome engine.Ending
	err     error
	cancel  context.CancelFunc

	mu    sync.Mutex
	title string
}

// openScreen shows the fake's project on a terminal of w by h.
func openScreen(t *testing.T, b *fake, w, h int, change ...func(*Options)) *screen {
	t.Helper()
	s := &screen{SafeEmulator: vt.NewSafeEmulator(w, h), t: t, b: b, done: make(chan struct{})}
	io.WriteString(s, "\x1b[20h") // with no tty bare LF is written; LF then implies CR
	s.SetCallbacks(vt.Callbacks{Title: func(title string) { s.mu.Lock(); s.title = title; s.mu.Unlock() }})
	// The emulator's answers go through a pipe without a buffer: somebody must always be reading, a shell or not.
	in, keyboard, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	pumped := make(chan struct{})
	go func() {
		defer close(pumped)
		io.Copy(keyboard, s.SafeEmulator)
	}()
	o := Options{
		Backend: b, Stdin: in, Stdout: s, Environ: []string{"TERM=xterm-256color"}, Version: "test",
		Now:     b.clock,
		OpenURL: func(url string) error { b.note("open " + url); return nil },
		run: func(_ context.Context, _ []string, input, name string, args ...string) (string, error) {
			return b.command(input, strings.Join(append([]string{name}, args...), " "))
		},
		program: []tea.ProgramOption{tea.WithWindowSize(w, h), tea.WithColorProfile(colorprofile.TrueColor)},
	}
	for _, c := range change {
		c(&o)
	}
	s.prog = make(chan *tea.Program, 1)
	o.started = func(p *tea.Program) { s.prog <- p }
	ctx, cancel := context.WithCancel(t.Context())
	s.cancel = cancel
	go func() {
		defer close(s.done)
		s.outcome, s.err = Run(ctx, o)
	}()
	t.Cleanup(func() {
		cancel()
		s.end()
		s.InputPipe().(io.Closer).Close()
		<-pumped
		keyboard.Close()
		in.Close()
	})
	select {
	case s.p = <-s.prog:
	case <-s.done:
		t.Fatalf("the screen ended at once: %v", s.err)
	}
	return s
}

// end waits for Run.
func (s *screen) end() (engine.Ending, error) {
	s.t.Helper()
	select {
	case <-s.done:
	case <-time.After(patience):
		s.t.Fatalf("the screen does not end:\n%s", s.text())
	}
	return s.outcome, s.err
}

func (s *screen) text() string {
	lines := strings.Split(ansi.Strip(s.Render()), "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " \r")
	}
	return strings.Join(lines, "\n")
}

// wait waits until all of want are seen.
func (s *screen) wait(want ...string) string {
	s.t.Helper()
	return s.until(strings.Join(want, " and "), func(text string) bool {
		for _, w := range want {
			if !strings.Contains(text, w) {
				return false
			}
		}
		return true
	})
}

// gone waits until something is not seen any more.
func (s *screen) gone(what string) string {
	s.t.Helper()
	return s.until("no "+what, func(text string) bool { return !strings.Contains(text, what) })
}

func (s *screen) until(what string, ok func(string) bool) string {
	s.t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(2 * time.Millisecond) {
		text := s.text()
		if ok(text) {
			return text
		}
		if time.Now().After(end) {
			s.t.Fatalf("waited for %s; the screen shows:\n%s", what, text)
		}
		select {
		case <-s.done:
			s.t.Fatalf("the screen ended (%v) while waiting for %s:\n%s", s.err, what, text)
		default:
		}
	}
}

// keys presses keys, one by one; words are names of keys, all else is typed.
func (s *screen) keys(keys ...string) {
	special := map[string]uv.KeyPressEvent{
		"enter": {Code: uv.KeyEnter}, "esc": {Code: uv.KeyEscape}, "tab": {Code: uv.KeyTab},
		"up": {Code: uv.KeyUp}, "down": {Code: uv.KeyDown},
		"left": {Code: uv.KeyLeft}, "right": {Code: uv.KeyRight}, "space": {Code: uv.KeySpace,
			Text: " "}, "end": {Code: uv.KeyEnd},
		"backspace": {Code: uv.KeyBackspace}, "pgdown": {Code: uv.KeyPgDown}, "pgup": {Code: uv.KeyPgUp},
	}
	for _, k := range keys {
		if e, ok := special[k]; ok {
			s.p.Send(tea.KeyPressMsg(e))
			continue
		}
		if c, ok := strings.CutPrefix(k, "ctrl+"); ok {
			s.p.Send(tea.KeyPressMsg{Code: rune(c[0]), Mod: tea.ModCtrl})
			continue
		}
		for _, r := range k {
			s.p.Send(tea.KeyPressMsg{Code: r, Text: string(r)})
		}
	}
}

// resize changes the terminal's size.
func (s *screen) resize(w, h int) {
	s.SafeEmulator.Resize(w, h)
	s.p.Send(tea.WindowSizeMsg{Width: w, Height: h})
}

// golden compares the screen with a file, once nothing moves any more.
func (s *screen) golden(name string) {
	s.t.Helper()
	s.compare(filepath.Join("testdata", name+".golden"), s.text)
}

// quit ends the screen as a person does.
func (s *screen) quit() {
	s.t.Helper()
	s.keys("q")
	s.wait("leave them running")
	s.keys("l")
	if o, err := s.end(); err != nil && !errors.Is(err, tea.ErrProgramKilled) || o != engine.EndLeave {
		s.t.Errorf("the screen ended with %v, %v", o, err)
	}
}
