package engine_test

import (
	"fmt"
	"strings"
	"testing"

	"bulkhead/engine"
)

// This file holds what docker compose gets wrong and bulkhead must get right, as far as it is about
// the real engine; the rest is in compose_virtual_test.go. One of them stands elsewhere: "what is
// deleted while a container is stopped is gone after its start, and images without rm are no
// exception" is TestDeletedWhileStoppedIsGoneWhoeverStartsItNext and
// TestDeletesNeedNoProgramInTheImageAndTakeAnyName in sync_test.go.

// Ten replicas live ten times each: a hundred generations. Without a network, a start takes half the time.
func TestFirstLineOfEveryGenerationIsThereAHundredTimes(t *testing.T) {
	const replicas, lives = 10, 10
	s := open(t, map[string]string{"compose.yaml": fmt.Sprintf(`
services:
  a: {image: %s, scale: %d, network_mode: none, command: ["sh", "-c", "echo first; echo second; exec sleep 1000"]}
`, baseImage, replicas)})
	s.up()
	before := s.identities()
	for range lives - 1 {
		s.do(engine.Command{Verb: engine.VerbRestart, Services: []string{"a"}})
	}
	count := func(text string) (n int) {
		for _, l := range s.lines("a") {
			if strings.HasSuffix(l, text) {
				n++
			}
		}
		return n
	}
	s.until("the last line of all", func(*engine.Snapshot) bool {
		return count(fmt.Sprintf("gen%d stdout second", lives)) >= replicas
	})
	for g := 1; g <= lives; g++ {
		for _, text := range []string{"first", "second"} {
			want := fmt.Sprintf("a gen%d stdout %s", g, text)
			if n := count(want); n != replicas {
				t.Errorf("%q is there %d times, want %d", want, n, replicas)
			}
		}
	}
	for name, after := range s.identities() {
		if was := before[name]; after.ID != was.ID || !after.Started.After(was.Started) {
			t.Errorf("%s: identity %+v, was %+v; want the same container, started later", name, after, was)
		}
	}
}

func TestVolumesFromReadOnlyIsReadOnly(t *testing.T) {
	s := open(t, map[string]string{"compose.yaml": fmt.Sprintf(`
services:
  a: {image: %[1]s, command: %[2]s, volumes: ["data:/data"]}
  ro: {image: %[1]s, command: %[2]s, volumes_from: ["a:ro"]}
  rw: {image: %[1]s, command: %[2]s, volumes_from: [a]}
volumes: {data: {}}
`, baseImage, loop)})
	s.up()
	s.sh("rw", "echo hello > /data/x")
	if got := s.sh("ro", "cat /data/x; touch /data/y 2>&1 || true"); !strings.Contains(got, "hello") || !strings.Contains(got, "Read-only") {
		t.Errorf("through a:ro: %q", got)
	}
}
