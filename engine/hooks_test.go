package engine_test

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"bulkhead/engine"
	"bulkhead/engine/plan"
)

// hookFailed looks for the error of a hook and its words.
func hookFailed(t *testing.T, err error, which, words string) {
	t.Helper()
	var h *engine.HookError
	if !errors.As(err, &h) || h.Which != which || !strings.Contains(err.Error(), words) {
		t.Errorf("error %v; want a %s hook's, with %q", err, which, words)
	}
}

func (s *stage) running(service string) bool {
	return slices.ContainsFunc(find(s.Snapshot(), service).Replicas, func(r engine.Replica) bool { return r.State == engine.StateRunning })
}

func TestFailedPostStartIsAnErrorAndHoldsDependents(t *testing.T) {
	s := open(t, map[string]string{"flag/.keep": "", "compose.yaml": fmt.Sprintf(`
services:
  a:
    image: %[1]s
    command: %[2]s
    volumes: [./flag:/flag]
    post_start: [{command: [sh, -c, "echo trying; [ -f /flag/ok ] || { echo no such table; exit 3; }"]}]
  b: {image: %[1]s, command: %[2]s, depends_on: [a]}
`, baseImage, loop)})
	// The second engine knows of the first one's failure: a runs, but its hook has still to succeed.
	for round := range 2 {
		s.run(engine.Options{})
		err := s.waitUp(engine.Wait{})
		hookFailed(t, err, "post_start", "exited with 3: trying | no such table")
		var up *engine.UpError
		if !errors.As(err, &up) || len(up.Failures) != 2 || up.Failures[1].Service != "b" {
			t.Errorf("round %d: %v; want that b waits for a", round, err)
		}
		if b := find(s.Snapshot(), "b"); len(b.Replicas) > 0 && b.Replicas[0].State != engine.StateCreated && b.Replicas[0].State != engine.StateWaiting {
			t.Errorf("round %d: b is %s, and a's hook has failed", round, b.Replicas[0].State)
		}
		if a := find(s.Snapshot(), "a"); a.Ready {
			t.Errorf("round %d: a counts as ready", round)
		}
		if round == 0 {
			s.must(s.stop())
		}
	}
	err := s.try(engine.Command{Verb: engine.VerbRestart, Services: []string{"a"}})
	hookFailed(t, err, "post_start", "no such table")
	s.write(map[string]string{"flag/ok": ""})
	s.do(engine.Command{Verb: engine.VerbUp, Services: []string{"a"}})
	s.ready()
}

// preStops is a project whose stop hook notes each run and fails; more is added to its file.
func preStops(t *testing.T, more string) (s *stage, count func() int) {
	s = open(t, map[string]string{"log/.keep": "", "a/Dockerfile": "FROM " + baseImage + "\nCOPY text /text\n", "a/text": "1", "compose.yaml": fmt.Sprintf(`
services:
  a:
    build: a
    command: %s
    volumes: [./log:/log]
    pre_stop: [{command: [sh, -c, "echo $$HOSTNAME >>/log/stops; echo cannot drain; exit 4"]}]
%s`, loop, more)})
	return s, func() int {
		b, err := os.ReadFile(s.path("log/stops"))
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		return strings.Count(string(b), "\n")
	}
}

func TestPreStopRunsOnEveryStop(t *testing.T) {
	s, count := preStops(t, "")
	s.run(engine.Options{NoWatch: true})
	s.ready()
	first := s.identities()["a/1"].ID
	a := []string{"a"}
	stops := 0
	for _, step := range []struct {
		cmd   engine.Command
		stops int
	}{
		{engine.Command{Verb: engine.VerbRestart, Services: a}, 1},
		{engine.Command{Verb: engine.VerbScale, Services: a, Scale: 3}, 0},
		{engine.Command{Verb: engine.VerbScale, Services: a, Scale: 1}, 2},
		{engine.Command{Verb: engine.VerbPause, Services: a}, 0},
		{engine.Command{Verb: engine.VerbStop, Services: a}, 1}, // it is let go on for its hook
		{engine.Command{Verb: engine.VerbStop, Services: a}, 0},
		{engine.Command{Verb: engine.VerbUp, Services: a}, 0},
	} {
		err := s.try(step.cmd)
		if step.stops == 0 {
			s.must(err)
		} else if hookFailed(t, err, "pre_stop", "exited with 4: cannot drain"); !engine.OnlyHooks(err) {
			t.Errorf("%s: %v; want nothing but its hook", step.cmd.Verb, err)
		}
		if stops += step.stops; count() != stops {
			t.Fatalf("after %s: the hook has run %d times, want %d\n%s", step.cmd.Verb, count(), stops, s.dump())
		}
	}
	if id := s.identities()["a/1"].ID; id != first || !s.running("a") {
		t.Errorf("the container is %s, was %s", id, first)
	}
	s.write(map[string]string{"a/text": "2"})
	err := s.try(engine.Command{Verb: engine.VerbRebuild, Services: a})
	hookFailed(t, err, "pre_stop", "cannot drain")
	if id := s.identities()["a/1"].ID; id == first || count() != stops+1 || s.cat("a", "/text") != "2" {
		t.Errorf("after the rebuild the hook has run %d times, want %d; container %s, was %s", count(), stops+1, id, first)
	}
	hookFailed(t, s.try(engine.Command{Verb: engine.VerbDown}), "pre_stop", "cannot drain")
	if left := s.identities(); len(left) != 0 || count() != stops+2 {
		t.Errorf("after down: %v, and the hook has run %d times, want %d", left, count(), stops+2)
	}
	if gone, err := s.rt.RemoveNetworks(t.Context(), s.name, nil); err != nil || len(gone.Removed) != 0 {
		t.Errorf("down left networks %v (%v)", gone, err)
	}
}

func TestPreStopRunsWhenUpRecreates(t *testing.T) {
	for _, swap := range []string{"replace", "overlap"} {
		t.Run(swap, func(t *testing.T) {
			project := func() (*stage, func() int) { return preStops(t, "") }
			if swap == "overlap" { // it refuses a writable mount
				project = func() (*stage, func() int) { return preStopsOverlap(t) }
			}
			s, count := project()
			s.up()
			s.must(s.stop())
			s.run(engine.Options{Replace: engine.Replace{Policy: plan.Every}})
			hookFailed(t, s.waitUp(engine.Wait{}), "pre_stop", "cannot drain")
			if count() != 1 || !s.running("a") {
				t.Errorf("the hook has run %d times, a runs: %v", count(), s.running("a"))
			}
		})
	}
}

// preStopsOverlap is preStops for swap: overlap. Its hook is counted by its words in the log.
func preStopsOverlap(t *testing.T) (*stage, func() int) {
	s := open(t, map[string]string{"compose.yaml": fmt.Sprintf(`
services:
  a:
    image: %s
    command: %s
    pre_stop: [{command: [sh, -c, "echo cannot drain; exit 4"]}]
    x-bulkhead: {swap: overlap}
`, baseImage, loop)})
	return s, func() int {
		return len(slices.DeleteFunc(s.lines("a"), func(l string) bool { return !strings.HasSuffix(l, " cannot drain") }))
	}
}

func TestHooksRunWithoutARunningEngine(t *testing.T) {
	s, count := preStops(t, fmt.Sprintf(`    post_start: [{command: [sh, -c, "[ ! -f /log/bad ] || { echo not today; exit 5; }"]}]
  b: {image: %s, command: %s, depends_on: [a]}
`, baseImage, loop))
	s.run(engine.Options{NoWatch: true})
	s.ready()
	s.must(s.stop())
	p, err := s.load(t.Context())
	s.must(err)
	zero := time.Duration(0)
	direct := func(verb engine.Verb, services ...string) error {
		return engine.Once(t.Context(), engine.Options{Runtime: s.rt, StateDir: s.state, Project: p}, engine.Command{Verb: verb, Services: services, Grace: &zero})
	}
	err = direct(engine.VerbRestart)
	hookFailed(t, err, "pre_stop", "exited with 4: cannot drain")
	up := func(service string) bool {
		all, err := s.rt.Instances(t.Context(), s.name)
		s.must(err)
		return slices.ContainsFunc(all, func(in engine.Instance) bool { return in.Service == service && in.State == engine.StateRunning })
	}
	if !engine.OnlyHooks(err) || count() != 1 || !up("a") || !up("b") {
		t.Errorf("restart: %v; the hook has run %d times, a and b run: %v %v", err, count(), up("a"), up("b"))
	}
	if hookFailed(t, direct(engine.VerbStop), "pre_stop", "cannot drain"); count() != 2 || up("a") {
		t.Errorf("stop: the hook has run %d times, a runs: %v", count(), up("a"))
	}
	s.write(map[string]string{"log/bad": ""})
	if hookFailed(t, direct(engine.VerbStart), "post_start", "exited with 5: not today"); up("b") {
		t.Error("b was started, though the hook of a has failed")
	}
	if hookFailed(t, direct(engine.VerbDown), "pre_stop", "cannot drain"); count() != 3 || len(s.identities()) != 0 {
		t.Errorf("down: the hook has run %d times, left: %v", count(), s.identities())
	}
	if gone, err := s.rt.RemoveNetworks(t.Context(), s.name, nil); err != nil || len(gone.Removed) != 0 {
		t.Errorf("down left networks %v (%v)", gone, err)
	}
}
