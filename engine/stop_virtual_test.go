package engine_test

import (
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"bulkhead/engine"
	"bulkhead/engine/container/memory"
)

// stubborn handles TERM by saying no.
func stubborn(p *memory.Process) int {
	for p.Wait() != "KILL" {
		p.Print("no")
	}
	return 0
}

// A restart says how the life before it ended: by its own end, at once because it
// could not react, or when its grace was over.
func TestRestartTellsHowItStopped(t *testing.T) {
	virtually(t, map[string]string{"compose.yaml": `
services:
  polite: {image: app}
  nosignal: {image: app, command: [sleep]}
  stubborn: {image: app, command: [stubborn]}
  patient: {image: app, command: [sleep], stop_grace_period: 1s}
`}, func(s *scene) {
		s.rt.Program("stubborn", memory.Program{Handles: []string{"TERM"}, Run: stubborn})
		s.up()
		for _, c := range []struct {
			service string
			how     engine.Stop
			note    string
			least   time.Duration
		}{
			{"polite", engine.StopSignal, "", 0},
			{"nosignal", engine.StopKilled, "killed at once", 0},
			{"stubborn", engine.StopLate, "killed after 10.0s", 10 * time.Second},
			{"patient", engine.StopLate, "killed after its grace of 1.0s", time.Second},
		} {
			s.do(engine.Command{Verb: engine.VerbRestart, Services: []string{c.service}})
			got := s.change(c.service, "restart", 0)
			var took time.Duration
			for _, st := range got.Stages {
				if st.Name == "stop" {
					took = st.Took
				}
			}
			if got.Stop != c.how || !strings.Contains(got.Note, c.note) || took < c.least || took > c.least+time.Second { // virtual time
				s.t.Errorf("%s: stopped by %q after %v, note %q; want %q after %v", c.service, got.Stop, took, got.Note, c.how, c.least)
			}
		}
	})
}

// Whatever a person does that ends a service, it has the time to save that the
// Compose specification gives it.
func TestServiceThatSavesForSecondsSavesWhateverEndsIt(t *testing.T) {
	file := "services:\n  a: {image: app, command: [saver], environment: {V: \"1\"}}\n"
	virtually(t, map[string]string{"compose.yaml": file}, func(s *scene) {
		s.rt.Program("saver", program("up", 9*time.Second, "saved", 0)) // longer than the loop's grace
		s.up()
		saved := 0
		check := func(what string) {
			s.t.Helper()
			saved++
			s.until("save by "+what, func(*engine.Snapshot) bool { return strings.Count(strings.Join(s.lines("a"), "\n"), "saved") >= saved })
			for _, c := range find(s.Snapshot(), "a").Changes {
				if strings.Contains(c.Note, "kill") {
					s.t.Errorf("%s: %s, and it ended by itself", what, c.Note)
				}
			}
		}
		restarted := make(chan error, 1)
		go func() {
			restarted <- s.Do(s.t.Context(), engine.Command{Verb: engine.VerbRestart, Services: []string{"a"}})
		}()
		n := s.until("stop in progress", func(n *engine.Snapshot) bool { return find(n, "a").Replicas[0].State == engine.StateStopping })
		if by := find(n, "a").Replicas[0].StopBy; by.IsZero() || time.Until(by) > 10*time.Second {
			s.t.Errorf("a stop in progress ends by %v", by)
		}
		s.must(<-restarted)
		check("restart")

		s.write(map[string]string{"compose.yaml": strings.Replace(file, `"1"`, `"2"`, 1)})
		s.must(s.stop())
		s.up()
		check("change of its configuration")

		s.do(engine.Command{Verb: engine.VerbStop, Services: []string{"a"}})
		check("stop")
		if a := find(s.Snapshot(), "a"); a.ExitCode != 0 {
			s.t.Errorf("it ended with %d", a.ExitCode)
		}
		s.do(engine.Command{Verb: engine.VerbUp, Services: []string{"a"}})
		s.ready()
		s.do(engine.Command{Verb: engine.VerbDown})
		check("down")
	})
}

// The loop's own swap has no time to lose, but a service with something to keep has
// its full grace.
func TestLoopGraceIsOnlyForWhatHasNothingToKeep(t *testing.T) {
	docker := "FROM app\nCOPY text /text\nCMD [\"stubborn\"]\n"
	s := watched(t, map[string]string{"a/Dockerfile": docker, "a/text": "1", "b/Dockerfile": docker, "b/text": "1", "compose.yaml": `
services:
  a: {build: a}
  b: {build: b, volumes: ["data:/data"]}
volumes: {data: {}}
`})
	s.rt.Program("stubborn", memory.Program{Handles: []string{"TERM"}, Run: stubborn})
	s.up()
	s.write(map[string]string{"a/text": "2", "b/text": "2"})
	if got := s.change("a", "rebuild", 0); got.Stop != engine.StopLate || !strings.Contains(got.Note, "killed after 2.0s") {
		t.Errorf("a stopped by %q, %s", got.Stop, got.Note)
	}
	if got := s.change("b", "rebuild", 0); got.Stop != engine.StopLate || !strings.Contains(got.Note, "killed after 10.0s") {
		t.Errorf("b stopped by %q, %s", got.Stop, got.Note)
	}
}

// What a healthcheck says while a service is on its way out does not take back that
// it is.
func TestStopInProgressStaysShownWhenItsHealthChanges(t *testing.T) {
	virtually(t, map[string]string{"compose.yaml": `
services:
  a: {image: app, command: [saver], healthcheck: {test: [CMD, still-up], interval: 1s, retries: 1}}
`}, func(s *scene) {
		var ending atomic.Bool
		s.rt.Program("saver", memory.Program{Handles: []string{"TERM"}, Run: func(p *memory.Process) int {
			p.Wait()
			ending.Store(true)
			p.Sleep(8 * time.Second)
			return 0
		}})
		s.rt.Program("still-up", memory.Program{Run: func(*memory.Process) int {
			if ending.Load() {
				return 1
			}
			return 0
		}})
		s.up()
		s.until("its health", func(n *engine.Snapshot) bool { return find(n, "a").Health == engine.Healthy })
		stopped := make(chan error, 1)
		go func() { stopped <- s.Do(s.t.Context(), engine.Command{Verb: engine.VerbStop}) }()
		s.eventually("its check fail", func() bool { return s.instances()["a/1"].Health == engine.Unhealthy })
		time.Sleep(time.Second) // virtual: all that the engine makes of it has been made
		if r := find(s.Snapshot(), "a").Replicas[0]; r.State != engine.StateStopping || r.StopBy.IsZero() {
			s.t.Errorf("while it stops it is %s, until %v", r.State, r.StopBy)
		}
		s.must(<-stopped)
	})
}

// The networks go as soon as the last container has ended, not when the last has been removed.
func TestDownRemovesNetworksBesideContainers(t *testing.T) {
	file := "services:\n  a: {image: app}\n  b: {image: app, command: [saver]}\n"
	virtually(t, map[string]string{"compose.yaml": file}, func(s *scene) {
		s.rt.Program("saver", program("up", 9*time.Second, "saved", 0))
		s.up()
		s.rt.Inject(memory.Fault{Method: "Remove", Delay: 20 * time.Second})
		down := make(chan error, 1)
		go func() { down <- s.Do(s.t.Context(), engine.Command{Verb: engine.VerbDown}) }()
		time.Sleep(5 * time.Second) // virtual: a has ended, b saves
		if n := s.rt.Calls("RemoveNetworks"); n != 0 {
			s.t.Errorf("the networks were to be removed %d times while b ran", n)
		}
		time.Sleep(10 * time.Second) // virtual: b has ended too
		left := s.instances()
		gone, err := s.rt.RemoveNetworks(s.t.Context(), s.name, nil)
		s.must(err)
		if len(left) != 2 || len(gone.Removed) != 0 {
			s.t.Errorf("beside the removal of the containers: %d of 2 are there, and the networks %v", len(left), gone)
		}
		s.must(<-down)
		var said []string
		for _, r := range s.Snapshot().Records {
			if strings.HasPrefix(r.Text, "network ") && strings.HasSuffix(r.Text, " removed") {
				said = append(said, r.Text)
			}
		}
		if want := "network play_default removed"; len(said) != 1 || said[0] != want {
			s.t.Errorf("it said %q, want %q once", said, want)
		}
	})
}

// A project that was stopped whole and started again runs, and is ready, as before.
func TestProjectThatIsStoppedAndStartedIsNotStopping(t *testing.T) {
	virtually(t, map[string]string{"compose.yaml": "services: {a: {image: app}, b: {image: app}}\n"}, func(s *scene) {
		s.up()
		s.do(engine.Command{Verb: engine.VerbStop})
		s.until("stopped", func(n *engine.Snapshot) bool { return find(n, "a").State == engine.StateExited })
		s.do(engine.Command{Verb: engine.VerbStart})
		s.until("ready again", func(n *engine.Snapshot) bool {
			said := 0
			for _, r := range n.Records {
				if r.Notice == "ready" {
					said++
				}
			}
			return n.Phase == engine.PhaseRunning && said == 2
		})
	})
}

// down removes what the file declares as the project's own, and nothing else that the project once made:
// what is external by now, has another name, or is of no service that is enabled stays, and is named.
func TestDownRemovesOnlyWhatTheFileDeclares(t *testing.T) {
	files := map[string]string{"compose.yaml": `services:
  a: {image: app, volumes: ["data:/a", "old:/b"], networks: [shared, gone]}
  b: {image: app, volumes: ["idle:/b"]}
volumes: {data: {}, old: {}, idle: {}}
networks: {shared: {}, gone: {}}
`}
	virtually(t, files, func(s *scene) {
		s.up()
		s.must(s.stop())
		s.write(map[string]string{"compose.yaml": `services:
  a: {image: app, volumes: ["data:/a", "new:/b"], networks: [shared, own]}
  b: {image: app, profiles: [more], volumes: ["idle:/b"]}
volumes: {data: {external: true, name: play_data}, new: {}, idle: {}}
networks: {shared: {external: true, name: play_shared}, own: {}}
`})
		s.up()
		s.do(engine.Command{Verb: engine.VerbDown, Volumes: true, Orphans: true})
		volumes, err := s.rt.RemoveVolumes(s.t.Context(), s.name, []string{})
		s.must(err)
		networks, err := s.rt.RemoveNetworks(s.t.Context(), s.name, []string{})
		s.must(err)
		if !slices.Equal(volumes.Spared, []string{"play_data", "play_idle", "play_old"}) ||
			!slices.Equal(networks.Spared, []string{"play_default", "play_gone", "play_shared"}) {
			s.t.Errorf("down left the volumes %v and the networks %v", volumes.Spared, networks.Spared)
		}
		n := s.Snapshot()
		for _, what := range []string{"volume play_old: left alone", "volume play_idle: left alone", "network play_gone: left alone"} {
			if !slices.ContainsFunc(n.Records, func(r engine.Record) bool { return strings.Contains(r.Text, what) }) {
				s.t.Errorf("nothing says %q", what)
			}
		}
		if slices.ContainsFunc(n.Records, func(r engine.Record) bool { return strings.Contains(r.Text, "play_data") }) {
			s.t.Error("an external volume needs no word")
		}
	})
}
