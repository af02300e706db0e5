package engine_test

import (
	"strings"
	"testing"
	"time"

	"bulkhead/engine"
	"bulkhead/engine/logs"
)

// overlapping is a service whose first generation is ready at once, and the next ones when somebody makes /tmp/ready.
func overlapping(more string) map[string]string {
	files := built()
	files["a/Dockerfile"] = "FROM " + baseImage + "\nCOPY text /text\nCMD [\"sh\", \"-c\", \"trap 'exit 0' TERM; cat /text; grep -q 1 /text && touch /tmp/ready; while :; do sleep 0.05; done\"]\n"
	files["compose.yaml"] = `
services:
  a:
    build: a
    healthcheck: {test: ["CMD", "test", "-f", "/tmp/ready"], interval: 5s, retries: 3}
    x-bulkhead: {swap: overlap}
` + more
	return files
}

func TestOverlapStopsTheOldOnlyWhenTheNewIsReady(t *testing.T) {
	s := open(t, overlapping(""))
	s.up()
	old := s.identities()["a/1"].ID
	s.write(map[string]string{"a/text": "version 2\n"})
	s.line("a", "stdout version 2")
	if in, err := s.rt.Inspect(t.Context(), old); err != nil || in.State != engine.StateRunning {
		t.Errorf("the old one is %s (%v) while the new one is not ready", in.State, err)
	}
	ready := time.Now()
	s.touchNew("a", old, "/tmp/ready")
	s.change("a", "rebuild", 0)
	v := s.logs.View(logs.Filter{Services: []string{"a"}})
	first, end := v.Bounds()
	var over logs.Line
	for _, l := range v.Lines(first, int(end-first)) {
		if strings.HasPrefix(string(l.Text), "run 1 ended") {
			over = l
		}
	}
	if over.Time.Before(ready) {
		t.Errorf("the old one ended at %v, before the new one was ready at %v\n%s", over.Time, ready, s.dump())
	}
	if ids := s.identities(); len(ids) != 1 {
		t.Errorf("containers %v, want one", ids)
	}
}

// touchNew makes a file in the container of a service that is not the old one.
func (s *stage) touchNew(service, old, path string) {
	s.t.Helper()
	all, err := s.rt.Instances(s.t.Context(), s.name)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, in := range all {
		if in.Service != service || in.ID == old {
			continue
		}
		if code, err := s.rt.Exec(s.t.Context(), in.ID, engine.ExecOptions{Cmd: []string{"touch", path}}); err != nil || code != 0 {
			s.t.Fatalf("touch %s in %s: code %d, %v", path, in.Name, code, err)
		}
	}
}

// The lane goes on while the container that was replaced is cleared away, and in the end the new
// one alone is there, by its own name.
func TestReplacedContainerIsClearedAway(t *testing.T) {
	s := open(t, built())
	s.up()
	old := s.identities()["a/1"]
	s.write(map[string]string{"a/text": "version 2\n"})
	s.change("a", "rebuild", 0)
	s.eventually("old container gone", func() bool {
		all, err := s.rt.Instances(t.Context(), s.name)
		if err != nil {
			t.Fatal(err)
		}
		for _, in := range all {
			if in.ID == old.ID {
				return false
			}
			if want := s.name + "-" + in.Service + "-1"; in.Name != want {
				t.Errorf("%s is named %s, want %s", in.Service, in.Name, want)
			}
		}
		return true
	})
}
