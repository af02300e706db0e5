package engine_test

import (
	"testing"
	"time"

	"bulkhead/engine"
	"bulkhead/engine/container"
	"bulkhead/engine/container/memory"
)

// What another program does to a container is what the row says, until its next life.
func TestWhatAnotherProgramDidIsKnown(t *testing.T) {
	virtually(t, map[string]string{"compose.yaml": "services:\n  a: {image: app, command: [polite]}\n  b: {image: app}\n"}, func(s *scene) {
		s.rt.Program("polite", memory.Program{Handles: []string{"TERM"}, Run: func(p *memory.Process) int { p.Wait(); return 0 }})
		s.up()
		is := func(want engine.Outside, state engine.State) {
			s.t.Helper()
			s.until(want.String(), func(n *engine.Snapshot) bool {
				r := find(n, "a").Replicas[0]
				return r.Outside == want && r.State == state
			})
		}
		id := func() string { return s.instances()["a/1"].ID }
		ctx := s.t.Context()
		s.must(s.rt.Stop(ctx, id(), 10*time.Second))
		is(engine.OutsideStopped, engine.StateExited)
		s.must(s.rt.Start(ctx, container.CreateSpec{}, id()))
		is(engine.OutsideNothing, engine.StateRunning)
		s.must(s.rt.Kill(ctx, id(), "SIGKILL"))
		is(engine.OutsideKilled, engine.StateExited)
		s.do(engine.Command{Verb: engine.VerbStart, Services: []string{"a"}})
		is(engine.OutsideNothing, engine.StateRunning)
		s.must(s.rt.Pause(ctx, id()))
		is(engine.OutsidePaused, engine.StatePaused)
		s.must(s.rt.Unpause(ctx, id()))
		is(engine.OutsideNothing, engine.StateRunning)
		s.must(s.rt.Remove(ctx, id(), true, true))
		is(engine.OutsideRemoved, engine.StateWaiting)
		s.do(engine.Command{Verb: engine.VerbUp, Services: []string{"a"}})
		is(engine.OutsideNothing, engine.StateRunning)
		// What we do ourselves is no other program's act.
		s.do(engine.Command{Verb: engine.VerbStop, Services: []string{"a"}})
		is(engine.OutsideNothing, engine.StateExited)
	})
}

// Who is in a row of crashes when a fault comes proves nothing about it, and what another program does to a bystander is
// not of the fault.
func TestLedgerLeavesOutCrashLoopsAndOtherHands(t *testing.T) {
	file := "services:\n  a: {image: app}\n  b: {image: app}\n  c: {image: app}\n  loop: {image: app, command: [crash], restart: always}\n"
	virtually(t, map[string]string{"compose.yaml": file}, func(s *scene) {
		s.rt.Program("crash", once("", 2*time.Second, 1))
		s.run(engine.Options{})
		s.until("crashes", func(n *engine.Snapshot) bool {
			return find(n, "loop").State == engine.StateCrashing && find(n, "a").State == engine.StateRunning
		})
		s.do(engine.Command{Verb: engine.VerbKill, Services: []string{"a"}})
		s.must(s.rt.Kill(s.t.Context(), s.instances()["b/1"].ID, "SIGKILL"))
		s.until("b is down", func(n *engine.Snapshot) bool { return find(n, "b").State == engine.StateExited })
		time.Sleep(20 * time.Second)             // virtual: the loop goes round
		for _, l := range s.Snapshot().Ledgers { // of a and of b
			for _, r := range l.Rows {
				if r.Service == "loop" || r.Outcome != engine.Untouched {
					s.t.Errorf("%s: %s: %s (%s)", l.Service, r.Service, r.Outcome, r.Sign)
				}
			}
			if want := map[string]int{"a": 1, "b": 2}[l.Service]; l.Down != want {
				s.t.Errorf("%s: %d are left out, want %d", l.Service, l.Down, want)
			}
		}
	})
}

// A kill by another program has its ledger, as one of ours has.
func TestLedgerOfAKillByAnotherProgram(t *testing.T) {
	virtually(t, map[string]string{"compose.yaml": "services:\n  a: {image: app}\n  b: {image: app}\n"}, func(s *scene) {
		s.up()
		s.must(s.rt.Kill(s.t.Context(), s.instances()["a/1"].ID, "SIGKILL"))
		s.until("the ledger", func(n *engine.Snapshot) bool { return len(n.Ledgers) == 1 })
		l := s.Snapshot().Ledgers[0]
		if l.Service != "a" || l.Replica != 0 || l.Fault != "SIGKILL" || len(l.Rows) != 1 || l.Rows[0].Service != "b" || l.Rows[0].Outcome != engine.Untouched {
			s.t.Errorf("%+v", l)
		}
		s.until("its end", func(n *engine.Snapshot) bool { return find(n, "a").State == engine.StateExited })
		s.do(engine.Command{Verb: engine.VerbUp, Services: []string{"a"}})
		s.until("it is over", func(n *engine.Snapshot) bool { return n.Ledgers[0].BackIn > 0 })
	})
}
