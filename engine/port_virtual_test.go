package engine_test

import (
	"strings"
	"testing"

	"bulkhead/engine"
	"bulkhead/engine/container/memory"
)

// orchestrated is a scene on a runtime that swaps by itself.
func orchestrated(t *testing.T, files map[string]string) *scene {
	s := showing(t, files)
	s.run(engine.Options{Runtime: memory.Orchestrated(s.rt)})
	s.ready()
	return s
}

func TestRuntimeThatSwapsByItselfIsLetTo(t *testing.T) {
	for name, more := range map[string]string{
		"replace":    "",
		"overlap":    ", x-bulkhead: {swap: overlap}",
		"post_start": `, post_start: [{command: ["true"]}]`,
	} {
		t.Run(name, func(t *testing.T) {
			s := orchestrated(t, rebuilt(more))
			was := s.identities()
			s.write(map[string]string{"a/text": "version 2"})
			if c := s.change("a", "rebuild", 0); c.Err != "" {
				t.Fatalf("rebuild: %s", c.Err)
			}
			s.line("a", "gen2 stdout version 2")
			n := s.until("the new one ready", func(n *engine.Snapshot) bool {
				a := find(n, "a")
				return a.Ready && a.Replicas[0].Identity.ID != was["a/1"].ID && a.Replicas[0].Generation == 2
			})
			if len(find(n, "a").Replicas) != 1 {
				t.Errorf("a has the replicas %+v", find(n, "a").Replicas)
			}
			now := s.identities()
			if len(now) != 2 || now["b/1"] != was["b/1"] || now["a/1"].ID != find(n, "a").Replicas[0].Identity.ID {
				t.Errorf("containers %+v, were %+v", now, was)
			}
			for _, e := range n.Records {
				if strings.Contains(e.Text, "another program") {
					t.Errorf("the runtime's own doing is put down to somebody else: %s", e.Text)
				}
			}
			if n.Phase == engine.PhaseLost || s.rt.Calls("Rename") != 0 {
				t.Errorf("phase %v, %d renames", n.Phase, s.rt.Calls("Rename"))
			}
		})
	}
}

func TestSwapThatTheRuntimeGivesUpLeavesTheOldOne(t *testing.T) {
	s := orchestrated(t, rebuilt(""))
	old := s.identities()["a/1"].ID
	s.write(map[string]string{"a/Dockerfile": "FROM app\nCMD [\"/no/such/program\"]\n"})
	n := s.until("failed start", func(n *engine.Snapshot) bool { l := find(n, "a").Last; return l != nil && l.Err != "" })
	if a := find(n, "a"); !strings.Contains(a.Last.Err, "/no/such/program") {
		t.Errorf("error %q", a.Last.Err)
	}
	n = s.until("old one running", func(n *engine.Snapshot) bool { return find(n, "a").State == engine.StateRunning })
	if got := find(n, "a").Replicas[0].Identity.ID; got != old || len(s.identities()) != 2 {
		t.Errorf("a has the container %s, had %s; there are %v", got, old, s.identities())
	}
	s.write(map[string]string{"a/Dockerfile": "FROM app\nCOPY text /text\nCMD [\"show\"]\n", "a/text": "version 3"})
	s.line("a", "stdout version 3")
}

// On a runtime that has the port's core alone, all that needs no more works, and what does is
// refused with words.
func TestCoreOfAPortIsEnough(t *testing.T) {
	virtually(t, map[string]string{
		"compose.yaml": "services:\n  a: {image: app}\n  b: {image: app, depends_on: [a]}\n",
	}, func(s *scene) {
		o := engine.Options{Runtime: memory.Core(s.rt)}
		s.run(o)
		s.ready()
		was := s.identities()
		s.do(engine.Command{Verb: engine.VerbRestart, Services: []string{"a"}})
		s.ready()
		if now := s.identities(); now["a/1"] == was["a/1"] || now["b/1"] != was["b/1"] {
			t.Errorf("after a restart of a %+v, were %+v", now, was)
		}
		s.do(engine.Command{Verb: engine.VerbKill, Services: []string{"b"}})
		s.until("b down", func(n *engine.Snapshot) bool { return find(n, "b").State == engine.StateExited })
		s.do(engine.Command{Verb: engine.VerbStart, Services: []string{"b"}})
		s.ready()
		err := s.try(engine.Command{Verb: engine.VerbPause, Services: []string{"b"}})
		if err == nil || !strings.Contains(err.Error(), "pause") {
			t.Errorf("pause: %v", err)
		}
		s.do(engine.Command{Verb: engine.VerbScale, Services: []string{"b"}, Scale: 2})
		s.until("two of b", func(n *engine.Snapshot) bool {
			b := find(n, "b")
			return b.Ready && len(b.Replicas) == 2
		})
		was = s.identities()
		s.must(s.stop())
		s.run(engine.Options{Runtime: o.Runtime})
		s.ready()
		if now := s.instances(); len(now) != 2 || now["a/1"].ID != was["a/1"].ID {
			t.Errorf("the next up has %+v, the last had %+v\n%s", now, was, s.dump())
		}
		s.do(engine.Command{Verb: engine.VerbDown})
		s.until("all gone", func(*engine.Snapshot) bool { return len(s.instances()) == 0 })
	})
}
