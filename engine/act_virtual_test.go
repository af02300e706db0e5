package engine_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"bulkhead/engine"
	"bulkhead/engine/container"
	"bulkhead/engine/container/memory"
)

// A stop that fails for one replica cuts no other one's short, and what was expected of it is forgotten:
// an end long after is not put down to it.
func TestStopThatFailsForOneReplicaLeavesTheOthersAlone(t *testing.T) {
	files := map[string]string{"compose.yaml": "services:\n  a: {image: app, command: [c], scale: 2, stop_grace_period: 20s}\n"}
	virtually(t, files, func(s *scene) {
		s.rt.Program("c", program("hi", 10*time.Second, "bye", 3))
		s.up()
		ids := s.identities()
		heal := s.rt.Inject(memory.Fault{Method: "Stop", ID: ids["a/1"].ID, Err: errors.New("500")})
		err := s.Do(s.t.Context(), engine.Command{Verb: engine.VerbRestart, Services: []string{"a"}})
		heal()
		if err == nil || !strings.Contains(err.Error(), "500") {
			t.Fatalf("restart: %v", err)
		}
		if in := s.instances()["a/2"]; in.State != container.StateExited || in.ExitCode != 3 {
			t.Errorf("the stop of the other replica was cut short: %s, code %d", in.State, in.ExitCode)
		}
		if r := find(s.Snapshot(), "a").Replicas; r[0].State != container.StateRunning {
			t.Errorf("the first one runs on, and is shown as %s", r[0].State)
		}
		time.Sleep(time.Hour)
		s.must(s.rt.Kill(s.t.Context(), ids["a/1"].ID, "TERM"))
		s.until("its end", func(n *engine.Snapshot) bool { return find(n, "a").Replicas[0].State == container.StateExited })
		if r := find(s.Snapshot(), "a").Replicas[0]; !strings.Contains(r.Cause, "another program") {
			t.Errorf("an hour later another program ended it, and the cause is %q", r.Cause)
		}
	})
}

// What could not be done to a service is not held against it.
func TestFaultThatFailsLeavesNothingBehind(t *testing.T) {
	counters(t, func(s *scene) {
		for _, c := range []struct{ method, verb, service string }{{"Pause", "pause", "a"}, {"Kill", "kill", "b"}} {
			heal := s.rt.Inject(memory.Fault{Method: c.method, Err: errors.New("refused")})
			err := s.Do(s.t.Context(), engine.Command{Verb: engine.Verb(c.verb), Services: []string{c.service}})
			heal()
			if err == nil || !strings.Contains(err.Error(), "refused") {
				t.Errorf("%s: %v", c.verb, err)
			}
			n := s.Snapshot()
			if svc := find(n, c.service); svc.ByHand || svc.State != container.StateRunning || len(n.Ledgers) != 0 {
				t.Errorf("%s was refused: %s is %s, held down %v, ledgers %v", c.verb, c.service, svc.State, svc.ByHand, n.Ledgers)
			}
		}
	})
}

// Whether a signal keeps the restart policy idle depends on the container's own stop signal.
func TestSignalThatEndsAServiceHoldsItDown(t *testing.T) {
	files := map[string]string{"compose.yaml": `services:
  quit: {image: nginx, restart: always}
  hup: {image: app, command: [ends], restart: always}
  reload: {image: app, command: [reloads], restart: always}
`}
	virtually(t, files, func(s *scene) {
		ends := memory.Program{Handles: []string{"TERM", "QUIT", "HUP"}, Run: func(p *memory.Process) int { p.Wait(); return 0 }}
		s.rt.Program("ends", ends)
		s.rt.Program("reloads", memory.Program{Handles: []string{"TERM", "HUP"}, Run: func(p *memory.Process) int {
			for p.Wait() == "HUP" {
			}
			return 0
		}})
		s.rt.Put("nginx", memory.Image{Command: []string{"ends"}, Stop: "QUIT"})
		s.up()
		for service, signal := range map[string]string{"quit": "SIGQUIT", "hup": "HUP", "reload": "1"} {
			s.do(engine.Command{Verb: engine.VerbKill, Signal: signal, Services: []string{service}})
			time.Sleep(time.Minute)
			is, down := find(s.Snapshot(), service), service != "reload"
			if is.ByHand != down || (is.State == container.StateExited) != down || is.Restarts != 0 {
				t.Errorf("%s after %s: %s, held down %v, %d restarts", service, signal, is.State, is.ByHand, is.Restarts)
			}
		}
	})
}

// A signal goes to all replicas at once, however long each takes to end of it.
func TestSignalGoesToAllReplicasAtOnce(t *testing.T) {
	virtually(t, map[string]string{"compose.yaml": "services:\n  a: {image: app, command: [slow], scale: 3}\n"}, func(s *scene) {
		s.rt.Program("slow", program("hi", 8*time.Second, "bye", 0))
		s.up()
		s.do(engine.Command{Verb: engine.VerbKill, Signal: "SIGTERM", Services: []string{"a"}})
		s.until("all have ended", func(*engine.Snapshot) bool {
			for _, in := range s.instances() {
				if in.State != container.StateExited {
					return false
				}
			}
			return true
		})
		var ends []time.Time
		for _, in := range s.instances() {
			ends = append(ends, in.Finished)
		}
		slices.SortFunc(ends, time.Time.Compare)
		if apart := ends[len(ends)-1].Sub(ends[0]); apart > time.Second { // virtual
			t.Errorf("they ended %s apart", apart)
		}
	})
}

// A stop of the project goes on while the connection to the engine is lost.
func TestLossDuringAStopOfTheProject(t *testing.T) {
	virtually(t, map[string]string{"compose.yaml": "services:\n  a: {image: app, command: [slow], stop_grace_period: 5m}\n"}, func(s *scene) {
		s.rt.Program("slow", program("hi", 2*time.Minute, "bye", 0))
		s.up()
		stopped := make(chan error, 1)
		go func() { stopped <- s.Do(s.t.Context(), engine.Command{Verb: engine.VerbStop}) }()
		s.until("the stop", func(n *engine.Snapshot) bool { return n.Phase == engine.PhaseStopping })
		s.rt.CutEvents()
		time.Sleep(time.Minute)
		if n := s.Snapshot(); n.Phase != engine.PhaseStopping {
			t.Errorf("the project is stopping, and its phase is %v", n.Phase)
		}
		s.must(<-stopped)
	})
}

// Of several replicas the one that is worst off is the service's health.
func TestHealthOfAServiceIsTheWorstOfItsReplicas(t *testing.T) {
	for _, c := range []struct{ a, b, want container.Health }{
		{container.HealthStarting, container.Healthy, container.HealthStarting},
		{container.Healthy, container.HealthStarting, container.HealthStarting},
		{container.Unhealthy, container.HealthStarting, container.Unhealthy},
		{container.HealthNone, container.Healthy, container.Healthy},
		{container.HealthUnknown, container.HealthNone, container.HealthNone},
	} {
		if got := c.a.Worse(c.b); got != c.want {
			t.Errorf("of %s and %s the worse is %s", c.a, c.b, got)
		}
	}
}

// The ports of the file are shown for a service that does not run, but for those that are known only
// once it does.
func TestPortsOfAStoppedService(t *testing.T) {
	virtually(t, map[string]string{"compose.yaml": "services:\n  a: {image: app, ports: ['8000-8010:80', '9000:90', '0:91', '92']}\n"}, func(s *scene) {
		s.up()
		s.do(engine.Command{Verb: engine.VerbStop, Services: []string{"a"}})
		if ports := find(s.Snapshot(), "a").Ports; len(ports) != 1 || ports[0].Published != 9000 {
			t.Errorf("ports %+v", ports)
		}
	})
}

// Containers that somebody else numbered otherwise are kept as they are, and are the service's replicas.
func TestReplicasKeepTheNumbersThatTheyHave(t *testing.T) {
	virtually(t, map[string]string{"compose.yaml": "services:\n  a: {image: app, scale: 3}\n"}, func(s *scene) {
		s.up()
		ids := s.identities()
		s.must(s.stop())
		s.must(s.rt.Remove(s.t.Context(), ids["a/1"].ID, true, true))
		s.write(map[string]string{"compose.yaml": "services:\n  a: {image: app, scale: 2}\n"})
		s.up()
		if now := s.identities(); len(now) != 2 || now["a/2"] != ids["a/2"] || now["a/3"] != ids["a/3"] {
			t.Errorf("containers %v, were %v", now, ids)
		}
		r := find(s.Snapshot(), "a").Replicas
		if len(r) != 2 || r[0].Number != 2 || r[1].Number != 3 || !find(s.Snapshot(), "a").Ready {
			t.Errorf("shown are %+v", r)
		}
		// One that is missing gets the first free number.
		s.must(s.rt.Remove(s.t.Context(), ids["a/2"].ID, true, true))
		s.until("word of that", func(n *engine.Snapshot) bool { return find(n, "a").Replicas[0].Identity.ID == "" })
		s.do(engine.Command{Verb: engine.VerbUp, Services: []string{"a"}})
		s.ready()
		if r := find(s.Snapshot(), "a").Replicas; len(r) != 2 || r[0].Number != 1 || r[1].Number != 3 {
			t.Errorf("shown are %+v", r)
		}
	})
}
