package engine_test

import (
	"fmt"
	"strings"
	"testing"

	"bulkhead/engine"
)

// Contents that come back are images that are there already, without a name: cleaning up must not take them away again.
func TestContentThatComesBackIsRunByAll(t *testing.T) {
	files := map[string]string{"f": "0\n", "Dockerfile": "FROM " + baseImage + "\nCOPY f /f\nCMD " + strings.ReplaceAll(loop, "$$", "$") + "\n"}
	compose := "services:\n"
	services := []string{"a", "b", "c", "d"}
	for _, n := range services {
		compose += fmt.Sprintf("  %s: {build: {context: ., args: {N: %s}}, stop_grace_period: 0s}\n", n, n)
	}
	files["compose.yaml"] = compose
	files[".dockerignore"] = "*\n!f\n"
	s := open(t, files)
	s.up()
	for round := range 5 {
		text := fmt.Sprintf("%d\n", (round+1)%2)
		s.write(map[string]string{"f": text})
		for _, n := range services {
			s.until(n+" with "+text, func(snap *engine.Snapshot) bool {
				svc := find(snap, n)
				if svc.Err != "" {
					t.Fatalf("%s: %s\n%s", n, svc.Err, s.dump())
				}
				if svc.State != engine.StateRunning {
					return false
				}
				got, err := s.tryCat(n, "/f")
				return err == nil && got == text
			})
		}
	}
	if w := s.Snapshot().Warnings; len(w) > 0 {
		t.Errorf("warnings: %q", w)
	}
}
