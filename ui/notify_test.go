package ui

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"bulkhead/engine"
)

func TestNotificationsHoldNothingButTheirText(t *testing.T) {
	for _, c := range []struct {
		how  string
		tmux bool
		want string
	}{
		{"", false, "\x07"}, {"bell", true, "\x07"},
		{"osc9", false, "\x1b]9;bulkhead: api exited 1, twice\x1b\\"},
		{"osc777", false, "\x1b]777;notify;bulkhead;api exited 1, twice\x1b\\"},
		{"osc9", true, "\x1bPtmux;\x1b\x1b]9;bulkhead: api exited 1, twice\x1b\x1b\\\x1b\\"},
	} {
		if got := notification(c.how, "api \x1b[31mexited\x1b[m 1;\x07 twice\u009b\n", c.tmux); got != c.want {
			t.Errorf("%s: %q, want %q", c.how, got, c.want)
		}
	}
}

func TestNoByteOfATitleEndsItEarly(t *testing.T) {
	if got := commandText("✗ worker\x1b]2;x\x07 · ● ✓"); strings.IndexByte(got, 0x9c) >= 0 ||
		got != "? worker · ● ?" {
		t.Errorf("%q", got)
	}
}

func TestAlarmIsForCrashesAndFailedBuilds(t *testing.T) {
	for _, c := range []struct {
		r    engine.Record
		want bool
	}{
		{engine.Record{Kind: "service", State: engine.StateExited, HasExit: true, ExitCode: 1,
			Cause: engine.EndedByItself}, true},
		{engine.Record{Kind: "service", State: engine.StateExited, HasExit: true, ExitCode: 137,
			Cause: "you pressed K"}, false},
		{engine.Record{Kind: "service", State: engine.StateExited, HasExit: true,
			Cause: engine.EndedByItself}, false},
		{engine.Record{Kind: "build", Err: "exit code 1"}, true},
		{engine.Record{Kind: "service", State: engine.StateBroken}, true},
		{engine.Record{Kind: "service", State: engine.StateRunning}, false},
	} {
		if alarming(&c.r) != c.want {
			t.Errorf("%+v: not %v", c.r, c.want)
		}
	}
}

func TestTitleTellsTheWorst(t *testing.T) {
	s := openScreen(t, shop(), 80, 24)
	s.until("the title", func(string) bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.title == "! worker exited 1 · shop · bulkhead"
	})
	s.b.change(func(n *engine.Snapshot) {
		for i := range n.Services {
			n.Services[i].State, n.Services[i].Health = engine.StateRunning, engine.Healthy
		}
	})
	s.until("the calm title", func(string) bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.title == "shop · bulkhead"
	})
	s.quit()
}

func TestProgressOfBuildsIsShownWhereItIsKnown(t *testing.T) {
	m, f := load(t, 7, 80, 24)
	state := func(env ...string) string {
		m.e.opts.Environ = env
		p := m.notify.progress()
		if p == nil {
			return "none"
		}
		return fmt.Sprint(p.State, p.Value)
	}
	if got := state(); got != "none" {
		t.Errorf("in a terminal that nobody knows: %s", got)
	}
	const ghostty = "TERM_PROGRAM=ghostty"
	if got, want := state(ghostty), fmt.Sprint(tea.ProgressBarDefault, 42); got != want {
		t.Errorf("3 of 7 steps: %s, want %s", got, want)
	}
	f.snap.Builds[1].Total = 0
	m.refresh()
	if got, want := state(ghostty), fmt.Sprint(tea.ProgressBarIndeterminate, 0); got != want {
		t.Errorf("no step is known: %s, want %s", got, want)
	}
	f.snap.Builds[1].Ended, f.snap.Builds[1].Err = start, "exit code 1"
	m.refresh()
	if got, want := state(ghostty), fmt.Sprint(tea.ProgressBarError, 100); got != want {
		t.Errorf("it failed: %s, want %s", got, want)
	}
	f.now = f.now.Add(2 * shownFailure)
	m.refresh()
	if got := state(ghostty); got != "none" {
		t.Errorf("some time after: %s", got)
	}
	m.e.opts.Config.Progress = "off"
	f.snap.Builds[1].Ended = time.Time{}
	if got := state(ghostty); got != "none" {
		t.Errorf("off: %s", got)
	}
}

func TestHintIsShownOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	for _, first := range []bool{true, false} {
		s := openScreen(t, shop(), 80, 24, func(o *Options) {
			o.StateDir = dir
			o.Config.Keys = map[string][]string{"kill": {"ctrl+x"}}
		})
		text := s.wait("GET /orders")
		if strings.Contains(text, "new here?  j/k selects   / searches logs   ctrl+x kills") != first {
			t.Errorf("first %v: %s", first, text)
		}
		s.keys("j")
		s.gone("new here?")
		s.quit()
	}
}
