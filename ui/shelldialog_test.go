package ui

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/charmbracelet/x/vt"

	"bulkhead/engine"
)

// slowShell is a shop whose shell is found when held is closed, and then notes what it reads until a line says exit.
func slowShell(held <-chan struct{}) *fake {
	f := shop()
	f.exec = func(ctx context.Context, o engine.ExecOptions) (int, error) {
		if !o.TTY {
			select {
			case <-held:
				return 0, nil
			case <-ctx.Done():
				f.note("search ended")
				return 0, ctx.Err()
			}
		}
		fmt.Fprint(o.Stdout, "$ ")
		var typed string
		for buf := make([]byte, 7); !strings.HasSuffix(typed, "exit\r"); {
			n, err := o.Stdin.Read(buf)
			if err != nil {
				return 0, err
			}
			typed += string(buf[:n])
		}
		f.note("typed " + typed)
		return 0, nil
	}
	return f
}

// acts are the commands that the engine was given.
func (f *fake) acts() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(f.heard), func(s string) bool {
		return strings.HasPrefix(s, "attention") || strings.HasPrefix(s, "older") ||
			strings.HasPrefix(s, "typed") || s == "search ended"
	})
}

// typed is what the shell read, without the terminal's own answers to questions of before.
func (f *fake) typed() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range f.heard {
		if text, ok := strings.CutPrefix(s, "typed "); ok {
			return text
		}
	}
	return ""
}

func TestKeysTypedBeforeAShellIsOpenAreForTheShell(t *testing.T) {
	held := make(chan struct{})
	f := slowShell(held)
	s := openScreen(t, f, 80, 24)
	s.wait("api")
	io.WriteString(s.InputPipe(), "els /\r")
	s.wait("opening a shell in api, esc cancels", "5 keys typed ahead")
	s.p.Send(tea.PasteMsg{Content: "K\nX"})
	s.wait("8 keys typed ahead")
	io.WriteString(s.InputPipe(), "\x1b[A\x04exit\r")
	close(held)
	s.wait("back from api")
	if got, want := f.typed(), "ls /\rK\rX\x1b[A\x04exit\r"; got != want {
		t.Errorf("the shell read %q, want %q", got, want)
	}
	if acts := f.acts(); len(acts) > 0 {
		t.Errorf("keys acted on services: %q", acts)
	}
	s.quit()
}

// A person who types fast does so while the terminal changes hands, too: not one key is lost, out
// of order, or taken by the screen.
func TestNoKeyIsLostWhileTheTerminalChangesHands(t *testing.T) {
	for round := range 20 {
		held := make(chan struct{})
		f := slowShell(held)
		s := openScreen(t, f, 80, 24)
		s.wait("api")
		io.WriteString(s.InputPipe(), "e")
		s.wait("opening a shell")
		var want strings.Builder
		for i := range 300 {
			if i == 100+round*5 {
				close(held)
			}
			key := string("sKRbuXpq"[i%8])
			want.WriteString(key)
			io.WriteString(s.InputPipe(), key)
		}
		io.WriteString(s.InputPipe(), "exit\r")
		s.wait("back from api")
		if got := f.typed(); !strings.HasSuffix(got, want.String()+"exit\r") {
			t.Fatalf("round %d: the shell read %q", round, got)
		}
		if acts := f.acts(); len(acts) > 0 {
			t.Fatalf("round %d: keys acted on services: %q", round, acts)
		}
		s.keys("j")
		s.wait("> ‖ cache")
		s.quit()
	}
}

func TestEscGivesUpAShellThatIsBeingOpened(t *testing.T) {
	for _, key := range []string{"esc", "ctrl+c"} {
		t.Run(key, func(t *testing.T) {
			held := make(chan struct{})
			f := slowShell(held)
			s := openScreen(t, f, 80, 24)
			s.wait("api")
			s.keys("e", "ls")
			s.wait("2 keys typed ahead")
			s.keys(key)
			s.gone("opening a shell")
			end := time.Now().Add(time.Minute)
			for !f.told("search ended") {
				if time.Now().After(end) {
					t.Fatal("the search goes on")
				}
				time.Sleep(time.Millisecond)
			}
			s.keys("j", "j")
			s.wait("> ● db")
			if acts := f.acts(); len(acts) > 0 || f.typed() != "" {
				t.Errorf("keys acted: %q, typed %q", acts, f.typed())
			}
			s.quit()
		})
	}
}

// sendWhileWriting sends from within a write to the terminal. The loop that takes it may be waiting for the
// end of that write, so it is waited for only until it stands in the queue, first of all that follow.
func sendWhileWriting(s *screen, msg tea.Msg) {
	taken := make(chan struct{})
	go func() {
		defer close(taken)
		s.p.Send(msg)
	}()
	select {
	case <-taken:
	case <-time.After(100 * time.Millisecond):
	}
}

// Given up when the terminal is on its way already: the screen comes back and takes keys.
func TestShellGivenUpAtTheLastMomentGivesTheTerminalBack(t *testing.T) {
	held := make(chan struct{})
	f := slowShell(held)
	s := openScreen(t, f, 80, 24)
	s.wait("api")
	s.keys("e")
	s.wait("opening a shell")
	var once sync.Once
	s.SetCallbacks(vt.Callbacks{AltScreen: func(on bool) {
		if !on { // the screen has just left
			once.Do(func() { sendWhileWriting(s, tea.KeyPressMsg{Code: tea.KeyEscape}) })
		}
	}})
	close(held)
	s.gone("opening a shell")
	io.WriteString(s.InputPipe(), "j")
	s.wait("> ‖ cache")
	if f.typed() != "" {
		t.Error("a shell had the terminal")
	}
	s.quit()
}

// The program that is ended from outside while a shell has the terminal ends the shell first.
func TestEndFromOutsideEndsTheShellFirst(t *testing.T) {
	f := shop()
	f.exec = func(ctx context.Context, o engine.ExecOptions) (int, error) {
		if !o.TTY {
			return 0, nil
		}
		fmt.Fprint(o.Stdout, "in the shell")
		<-ctx.Done()
		f.note("shell ended")
		return 0, ctx.Err()
	}
	s := openScreen(t, f, 80, 24)
	s.wait("api")
	s.keys("e")
	s.wait("in the shell")
	s.cancel()
	if o, err := s.end(); o != engine.EndLeave || err != nil {
		t.Errorf("it ended with %v, %v", o, err)
	}
	if !f.told("shell ended") {
		t.Error("the shell goes on")
	}
	if s.IsAltScreen() {
		t.Error("the terminal is not as it was")
	}
}

func TestKeysAreSentAsATerminalDoes(t *testing.T) {
	for want, k := range map[string]tea.KeyPressMsg{
		"a": {Code: 'a', Text: "a"}, "A": {Code: 'a', Mod: tea.ModShift, Text: "A"},
		"é": {Code: 'é', Text: "é"}, " ": {Code: tea.KeySpace, Text: " "},
		"\r": {Code: tea.KeyEnter}, "\t": {Code: tea.KeyTab}, "\x1b[Z": {Code: tea.KeyTab,
			Mod: tea.ModShift}, "\x7f": {Code: tea.KeyBackspace},
		"\x04": {Code: 'd', Mod: tea.ModCtrl}, "\x1bb": {Code: 'b', Mod: tea.ModAlt},
		"\x1b[A": {Code: tea.KeyUp}, "\x00": {Code: tea.KeySpace, Mod: tea.ModCtrl},
		"\x1b[3~": {Code: tea.KeyDelete}, "\x1c": {Code: '\\', Mod: tea.ModCtrl},
		"": {Code: tea.KeyF5}, "\x1b\r": {Code: tea.KeyEnter, Mod: tea.ModAlt},
	} {
		if got := keyBytes(k); got != want {
			t.Errorf("%s is sent as %q, want %q", k.Keystroke(), got, want)
		}
	}
}

// A shell that ends under the hands of a person, as when its container is replaced: what is typed on acts on nothing.
func TestKeysAfterAShellIsLostActOnNothing(t *testing.T) {
	f := shop()
	f.exec = func(_ context.Context, o engine.ExecOptions) (int, error) {
		if o.TTY {
			return 137, nil
		}
		return 0, nil
	}
	s := openScreen(t, f, 80, 24)
	s.wait("api")
	s.keys("e")
	s.wait("the shell in api has ended, esc goes back", "it was ended from outside (code 137)")
	s.keys("ls /K", "enter", "r")
	s.keys("esc")
	s.gone("has ended, esc")
	s.keys("j")
	s.wait("> ‖ cache")
	if acts := f.acts(); len(acts) > 0 {
		t.Errorf("keys acted on services: %q", acts)
	}
	s.quit()
}
