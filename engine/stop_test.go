package engine_test

import (
	"strings"
	"testing"
	"time"

	"bulkhead/engine"
)

// A restart never waits ten seconds, honours what the file says, and tells how it came to the end.
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
		service     string
		how         engine.Stop
		note        string
		least, most time.Duration
	}{
		{"polite", engine.StopSignal, "", 0, 1900 * time.Millisecond},
		{"deaf", engine.StopKilled, "killed at once", 0, 1900 * time.Millisecond},
		{"stubborn", engine.StopLate, "killed after 2.0s", 2 * time.Second, 8 * time.Second},
		{"patient", engine.StopLate, "killed after its grace of 1.0s", time.Second, 8 * time.Second},
	} {
		s.do(engine.Command{Verb: engine.VerbRestart, Services: []string{c.service}})
		got := s.change(c.service, "restart", 0)
		var took time.Duration
		for _, st := range got.Stages {
			if st.Name == "stop" {
				took = st.Took
			}
		}
		if got.Stop != c.how || !strings.Contains(got.Note, c.note) || took < c.least || took > c.most {
			t.Errorf("%s: stopped by %q after %v, note %q; want %q", c.service, got.Stop, took, got.Note, c.how)
		}
	}
}
