package engine_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"bulkhead/engine"
	"bulkhead/engine/container"
	"bulkhead/engine/container/memory"
	"bulkhead/engine/fault"
)

// counting prints a number each second until it is stopped.
func counting(p *memory.Process) int {
	for n := 0; ; n++ {
		p.Print("n %d", n)
		select {
		case <-p.Signals:
			return 0
		case <-p.Killed:
			return 0
		case <-time.After(time.Second):
		}
	}
}

// counted checks that all lines of a service are there, each once and in order, and
// returns how many.
func (s *scene) counted(service string) int {
	s.t.Helper()
	all := s.numbered(service)
	for i, n := range all {
		if n != i {
			s.t.Fatalf("line %d stands at place %d of %d\n%s", n, i, len(all), s.dump())
		}
	}
	return len(all)
}

func counters(t *testing.T, play func(s *scene)) {
	virtually(t, map[string]string{"compose.yaml": "services:\n  a: {image: app, command: [count]}\n  b: {image: app}\n"}, func(s *scene) {
		s.rt.Program("count", memory.Program{Handles: []string{"TERM"}, Run: counting})
		s.run(engine.Options{NoStats: true})
		s.ready()
		play(s)
	})
}

func TestEngineThatWasGoneIsFoundAgainWithAllThatHappened(t *testing.T) {
	counters(t, func(s *scene) {
		before := s.identities()
		s.rt.SetGone(true)
		s.until("word of the loss", func(n *engine.Snapshot) bool { return n.Phase == engine.PhaseLost })
		time.Sleep(10 * time.Minute)
		s.rt.SetGone(false)
		s.until("the connection again", func(n *engine.Snapshot) bool { return n.Phase == engine.PhaseRunning })
		for name, now := range s.identities() {
			if now != before[name] {
				s.t.Errorf("%s moved: %+v, was %+v", name, now, before[name])
			}
		}
		time.Sleep(time.Minute)
		if n := s.counted("a"); n < 11*60 {
			s.t.Errorf("%d lines, want one for each second", n)
		}
	})
}

func TestEventsThatWereLostWithTheirStreamAreMadeUpFor(t *testing.T) {
	counters(t, func(s *scene) {
		id := s.identities()["a/1"].ID
		s.rt.LoseEvents(func(container.Event) bool { return true })
		s.must(s.rt.Kill(s.t.Context(), id, "KILL"))
		time.Sleep(time.Minute)
		s.rt.LoseEvents(nil)
		s.rt.CutEvents()
		n := s.until("the end of a", func(n *engine.Snapshot) bool { return find(n, "a").State == engine.StateExited })
		if a := find(n, "a"); a.ExitCode != 137 {
			s.t.Errorf("a ended with %d", a.ExitCode)
		}
		s.must(s.rt.Start(s.t.Context(), container.CreateSpec{}, id))
		n = s.until("its next life", func(n *engine.Snapshot) bool { return find(n, "a").State == engine.StateRunning })
		if a := find(n, "a"); a.Generation != 2 {
			s.t.Errorf("its next life is generation %d", a.Generation)
		}
	})
}

func TestLogThatIsCutAgainAndAgainLosesNoLine(t *testing.T) {
	counters(t, func(s *scene) {
		for range 50 {
			time.Sleep(7 * time.Second)
			s.rt.CutLogs()
		}
		time.Sleep(10 * time.Second)
		if n := s.counted("a"); n < 350 {
			s.t.Errorf("%d lines, want one for each second", n)
		}
	})
}

func TestErrorOfTheRuntimeEndsOneCommandAndTheNextOneIsCarriedOut(t *testing.T) {
	for _, method := range []string{"Create", "Start", "Inspect", "Stop", "Remove"} {
		t.Run(method, func(t *testing.T) {
			counters(t, func(s *scene) {
				boom := errors.New("the disk is full")
				s.do(engine.Command{Verb: engine.VerbDown, Services: []string{"a"}})
				heal := s.rt.Inject(memory.Fault{Method: method, Err: boom})
				up := engine.Command{Verb: engine.VerbUp, Services: []string{"a"}}
				down := engine.Command{Verb: engine.VerbDown, Services: []string{"a"}}
				ctx := s.t.Context()
				err := s.Do(ctx, up)
				if err == nil {
					err = s.Do(ctx, down)
				}
				if err == nil || !strings.Contains(err.Error(), "the disk is full") || strings.Contains(err.Error(), "\n") {
					s.t.Errorf("with a fault of %s: %v", method, err)
				}
				heal()
				s.do(up)
				s.ready()
				if got := fmt.Sprint(s.instances()["a/1"].State, " ", s.instances()["b/1"].State); got != "running running" {
					s.t.Errorf("healed, they are %s\n%s", got, s.dump())
				}
			})
		})
	}
}

// A stop whose answer takes long is carried out once, and shown until it is over.
func TestSlowAnswersAreWaitedFor(t *testing.T) {
	counters(t, func(s *scene) {
		for _, method := range []string{"Stop", "Start", "Inspect"} {
			s.rt.Inject(memory.Fault{Method: method, Delay: 20 * time.Second, Every: 2})
		}
		for range 3 {
			s.do(engine.Command{Verb: engine.VerbRestart, Services: []string{"a"}})
			s.ready()
		}
		if n := s.rt.Calls("Stop"); n != 3 {
			s.t.Errorf("%d stops for three restarts", n)
		}
		a := find(s.Snapshot(), "a")
		if a.Generation != 4 || a.State != engine.StateRunning {
			s.t.Errorf("a is generation %d, %s", a.Generation, a.State)
		}
	})
}

// A fault whose injection takes long holds nobody up: not the commands for other services, nor the end
// of other faults. What a person does to its own service meanwhile ends it, once it is in force.
func TestSlowFaultHoldsNobodyUp(t *testing.T) {
	files := map[string]string{"compose.yaml": "services:\n  a: {image: app, command: [slow], stop_grace_period: 5m}\n  b: {image: app}\n  c: {image: app}\n"}
	virtually(t, files, func(s *scene) {
		s.rt.Program("slow", program("hi", 4*time.Minute, "bye", 0))
		s.up()
		stop, err := fault.Parse("stop", "a")
		s.must(err)
		pause, err := fault.Parse("pause", "c")
		s.must(err)
		pause.For = 10 * time.Second
		injected := make(chan error, 1)
		go func() { injected <- s.Do(s.t.Context(), engine.Command{Verb: engine.VerbFault, Fault: &stop}) }()
		time.Sleep(time.Second)
		began := time.Now()
		s.do(engine.Command{Verb: engine.VerbRestart, Services: []string{"b"}})
		s.do(engine.Command{Verb: engine.VerbFault, Fault: &pause})
		s.until("c is healed", func(n *engine.Snapshot) bool {
			return len(n.Faults) == 1 && find(n, "c").State == container.StateRunning
		})
		if took := time.Since(began); took > 2*time.Minute { // virtual
			t.Errorf("a restart and a fault of 10 s took %s beside the injection of another fault", took)
		}
		// A person wants a to run: that is done once it has stopped, and no fault is left.
		wanted := make(chan error, 1)
		go func() { wanted <- s.Do(s.t.Context(), engine.Command{Verb: engine.VerbUp, Services: []string{"a"}}) }()
		s.must(<-injected)
		s.must(<-wanted)
		s.until("a runs, without a fault", func(n *engine.Snapshot) bool {
			return len(n.Faults) == 0 && find(n, "a").State == container.StateRunning
		})
	})
}
