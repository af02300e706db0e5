package engine_test

import (
	"strings"
	"testing"
	"time"

	"bulkhead/engine"
	"bulkhead/engine/container"
	"bulkhead/engine/container/memory"
)

// An engine whose streams are open and silent is noticed, and what they did not bring is looked for
// when it answers again.
func TestEngineThatFallsSilentIsWaitedFor(t *testing.T) {
	virtually(t, rebuilt(""), func(s *scene) {
		s.rt.Program("show", memory.Program{Handles: []string{"TERM"}, Run: show})
		s.up()
		began := time.Now()
		s.rt.Inject(memory.Fault{Method: "Ping", Times: 1, Delay: 40 * time.Second})
		s.rt.LoseEvents(func(container.Event) bool { return true })
		s.until("lost", func(n *engine.Snapshot) bool { return n.Phase == engine.PhaseLost })
		if took := time.Since(began); took > 6*time.Second {
			t.Errorf("noticed after %s", took)
		}
		all, err := s.rt.Instances(t.Context(), s.name)
		s.must(err)
		for _, in := range all {
			if in.Service == "a" {
				s.must(s.rt.Kill(t.Context(), in.ID, "KILL"))
			}
		}
		s.until("found", func(n *engine.Snapshot) bool {
			return n.Phase == engine.PhaseRunning && find(n, "a").Replicas[0].State == engine.StateExited
		})
		said := 0
		recs, _ := s.Records(0)
		for _, r := range recs {
			if strings.Contains(r.Text, "waiting for the engine") {
				said++
			}
		}
		if said != 1 {
			t.Errorf("said %d times", said)
		}
	})
}
