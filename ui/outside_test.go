package ui

import (
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"

	"bulkhead/engine"
)

// What another program took down is neither done nor waiting, and u brings it back.
func TestWhatAnotherProgramTookDownSaysSo(t *testing.T) {
	for _, c := range []struct {
		did         engine.Outside
		state       engine.State
		exit        int
		sign, shown string
		wide, short string
	}{
		{engine.OutsideStopped, engine.StateExited, 0, "✗", "exited 0",
			"stopped 5s ago by another program", "stopped outside"},
		{engine.OutsideKilled, engine.StateExited, 137, "✗", "exited 137",
			"killed 5s ago by another program", "killed outside"},
		{engine.OutsidePaused, engine.StatePaused, 0, "‖", "paused",
			"paused 5s ago by another program", "paused outside"},
		{engine.OutsideRemoved, engine.StateWaiting, 0, "✗", "removed",
			"removed 5s ago by another program", "removed outside"},
		{engine.OutsideNothing, engine.StateExited, 0, "✓", "exited 0", "done 5s ago", "done 5s ago"},
	} {
		m, f := load(t, 7, 80, 24)
		s := &f.snap.Services[0]
		s.State, s.ExitCode, s.Since, s.Last, s.Stale, s.Wanted = c.state, c.exit,
			f.now.Add(-5*time.Second), nil, nil, 1
		s.Replicas = []engine.Replica{{Number: 1, State: c.state, ExitCode: c.exit, Outside: c.did,
			Finished: s.Since}}
		f.snap.Seq++
		m.refresh()
		sign, _ := signOf(s)
		wide, short := ansi.Strip(lastChange(&m.e.st, s, f.now, 40)),
			ansi.Strip(lastChange(&m.e.st, s, f.now, 16))
		if sign != c.sign || stateText(s) != c.shown || wide != c.wide || short != c.short {
			t.Errorf("%s: %s %s, %q, %q", c.did, sign, stateText(s), wide, short)
		}
	}
}

// Before a drill the pane says who is not well, and lets it be left out.
func TestDrillSetupSaysWhoIsNotWell(t *testing.T) {
	s := openScreen(t, shop(), 120, 40)
	s.keys("I")
	s.wait("Isolation drill", "gw: with that the drill does not begin   a leaves it out")
	s.keys("a")
	s.wait("gw: left out   a changes it")
	s.keys("enter")
	s.until("the drill", func(string) bool {
		return s.b.told("drill kill of [], volumes false, unhealthy ones left out")
	})
}
