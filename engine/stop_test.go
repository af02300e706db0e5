package engine_test

import (
	"strings"
	"testing"
	"time"

	"bulkhead/engine"
)

// A restart says how the life before it ended: by its own end, at once because it could not react, or when its grace was over.
func TestRestartTellsHowItStopped(t *testing.T) {
	s := open(t, map[string]string{"compose.yaml": `
services:
  polite: {image: ` + baseImage + `, command: [sh, -c, "trap 'exit 0' TERM; while :; do sleep 0.05; done"]}
  deaf: {image: ` + baseImage + `, command: [sleep, "1000"]}
  stubborn: {image: ` + baseImage + `, command: [sh, -c, "trap 'echo no' TERM; while :; do sleep 0.05; done"]}
  patient: {image: ` + baseImage + `, command: [sleep, "1000"], stop_grace_period: 1s}
`})
	s.run(engine.Options{NoWatch: true})
	s.ready()
	for _, c := range []struct {
		service string
		how     engine.Stop
		note    string
		least   time.Duration
	}{
		{"polite", engine.StopSignal, "", 0},
		{"deaf", engine.StopKilled, "killed at once", 0},
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
		if got.Stop != c.how || !strings.Contains(got.Note, c.note) || took < c.least {
			t.Errorf("%s: stopped by %q after %v, note %q; want %q", c.service, got.Stop, took, got.Note, c.how)
		}
	}
}

// saver needs longer than the loop's grace to save when it is told to end.
const saver = `[sh, -c, "trap 'echo saving; sleep 4; echo saved; exit 0' TERM; echo up; while :; do sleep 0.05; done"]`

// Whatever a person does that ends a service, it has the time to save that the Compose specification gives it.
func TestServiceThatSavesForSecondsSavesWhateverEndsIt(t *testing.T) {
	s := open(t, map[string]string{"compose.yaml": `
services:
  a: {image: ` + baseImage + `, command: ` + saver + `}
`})
	s.run(engine.Options{NoWatch: true})
	s.ready()
	saved := 0
	check := func(what string) {
		t.Helper()
		saved++
		s.until("save by "+what, func(*engine.Snapshot) bool { return strings.Count(strings.Join(s.lines("a"), "\n"), "saved") >= saved })
		for _, c := range find(s.Snapshot(), "a").Changes {
			if strings.Contains(c.Note, "kill") {
				t.Errorf("%s: %s, and it ended by itself", what, c.Note)
			}
		}
	}
	restarted := make(chan error, 1)
	go func() {
		restarted <- s.Do(s.t.Context(), engine.Command{Verb: engine.VerbRestart, Services: []string{"a"}})
	}()
	n := s.until("stop in progress", func(n *engine.Snapshot) bool { return find(n, "a").Replicas[0].State == engine.StateStopping })
	if by := find(n, "a").Replicas[0].StopBy; by.IsZero() || time.Until(by) > 10*time.Second {
		t.Errorf("a stop in progress ends by %v", by)
	}
	s.must(<-restarted)
	check("restart")

	s.write(map[string]string{"compose.yaml": `
services:
  a: {image: ` + baseImage + `, command: ` + saver + `, environment: {NEW: "1"}}
`})
	s.must(s.stop())
	s.run(engine.Options{NoWatch: true})
	s.ready()
	check("change of its configuration")

	s.do(engine.Command{Verb: engine.VerbStop, Services: []string{"a"}})
	check("stop")
	if a := find(s.Snapshot(), "a"); a.ExitCode != 0 {
		t.Errorf("it ended with %d", a.ExitCode)
	}
	s.do(engine.Command{Verb: engine.VerbUp, Services: []string{"a"}})
	s.ready()
	s.do(engine.Command{Verb: engine.VerbDown})
	check("down")
}

// The loop's own swap has no time to lose, but a service with something to keep has its full grace.
func TestLoopGraceIsOnlyForWhatHasNothingToKeep(t *testing.T) {
	stubborn := `trap 'echo no' TERM; while :; do sleep 0.05; done`
	docker := "FROM " + baseImage + "\nCOPY text /text\nCMD [\"sh\", \"-c\", \"" + stubborn + "\"]\n"
	s := open(t, map[string]string{"a/Dockerfile": docker, "a/text": "1", "b/Dockerfile": docker, "b/text": "1", "compose.yaml": `
services:
  a: {build: a}
  b: {build: b, volumes: ["data:/data"]}
volumes: {data: {}}
`})
	s.up()
	s.write(map[string]string{"a/text": "2", "b/text": "2"})
	if got := s.change("a", "rebuild", 0); got.Stop != engine.StopLate || !strings.Contains(got.Note, "killed after 2.0s") {
		t.Errorf("a stopped by %q, %s", got.Stop, got.Note)
	}
	if got := s.change("b", "rebuild", 0); got.Stop != engine.StopLate || !strings.Contains(got.Note, "killed after 10.0s") {
		t.Errorf("b stopped by %q, %s", got.Stop, got.Note)
	}
}
