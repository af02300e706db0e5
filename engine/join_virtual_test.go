package engine_test

import (
	"context"
	"strings"
	"testing"

	"bulkhead/engine"
	"bulkhead/engine/container"
	"bulkhead/engine/project"
)

// members is joiners with images in memory.
func members(parent string) string {
	return `
services:
  parent: {image: app, ipc: shareable, volumes: [/shared], ` + parent + `}
  net: {image: app, network_mode: "service:parent"}
  ns: {image: app, pid: "service:parent", ipc: "service:parent"}
  vol: {image: app, volumes_from: [parent]}
  other: {image: app}
`
}

// joined looks at what the runtime says: everybody runs, and whoever joins parent
// joins the container that runs now, since it runs.
func (s *scene) joined() map[string]container.Instance {
	s.t.Helper()
	s.eventually("one container of each service", func() bool {
		all, err := s.rt.Instances(context.Background(), s.name)
		s.must(err)
		return len(all) == len(s.Snapshot().Services)
	})
	by := map[string]container.Instance{}
	for _, in := range s.instances() {
		by[in.Service] = in
		if in.State != container.StateRunning {
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

func TestMembersFollowTheContainerThatTheyJoin(t *testing.T) {
	virtually(t, map[string]string{"compose.yaml": members(`environment: {V: "1"}`)}, func(s *scene) {
		s.up()
		before := s.joined()
		same := func(what string, names ...string) {
			s.t.Helper()
			now := s.joined()
			unmoved(s.t, what, before, now, names...)
			before = now
		}
		s.do(engine.Command{Verb: engine.VerbRestart, Services: []string{"parent"}})
		s.until("followers after the restart", s.after("net", "ns"))
		same("restart of parent", "vol", "other")

		s.killParent()
		s.do(engine.Command{Verb: engine.VerbUp, Services: []string{"parent"}})
		s.until("followers after it came back", s.after("net", "ns"))
		same("kill and return of parent", "vol", "other")

		s.must(s.rt.Restart(s.t.Context(), before["parent"].ID, 0)) // by another hand
		s.until("followers after a restart by another program", s.after("net", "ns"))
		s.settled()
		same("restart by another program", "vol", "other")

		// A change while nobody looked.
		s.must(s.stop())
		s.write(map[string]string{"compose.yaml": members(`environment: {V: "2"}`)})
		s.up()
		s.settled()
		if plan := s.Snapshot().Plan; !strings.Contains(plan, "net/1: recreate (it joins parent, which gets a new container)") || !strings.Contains(plan, "other/1: keep") {
			s.t.Errorf("plan:\n%s", plan)
		}
		now := s.joined()
		for _, name := range []string{"parent", "net", "ns", "vol"} {
			if now[name].ID == before[name].ID {
				s.t.Errorf("%s was not made again", name)
			}
		}
		same("change of parent before up", "other")
		s.must(s.stop())

		// By the verbs that work alone, with the file and by the labels.
		p, err := s.load(s.t.Context())
		s.must(err)
		for _, file := range []*project.Project{p, nil} {
			s.must(engine.Once(s.t.Context(), engine.Options{Runtime: s.rt, StateDir: s.state, Project: filed(s.name, file)}, engine.Command{Verb: engine.VerbRestart, Services: []string{"parent"}}))
			same("restart without a running up", "vol", "other")
		}
		s.must(s.rt.Kill(s.t.Context(), before["parent"].ID, "KILL"))
		s.eventually("its end", func() bool { return s.instances()["parent/1"].State == container.StateExited })
		s.must(s.rt.Start(s.t.Context(), container.CreateSpec{}, before["parent"].ID))
		s.up() // it finds the network of a life that is over
		s.settled()
		same("start of parent while nobody looked", "vol", "other")
	})
}

// A save that rebuilds the parent takes those that live in it along, again and
// again.
func TestThoseThatJoinARebuiltContainerFollowIt(t *testing.T) {
	s := watched(t, map[string]string{
		"a/Dockerfile": "FROM app\nCOPY f /f\n", "a/f": "0",
		"compose.yaml": `
services:
  parent: {build: a, ipc: shareable}
  net: {image: app, network_mode: "service:parent"}
  ns: {image: app, pid: "service:parent", ipc: "service:parent"}
`})
	s.up()
	for _, text := range []string{"1", "2", "3"} {
		before := s.joined()
		s.write(map[string]string{"a/f": text})
		s.until("a new container of all that join, save "+text, s.renewed(before, "parent", "net", "ns"))
	}
	s.joined()
}

func TestRestartTakesThoseAlongThatAskForIt(t *testing.T) {
	virtually(t, map[string]string{"compose.yaml": `
services:
  parent: {image: app}
  dep: {image: app, depends_on: {parent: {condition: service_started, restart: true}}}
  plain: {image: app, depends_on: [parent]}
`}, func(s *scene) {
		s.up()
		before := s.identities()
		s.do(engine.Command{Verb: engine.VerbRestart, Services: []string{"parent"}})
		s.until("restart of dep", s.after("dep"))
		now := s.identities()
		if now["plain/1"] != before["plain/1"] {
			s.t.Error("plain was restarted, and did not ask for it")
		}
		s.must(s.stop())
		p, err := s.load(s.t.Context())
		s.must(err)
		s.must(engine.Once(s.t.Context(), engine.Options{Runtime: s.rt, StateDir: s.state, Project: p}, engine.Command{Verb: engine.VerbRestart, Services: []string{"parent"}}))
		last := s.identities()
		if last["plain/1"] != now["plain/1"] || !last["dep/1"].Started.After(now["dep/1"].Started) {
			s.t.Errorf("without a running up: %v, was %v", last, now)
		}
	})
}
