package engine_test

import (
	"strings"
	"testing"

	"bulkhead/engine"
	"bulkhead/engine/project"
)

// joiners are services that live in the namespaces of parent, or use its volumes, and one that has
// nothing to do with it.
func joiners(parent string) map[string]string {
	return composed(`
  parent: {image: IMAGE, command: LOOP, stop_grace_period: 0s, ipc: shareable, volumes: [/shared], ` + parent + `}
  net: {image: IMAGE, command: LOOP, stop_grace_period: 0s, network_mode: "service:parent"}
  ns: {image: IMAGE, command: LOOP, stop_grace_period: 0s, pid: "service:parent", ipc: "service:parent"}
  vol: {image: IMAGE, command: LOOP, stop_grace_period: 0s, volumes_from: [parent]}
  other: {image: IMAGE, command: LOOP, stop_grace_period: 0s}
`)
}

// joined looks at what the engine itself says: everybody runs, and whoever joins parent joins the
// container that runs now, since it runs.
func (s *stage) joined() map[string]engine.Instance {
	s.t.Helper()
	var all []engine.Instance
	s.eventually("one container of each service", func() bool { // an old one is cleared away after the new one serves
		var err error
		all, err = s.rt.Instances(s.t.Context(), s.name)
		s.must(err)
		return len(all) == len(s.Snapshot().Services)
	})
	by := map[string]engine.Instance{}
	for _, in := range all {
		by[in.Service] = in
		if in.State != engine.StateRunning {
			s.t.Errorf("%s is %s\n%s", in.Service, in.State, s.dump())
		}
	}
	for _, name := range []string{"net", "ns"} {
		if in := by[name]; len(in.Joins) != 1 || in.Joins[0] != by["parent"].ID || in.Started.Before(by["parent"].Started) {
			s.t.Errorf("%s joins %v since %v; parent is %s since %v\n%s", name, in.Joins, in.Started, by["parent"].ID, by["parent"].Started, s.dump())
		}
	}
	return by
}

// settled waits until nobody has anything left to do.
func (s *stage) settled() {
	s.t.Helper()
	s.until("rest", func(n *engine.Snapshot) bool {
		for _, svc := range n.Services {
			if !svc.Ready || svc.Doing != "" {
				return false
			}
		}
		return n.Ready
	})
}

func TestThoseThatJoinAContainerFollowIt(t *testing.T) {
	needDocker(t)
	s := open(t, joiners("environment: {V: \"1\"}"))
	s.up()
	before := s.joined()
	same := func(what string, names ...string) {
		t.Helper()
		now := s.joined()
		unmoved(t, what, before, now, names...)
		before = now
	}

	s.do(engine.Command{Verb: engine.VerbRestart, Services: []string{"parent"}})
	s.until("followers after the restart", s.after("net", "ns"))
	same("restart of parent", "vol", "other")

	s.killParent()
	s.do(engine.Command{Verb: engine.VerbUp, Services: []string{"parent"}})
	s.until("followers after it came back", s.after("net", "ns"))
	same("kill and return of parent", "vol", "other")

	s.docker("restart", "-t", "0", s.name+"-parent-1") // by another hand
	s.until("followers after a restart by another program", s.after("net", "ns"))
	same("restart by another program", "vol", "other")

	s.write(joiners("environment: {V: \"2\"}"))
	s.until("reload", func(n *engine.Snapshot) bool { return n.Reload != nil && len(n.Reload.Changes) > 0 })
	s.do(engine.Command{Verb: engine.VerbUp})
	s.until("a new container of all that join", s.renewed(before, "parent", "net", "ns", "vol"))
	same("change of parent", "other")

	// The same again without a running up.
	s.must(s.stop())
	s.write(joiners("environment: {V: \"3\"}"))
	s.run(engine.Options{NoWatch: true})
	s.ready()
	s.settled()
	if plan := s.Snapshot().Plan; !strings.Contains(plan, "net/1: recreate (it joins parent, which gets a new container)") || !strings.Contains(plan, "other/1: keep") {
		t.Errorf("plan:\n%s", plan)
	}
	now := s.joined()
	for _, name := range []string{"parent", "net", "ns", "vol"} {
		if now[name].ID == before[name].ID {
			t.Errorf("%s was not made again", name)
		}
	}
	same("change of parent before up", "other")
	s.must(s.stop())

	// And by the verbs that work alone, with the file and by the labels.
	p, err := s.load(t.Context())
	s.must(err)
	for _, file := range []*project.Project{p, nil} {
		s.must(engine.Once(t.Context(), engine.Options{Runtime: s.rt, StateDir: s.state, Project: filed(s.name, file)}, engine.Command{Verb: engine.VerbRestart, Services: []string{"parent"}}))
		same("restart without a running up", "vol", "other")
	}
	s.docker("kill", s.name+"-parent-1")
	s.docker("start", s.name+"-parent-1")
	s.run(engine.Options{NoWatch: true}) // which finds the network of a life that is over
	s.ready()
	s.settled()
	same("start of parent while nobody looked", "vol", "other")
}

// killParent kills the service parent, and wants those that live in its container shown as waiting
// for it, and them alone in the ledger, with the reason.
func (s *stage) killParent() {
	s.t.Helper()
	s.do(engine.Command{Verb: engine.VerbKill, Services: []string{"parent"}})
	n := s.until("followers that wait", func(n *engine.Snapshot) bool {
		return find(n, "net").WaitsFor.String() == "parent running" && find(n, "ns").WaitsFor.String() == "parent running"
	})
	for _, name := range []string{"net", "ns"} {
		if svc := find(n, name); svc.State != engine.StateWaiting || svc.Ready {
			s.t.Errorf("%s is %s, ready %t, while the service that it lives in is down", name, svc.State, svc.Ready)
		}
	}
	for _, row := range n.Ledgers[len(n.Ledgers)-1].Rows {
		lost := row.Service == "net" || row.Service == "ns"
		if (row.Outcome == engine.Died) != lost {
			s.t.Errorf("ledger: %s %s (%s)", row.Service, row.Outcome, row.Sign)
		}
		if lost && !strings.Contains(row.Sign.Text, "of parent, which is down") {
			s.t.Errorf("ledger: the reason for %s is %q", row.Service, row.Sign)
		}
	}
}

// unmoved wants services to have the container, start and restarts that they had before.
func unmoved(t *testing.T, what string, before, now map[string]engine.Instance, names ...string) {
	t.Helper()
	for _, name := range names {
		if now[name].Identity != before[name].Identity {
			t.Errorf("%s moved %s: %+v, was %+v", what, name, now[name].Identity, before[name].Identity)
		}
	}
}

// after says whether services run, are ready, and began after parent did.
func (s *stage) after(names ...string) func(*engine.Snapshot) bool {
	return func(n *engine.Snapshot) bool {
		parent := find(n, "parent")
		for _, name := range names {
			if svc := find(n, name); !svc.Ready || svc.Started.Before(parent.Started) {
				return false
			}
		}
		return parent.Ready
	}
}

// renewed says whether services are ready in other containers than before, and nobody works on them.
func (s *stage) renewed(before map[string]engine.Instance, names ...string) func(*engine.Snapshot) bool {
	return func(n *engine.Snapshot) bool {
		for _, name := range names {
			if svc := find(n, name); !svc.Ready || svc.Doing != "" || svc.Replicas[0].Identity.ID == before[name].ID {
				return false
			}
		}
		return true
	}
}
