package engine_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"bulkhead/engine"
	"bulkhead/engine/container"
	"bulkhead/engine/container/memory"
)

// One wrong answer anywhere in a swap is put right by the lane itself, at once: the new generation
// runs, under its own name, and nothing else is left. It makes no difference whether the call was
// carried out.
func TestOneWrongAnswerInASwapIsPutRight(t *testing.T) {
	for _, method := range []string{"Create", "Start", "Stop", "Kill", "Inspect", "Rename", "Remove", "Image", "FindNetwork", "EnsureNetwork", "Instances"} {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, carried out %t", method, after), func(t *testing.T) {
				virtually(t, rebuilt(""), func(s *scene) {
					s.rt.Program("show", memory.Program{Handles: []string{"TERM"}, Run: show})
					s.up()
					for every := 1; every <= 4; every++ {
						text := fmt.Sprintf("version %d", every+1)
						s.write(map[string]string{"a/text": text})
						heal := s.rt.Inject(memory.Fault{Method: method, Every: every, Times: 1, After: after, Err: errors.New("fake engine error")})
						s.do(engine.Command{Verb: engine.VerbRebuild, Services: []string{"a"}})
						heal()
						s.ready()
						s.line("a", text)
						s.eventually("one container each", func() bool {
							all, err := s.rt.Instances(t.Context(), s.name)
							s.must(err)
							var names []string
							for _, in := range all {
								names = append(names, in.Name)
							}
							return len(all) == 2 && !strings.Contains(strings.Join(names, " "), "_") && find(s.Snapshot(), "a").Err == ""
						})
					}
				})
			})
		}
	}
}

// A start that the engine's absence cut short goes on when it is back.
func TestStartGoesOnWhenTheEngineIsBack(t *testing.T) {
	virtually(t, rebuilt(""), func(s *scene) {
		s.rt.Program("show", memory.Program{Handles: []string{"TERM"}, Run: show})
		heal := s.rt.Inject(memory.Fault{Method: "Create", Err: fmt.Errorf("%w: cut", engine.ErrNoEngine)})
		s.run(engine.Options{})
		s.until("the failure", func(n *engine.Snapshot) bool { return find(n, "a").Err != "" })
		heal()
		s.until("ready", func(n *engine.Snapshot) bool { return n.Ready })
		s.line("a", "version 1")
	})
}

// What is known of a container's name may be from before the engine was away: the next swap takes it
// from the old container all the same.
func TestSwapGoesByTheNameThatTheOldContainerHas(t *testing.T) {
	virtually(t, rebuilt(""), func(s *scene) {
		s.rt.Program("show", memory.Program{Handles: []string{"TERM"}, Run: show})
		s.up()
		id := s.identities()["a/1"].ID
		named := func() (name string) {
			in, err := s.rt.Inspect(t.Context(), id)
			s.must(err)
			return in.Name
		}
		right := named()
		s.must(s.rt.Rename(t.Context(), id, "beside_"+right))
		s.eventually("the other name known", func() bool { return find(s.Snapshot(), "a").Replicas[0].Name == "beside_"+right })
		s.rt.LoseEvents(func(container.Event) bool { return true })
		s.must(s.rt.Rename(t.Context(), id, right))
		s.rt.LoseEvents(nil)
		s.write(map[string]string{"a/text": "version 2"})
		s.do(engine.Command{Verb: engine.VerbRebuild, Services: []string{"a"}})
		s.line("a", "version 2")
		s.eventually("one container each, under its own name", func() bool {
			all, err := s.rt.Instances(t.Context(), s.name)
			s.must(err)
			return len(all) == 2 && !slices.ContainsFunc(all, func(in container.Instance) bool { return strings.Contains(in.Name, "_") })
		})
	})
}

// A start whose answer did not come may be carried out later, by a runtime that was busy: it is ours,
// and the service is not shown as failed any more.
func TestStartThatIsCarriedOutLateIsOurs(t *testing.T) {
	virtually(t, rebuilt(""), func(s *scene) {
		s.rt.Program("show", memory.Program{Handles: []string{"TERM"}, Run: show})
		heal := s.rt.Inject(memory.Fault{Method: "Start", Err: errors.New("no answer")})
		s.run(engine.Options{})
		s.until("the failure", func(n *engine.Snapshot) bool {
			a := find(n, "a")
			return a.Err != "" && a.Last != nil && a.Last.Failed()
		})
		heal()
		all, err := s.rt.Instances(s.t.Context(), s.name)
		s.must(err)
		for _, in := range all {
			s.must(s.rt.Start(s.t.Context(), container.CreateSpec{}, in.ID))
		}
		n := s.until("ready", func(n *engine.Snapshot) bool {
			a := find(n, "a")
			return n.Ready && a.Err == "" && !a.Last.Failed()
		})
		if a := find(n, "a"); a.Last.Recovered.IsZero() {
			s.t.Errorf("its last change is %+v", a.Last)
		}
		for _, e := range n.Records {
			if strings.Contains(e.Text, "another program") || strings.Contains(e.Cause, "another program") {
				s.t.Errorf("noted: %s (%s)", e.Text, e.Cause)
			}
		}
		// What is stopped and started by somebody else is theirs.
		a := s.identities()["a/1"].ID
		s.must(s.rt.Kill(s.t.Context(), a, "TERM"))
		s.until("its end", func(n *engine.Snapshot) bool { return find(n, "a").State == engine.StateExited })
		s.must(s.rt.Start(s.t.Context(), container.CreateSpec{}, a))
		s.until("the event that says who started it", func(n *engine.Snapshot) bool {
			return slices.ContainsFunc(n.Records, func(r engine.Record) bool { return r.Cause == "started by another program" })
		})
	})
}
