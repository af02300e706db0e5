package engine_test

import (
	"strings"
	"testing"
	"time"

	"bulkhead/engine"
	"bulkhead/engine/container/memory"
)

// slowHook is a service whose post_start hook takes a while.
func slowHook(t *testing.T, takes time.Duration, play func(s *scene)) {
	virtually(t, map[string]string{"compose.yaml": "services:\n  a: {image: app, post_start: [{command: [fill]}]}\n"}, func(s *scene) {
		s.rt.Program("fill", memory.Program{Run: func(p *memory.Process) int {
			p.Sleep(takes)
			return 0
		}})
		play(s)
	})
}

func TestPostStartTakesAsLongAsItTakes(t *testing.T) {
	slowHook(t, time.Hour, func(s *scene) {
		began := time.Now()
		s.run(engine.Options{})
		s.must(s.WaitUp(s.t.Context(), engine.Wait{}))
		if took := time.Since(began); took < time.Hour { // virtual
			s.t.Errorf("up was done after %v, before its hook", took)
		}
	})
}

func TestStopEndsAPostStartHook(t *testing.T) {
	slowHook(t, 1000*time.Hour, func(s *scene) {
		s.run(engine.Options{})
		s.until("its start", func(n *engine.Snapshot) bool {
			return find(n, "a").Replicas != nil && s.identities()["a/1"].Started != time.Time{}
		})
		s.do(engine.Command{Verb: engine.VerbStop, Services: []string{"a"}})
		if st := s.instances()["a/1"].State; st != engine.StateExited {
			s.t.Errorf("it is %s", st)
		}
	})
}

func TestAPreStopHookThatDoesNotEndIsNamedAndHoldsNoStopUp(t *testing.T) {
	virtually(t, map[string]string{"compose.yaml": "services:\n  a: {image: app, pre_stop: [{command: [drain]}]}\n"}, func(s *scene) {
		s.rt.Program("drain", memory.Program{Run: func(p *memory.Process) int {
			p.Sleep(1000 * time.Hour)
			return 0
		}})
		s.run(engine.Options{})
		s.must(s.WaitUp(s.t.Context(), engine.Wait{}))
		err := s.Do(s.t.Context(), engine.Command{Verb: engine.VerbStop, Services: []string{"a"}})
		if err == nil || !engine.OnlyHooks(err) {
			s.t.Fatalf("the stop's error is %v", err)
		}
		for _, want := range []string{"pre_stop hook of a", `["drain"]`, "had not ended after 1m30s"} {
			if !strings.Contains(err.Error(), want) {
				s.t.Errorf("%q is not in: %v", want, err)
			}
		}
		if st := s.instances()["a/1"].State; st != engine.StateExited {
			s.t.Errorf("it is %s", st)
		}
	})
}
