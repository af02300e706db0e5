package engine_test

import (
	"slices"
	"strings"
	"testing"

	"bulkhead/engine"
	"bulkhead/engine/container"
	"bulkhead/engine/project"
)

// A swap that was cut short leaves two containers for one number, the new one under
// a name for the time of the swap.
func TestSecondContainerOfANumberGoesAndTheNewestThatFitsStays(t *testing.T) {
	virtually(t, map[string]string{"compose.yaml": "services:\n  a: {image: app, ports: [\"127.0.0.1::80\"]}\n"}, func(s *scene) {
		s.up()
		s.must(s.stop())
		old := s.instances()["a/1"]
		p, err := s.load(s.t.Context())
		s.must(err)
		img, err := s.rt.Image(s.t.Context(), "app", "")
		s.must(err)
		fresh, err := s.rt.Create(s.t.Context(), container.CreateSpec{App: engine.App(p), Service: engine.Wanted(p.Service("a")), Replica: 1,
			Name: old.ID[:12] + "_" + old.Name, Image: img, Hash: old.Hash, Content: old.Content})
		s.must(err)
		s.up()
		if plan := s.Snapshot().Plan; !strings.Contains(plan, "a/1: start (created)") || !strings.Contains(plan, "a/1: remove (second container for this number)") {
			s.t.Errorf("plan:\n%s", plan)
		}
		all, err := s.rt.Instances(s.t.Context(), s.name)
		s.must(err)
		if len(all) != 1 || all[0].ID != fresh || all[0].Name != old.Name || all[0].State != container.StateRunning {
			s.t.Errorf("containers %+v, want %s alone, running as %s", all, fresh, old.Name)
		}
		if a := find(s.Snapshot(), "a"); a.Replicas[0].Identity.ID != fresh || a.Replicas[0].Name != old.Name {
			s.t.Errorf("the screen shows %+v", a.Replicas[0])
		}
	})
}

func TestNetworkThatWasRemovedWhileStoppedIsMadeAgain(t *testing.T) {
	virtually(t, map[string]string{"compose.yaml": "services:\n  a: {image: app}\n"}, func(s *scene) {
		s.up()
		s.do(engine.Command{Verb: engine.VerbStop, Services: []string{"a"}})
		s.rt.RemoveNetwork(s.name + "_default")
		s.do(engine.Command{Verb: engine.VerbUp, Services: []string{"a"}}) // in the same run
		s.ready()
		s.must(s.stop())
		s.must(s.rt.Stop(s.t.Context(), s.identities()["a/1"].ID, 0))
		s.rt.RemoveNetwork(s.name + "_default")
		s.rt.AddNetwork(s.name + "_default") // by another hand
		s.up()
	})
}

// As docker compose does it: nobody is recreated for it.
func TestNetworkThatChangedIsMadeAgainAndItsContainersStay(t *testing.T) {
	file := func(version string) map[string]string {
		return map[string]string{"compose.yaml": "services:\n  a: {image: app, networks: [n]}\n  b: {image: app}\nnetworks:\n  n: {labels: {v: \"" + version + "\"}}\n"}
	}
	s := watched(t, file("1"))
	s.up()
	before := s.instances()
	s.must(s.stop())
	s.write(file("2"))
	s.up()
	after, net := s.instances(), s.name+"_n"
	if before["a/1"].ID != after["a/1"].ID || before["b/1"].ID != after["b/1"].ID {
		t.Errorf("recreated: %v, then %v", before, after)
	}
	if was, is := before["a/1"].Networks[net], after["a/1"].Networks[net]; was == is || is == "" {
		t.Errorf("it is on network %s, and was on %s", is, was)
	}
	// Under a running up.
	s.write(file("3"))
	s.until("reload", func(n *engine.Snapshot) bool { return n.Reload != nil })
	s.do(engine.Command{Verb: engine.VerbUp})
	s.eventually("the network made again", func() bool { return s.instances()["a/1"].Networks[net] != after["a/1"].Networks[net] })
	s.ready()
	if now := s.instances()["a/1"].ID; now != after["a/1"].ID {
		t.Errorf("recreated as %s", now)
	}
}

func TestOrphanThatHasTheNameGoesFirst(t *testing.T) {
	named := func(service string) map[string]string {
		return map[string]string{"compose.yaml": "services:\n  " + service + ": {image: app, container_name: fixed}\n"}
	}
	s := watched(t, named("old"))
	s.up()
	s.must(s.stop())
	s.write(named("new"))
	s.run(engine.Options{RemoveOrphans: true})
	s.ready()
	// The same under a running up.
	s.write(named("newer"))
	s.until("reload", func(n *engine.Snapshot) bool { return n.Reload != nil && len(n.Reload.Changes) == 2 })
	s.do(engine.Command{Verb: engine.VerbUp})
	s.ready("newer")
	s.until("row of the old one gone", func(n *engine.Snapshot) bool { return len(n.Services) == 1 })
	for key := range s.identities() {
		if key != "newer/1" {
			t.Errorf("%s is still there", key)
		}
	}
}

func TestServiceTakenOutOfTheFileStaysRemovedAndMayComeBack(t *testing.T) {
	one := map[string]string{"compose.yaml": "services:\n  a: {image: app}\n"}
	both := map[string]string{"compose.yaml": "services:\n  a: {image: app}\n  b: {image: app}\n"}
	s := watched(t, both)
	s.up()
	before := s.identities()["a/1"]
	s.write(one)
	s.until("reload", func(n *engine.Snapshot) bool { return n.Reload != nil && len(n.Reload.Changes) == 1 })
	s.do(engine.Command{Verb: engine.VerbUp, Cause: "you pressed u"})
	s.until("row of b gone", func(n *engine.Snapshot) bool { return find(n, "b").Name == "" })
	s.do(engine.Command{Verb: engine.VerbUp})
	if ids := s.identities(); len(ids) != 1 || ids["a/1"] != before {
		t.Errorf("containers %v, want a alone, as it was: %v\n%s", ids, before, s.dump())
	}
	if err := s.Do(t.Context(), engine.Command{Verb: engine.VerbUp, Services: []string{"b"}}); err == nil || !strings.Contains(err.Error(), "no such service; there are a") {
		t.Errorf("up of a service that is gone: %v", err)
	}
	s.write(both)
	s.until("reload", func(n *engine.Snapshot) bool { return n.Reload != nil && len(n.Reload.Changes) == 1 })
	s.do(engine.Command{Verb: engine.VerbUp})
	s.ready("a", "b")
	if ids := s.identities(); len(ids) != 2 || ids["a/1"] != before {
		t.Errorf("containers %v", ids)
	}
}

func TestChangedComposeFileIsShownAndAppliedToThoseAlone(t *testing.T) {
	file := func(more string) map[string]string {
		return map[string]string{"compose.yaml": "services:\n  a: {image: app}\n  b: {image: app" + more + "}\n"}
	}
	s := watched(t, file(""))
	s.up()
	before := s.identities()
	s.write(file(", environment: {X: y}"))
	n := s.until("reload", func(n *engine.Snapshot) bool { return n.Reload != nil && len(n.Reload.Changes) > 0 })
	if c := n.Reload.Changes; len(c) != 1 || c[0].Service != "b" || c[0].Kind != project.Recreate {
		t.Errorf("changes %+v", c)
	}
	if now := s.identities(); now["b/1"] != before["b/1"] {
		t.Error("a changed file was applied without being asked")
	}
	s.do(engine.Command{Verb: engine.VerbUp})
	after := s.identities()
	if after["a/1"] != before["a/1"] || after["b/1"].ID == before["b/1"].ID {
		t.Errorf("identities %v, were %v", after, before)
	}
	s.write(map[string]string{"compose.yaml": "services: {a: {imagee: x}}"})
	n = s.until("load error", func(n *engine.Snapshot) bool { return n.Reload != nil && n.Reload.Err != "" })
	if !strings.Contains(n.Reload.Err, "imagee") {
		t.Errorf("reload error %q", n.Reload.Err)
	}
}

func TestOrphanIsKnownByTheFilesThatMadeIt(t *testing.T) {
	virtually(t, map[string]string{"compose.yaml": "services:\n  a: {image: app}\n  old: {image: app}\n"}, func(s *scene) {
		s.up()
		s.must(s.stop())
		s.write(map[string]string{"compose.yaml": "services:\n  a: {image: app}\n"})
		s.up()
		n := s.Snapshot()
		if len(n.Orphans) != 1 || n.Orphans[0].Name != "play-old-1" || !slices.Equal(n.Orphans[0].Files, []string{s.path("compose.yaml")}) {
			t.Errorf("orphans %+v", n.Orphans)
		}
	})
}
