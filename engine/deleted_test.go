package engine_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"bulkhead/engine"
	"bulkhead/engine/container/memory"
)

// seeing is a scene of one service whose program says at its start which of two files it has.
func seeing(s *scene, action, more string) {
	s.rt.Program("look", memory.Program{Handles: []string{"TERM"}, Run: func(p *memory.Process) int {
		_, kept := p.ReadFile("/www/kept")
		_, gone := p.ReadFile("/www/gone")
		p.Print("kept %t gone %t", kept, gone)
		p.Wait()
		return 0
	}})
	s.write(map[string]string{"src/kept": "1", "src/gone": "1", "compose.yaml": `
services:
  a: {image: app, command: look, develop: {watch: [{path: src, action: ` + action + `, target: /www, initial_sync: true` + more + `}]}}
`})
}

// A stopped container's files cannot be deleted, so its program is started before they are.
func TestProgramOfAStoppedContainerRunsWithoutWhatWasDeleted(t *testing.T) {
	for action, lives := range map[string]int{"sync": 1, "sync+restart": 2, "sync+exec": 1} {
		t.Run(action, func(t *testing.T) {
			s := watched(t, nil)
			more := ""
			if action == "sync+exec" {
				more = `, exec: {command: ["echo", "ran"]}`
			}
			seeing(s, action, more)
			s.up()
			s.line("a", "kept true gone true")
			id := s.identities()["a/1"].ID
			s.must(s.stop(), s.rt.Stop(t.Context(), id, 0), os.Remove(s.path("src/gone")))
			s.up()
			s.lives("a", 1+lives)
			if got := s.file("a", "/www/gone"); got != "" || s.identities()["a/1"].ID != id {
				t.Errorf("the container %v, was %s, has the file: %q", s.identities(), id, got)
			}
			if action == "sync+exec" {
				s.line("a", "system ran")
			}
			// Nothing is owed any more.
			s.must(s.stop(), s.rt.Stop(t.Context(), id, 0))
			s.up()
			s.lives("a", 2+lives)
		})
	}
}

// Where somebody else starts it, too.
func TestProgramThatSomebodyElseStartsRunsWithoutWhatWasDeleted(t *testing.T) {
	s := watched(t, nil)
	seeing(s, "sync+restart", "")
	s.up()
	id := s.identities()["a/1"].ID
	s.must(s.rt.Stop(t.Context(), id, 0))
	s.until("stopped", func(n *engine.Snapshot) bool { return find(n, "a").State == engine.StateExited })
	n := len(find(s.Snapshot(), "a").Changes)
	s.must(os.Remove(s.path("src/gone")))
	s.change("a", "sync+restart", n)
	s.must(s.rt.Start(t.Context(), engine.CreateSpec{}, id))
	s.until("the file gone", func(*engine.Snapshot) bool { return s.file("a", "/www/gone") == "" })
	s.line("a", "kept true gone false")
}

// lives waits until the program of seeing has begun so many lives, no more, and the last has all but the file
// that is gone.
func (s *scene) lives(service string, want int) {
	s.t.Helper()
	begun := func() (lines []string) {
		return slices.DeleteFunc(s.lines(service), func(l string) bool { return !strings.Contains(l, " kept ") })
	}
	s.until("its lives", func(*engine.Snapshot) bool { return len(begun()) >= want })
	s.idle(service)
	if got := begun(); len(got) != want || want > 2 && !strings.Contains(got[want-1], "kept true gone false") {
		s.t.Errorf("its program began as %q, want %d times, and the last without what is gone", got, want)
	}
}
