package engine_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"bulkhead/engine"
	"bulkhead/engine/container/memory"
)

// applying is a watched scene of two services with a container each.
func applying(t *testing.T, files map[string]string) *scene {
	s := watched(t, files)
	s.rt.Put("app2", memory.Image{Command: []string{"loop"}})
	s.up()
	return s
}

// edit saves another Compose file and waits until it is offered.
func (s *scene) edit(compose string) {
	s.t.Helper()
	s.write(map[string]string{"compose.yaml": compose})
	s.until("a change of the file", func(n *engine.Snapshot) bool { return n.Reload != nil && len(n.Reload.Changes) > 0 })
}

func TestApplyDoesWhatTheFileAsksForAndNothingElse(t *testing.T) {
	s := applying(t, map[string]string{"compose.yaml": "services:\n  a: {image: app}\n  b: {image: app}\n  c: {image: app}\n"})
	s.do(engine.Command{Verb: engine.VerbStop, Services: []string{"b"}})
	was := s.identities()
	s.edit("services:\n  a: {image: app2}\n  b: {image: app}\n  c: {image: app}\n")
	s.do(engine.Command{Verb: engine.VerbApply, Cause: "you pressed u"})
	now := s.identities()
	if now["a/1"].ID == was["a/1"].ID || now["c/1"] != was["c/1"] || now["b/1"] != was["b/1"] {
		t.Errorf("containers %+v, were %+v", now, was)
	}
	if b := find(s.Snapshot(), "b"); b.State != engine.StateExited || !b.ByHand {
		t.Errorf("what was stopped by hand is %s", b.State)
	}
}

func TestWhatCouldNotBeAppliedIsTriedAgain(t *testing.T) {
	s := applying(t, map[string]string{"compose.yaml": "services:\n  a: {image: app, ports: [\"8081:80\"]}\n  b: {image: app}\n"})
	was := s.identities()
	s.edit("services:\n  a: {image: missing, ports: [\"8082:80\"]}\n  b: {image: app}\n")
	if err := s.try(engine.Command{Verb: engine.VerbApply}); err == nil || !strings.Contains(err.Error(), "missing") {
		t.Fatalf("apply: %v", err)
	}
	a := find(s.Snapshot(), "a")
	if !a.Unapplied || a.State != engine.StateRunning || a.Image != "app" || len(a.Ports) != 1 || a.Ports[0].Published != 8081 {
		t.Errorf("unapplied %t, %s, image %s, ports %v; want what runs", a.Unapplied, a.State, a.Image, a.Ports)
	}
	s.do(engine.Command{Verb: engine.VerbRestart, Services: []string{"a"}})
	if a := find(s.Snapshot(), "a"); !a.Unapplied || s.identities()["a/1"].ID != was["a/1"].ID {
		t.Errorf("after a restart of what could not be replaced: unapplied %t", a.Unapplied)
	}
	s.rt.Put("missing", memory.Image{Command: []string{"loop"}})
	s.do(engine.Command{Verb: engine.VerbUp, Services: []string{"a"}})
	s.until("the new file in force", func(n *engine.Snapshot) bool {
		a := find(n, "a")
		return !a.Unapplied && a.Ready && a.Image == "missing" && len(a.Ports) == 1 && a.Ports[0].Published == 8082
	})
}

func TestCommandOfPrepareThatChangedRuns(t *testing.T) {
	const compose = "services:\n  a:\n    build: a\n    x-bulkhead: {prepare: {run: \"cp a/src a/text; echo %s >> ran\", watch: [a/src]}}\n"
	s := showing(t, map[string]string{"compose.yaml": strings.Replace(compose, "%s", "one", 1),
		"a/Dockerfile": "FROM app\nCOPY text /text\nCMD [\"show\"]\n", "a/src": "version 1", "a/text": "version 0"})
	s.up()
	s.line("a", "stdout version 1")
	s.edit(strings.Replace(compose, "%s", "two", 1))
	s.do(engine.Command{Verb: engine.VerbTrust})
	s.do(engine.Command{Verb: engine.VerbApply})
	s.eventually("the new command has run", func() bool { return s.ran("two") })
}

// ran says whether a command wrote a word into the file ran.
func (s *scene) ran(word string) bool {
	text, err := os.ReadFile(s.path("ran"))
	return err == nil && strings.Contains(string(text), word)
}

// A build that fails keeps no file from being copied that would be copied were it saved a moment later.
func TestFailedBuildKeepsNoCopyBack(t *testing.T) {
	s := showing(t, map[string]string{
		"a/Dockerfile": "FROM app\nCOPY dep /dep\nCOPY src /src\nCMD [\"show\"]\n", "a/dep": "1", "a/src": "1",
		"compose.yaml": "services:\n  a:\n    build: a\n    develop: {watch: [{path: a/src, action: sync, target: /src}, " +
			"{path: a/dep, action: rebuild}, {path: a/Dockerfile, action: rebuild}]}\n"})
	s.up()
	old := s.identities()["a/1"]
	s.write(map[string]string{"a/Dockerfile": "FROM app\nRUN fail it is broken\n", "a/src": "2"})
	s.until("the failed build", func(n *engine.Snapshot) bool {
		return len(n.Builds) > 0 && strings.Contains(n.Builds[len(n.Builds)-1].Err, "broken")
	})
	s.eventually("the copy", func() bool { return s.file("a", "/src") == "2" })
	n := s.until("the Dockerfile alone stale", func(n *engine.Snapshot) bool {
		a := find(n, "a")
		return len(a.Stale) == 1 && strings.HasSuffix(a.Stale[0], "Dockerfile")
	})
	if got := find(n, "a").Replicas[0].Identity; got != old {
		t.Errorf("a has %+v, had %+v", got, old)
	}
}

// A stop by another program takes its time: before it is over nobody is back.
func TestStopByAnotherProgramIsOverWhenItIsOver(t *testing.T) {
	virtually(t, map[string]string{"compose.yaml": "services:\n  a: {image: app, command: [slow]}\n  b: {image: app}\n"}, func(s *scene) {
		s.rt.Program("slow", program("here", 5*time.Second, "", 0))
		s.up()
		time.Sleep(10 * time.Second)
		done := make(chan error, 1)
		id := s.identities()["a/1"].ID
		go func() { done <- s.rt.Stop(s.t.Context(), id, time.Minute) }()
		s.must(<-done)
		time.Sleep(20 * time.Second) // virtual
		n := s.Snapshot()
		l := n.Ledgers[len(n.Ledgers)-1]
		if len(n.Ledgers) != 1 || l.Service != "a" || !l.Closed.IsZero() || !l.Gone || l.BackIn != 0 {
			s.t.Errorf("ledgers %+v; want one, of a, which is down", n.Ledgers)
		}
	})
}

// A signal that a program outlives holds nothing down, and its ledger says so in time.
func TestSignalThatIsOutlivedHoldsNothingDown(t *testing.T) {
	virtually(t, map[string]string{"compose.yaml": "services:\n  a: {image: app, command: [stays]}\n  b: {image: app}\n"}, func(s *scene) {
		s.rt.Program("stays", memory.Program{Handles: []string{"TERM"}, Run: func(p *memory.Process) int {
			for {
				p.Wait()
				select {
				case <-p.Killed:
					return 0
				default:
				}
			}
		}})
		s.up()
		go func() { _ = s.try(engine.Command{Verb: engine.VerbKill, Services: []string{"a"}, Signal: "SIGTERM"}) }()
		time.Sleep(2 * time.Minute) // virtual
		n := s.Snapshot()
		l := n.Ledgers[len(n.Ledgers)-1]
		if a := find(n, "a"); a.ByHand || a.State != engine.StateRunning || l.Closed.IsZero() || l.Gone {
			s.t.Errorf("a by hand %t, %s; ledger %+v", a.ByHand, a.State, l)
		}
	})
}
