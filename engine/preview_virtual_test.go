package engine_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"bulkhead/engine"
	"bulkhead/engine/container/memory"
)

// A prompt is seen while the line has no end, in each life of the service, and the log never has it twice.
func TestUnfinishedLineIsPreviewedOverAllLives(t *testing.T) {
	files := map[string]string{"compose.yaml": "services:\n  a:\n    image: app\n    command: [ask]\n  b:\n    image: app\n"}
	virtually(t, files, func(s *scene) {
		s.rt.Program("ask", memory.Program{Handles: []string{"TERM", "USR1"}, Run: func(p *memory.Process) int {
			for p.Sleep(time.Second) {
				p.Write("\rname? ")
				if p.Wait() != "USR1" {
					return 0
				}
				p.Write("Ada\n")
				if p.Wait() != "USR1" {
					return 0
				}
			}
			return 0
		}})
		s.up()
		time.Sleep(2 * time.Second)
		var mu sync.Mutex
		var seen []string
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		ended := make(chan error, 1)
		go func() {
			ended <- s.Preview(ctx, "a", 0, func(text string) {
				mu.Lock()
				defer mu.Unlock()
				seen = append(seen, text)
			})
		}()
		last := func(want string) {
			t.Helper()
			time.Sleep(2 * time.Second)
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			if len(seen) == 0 || seen[len(seen)-1] != want {
				t.Fatalf("seen %q, want %q at the end", seen, want)
			}
		}
		time.Sleep(time.Second)
		synctest.Wait()
		mu.Lock()
		if len(seen) > 0 {
			t.Errorf("%q was written before anybody looked", seen)
		}
		mu.Unlock()
		for range 2 {
			s.do(engine.Command{Verb: engine.VerbRestart, Services: []string{"a"}})
			s.until("restarted", func(n *engine.Snapshot) bool { return find(n, "a").State == engine.StateRunning })
			last("\rname? ")
			s.must(s.rt.Kill(t.Context(), s.identities()["a/1"].ID, "USR1"))
			last("")
		}
		if n := s.rt.Calls("Preview"); n > 40 {
			t.Errorf("connected %d times", n)
		}
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("ended with %v", err)
		}
		if err := s.Preview(t.Context(), "nobody", 0, func(string) {}); err == nil {
			t.Error("a service that is not there was previewed")
		}
	})
}
