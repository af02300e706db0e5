package engine_test

import (
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"bulkhead/engine"
	"bulkhead/engine/container/memory"
	"bulkhead/engine/logs"
)

// TestNightOfRestartsLeavesTheEngineAsItWas restarts, crashes and replaces one
// service's container again and again, and looks whether what the engine keeps
// grows.
func TestNightOfRestartsLeavesTheEngineAsItWas(t *testing.T) {
	lives := 5000
	if testing.Short() {
		lives = 500
	}
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, map[string]string{"compose.yaml": "services:\n  a: {image: app, command: [talker], network_mode: none, restart: always, stop_signal: SIGTERM}\n"}, true)
		s.rt.Program("talker", memory.Program{Handles: []string{"TERM", "ABRT"}, Run: func(p *memory.Process) int {
			for i := range 10 {
				p.Print("line %d of a life", i)
			}
			if p.Wait() == "ABRT" {
				return 128 + 6
			}
			return 0
		}})
		s.run(engine.Options{NoStats: true, Logs: logs.New(logs.Options{ServiceBytes: 1 << 20})})
		s.ready()
		night(s, lives)
	})
}

func night(s *scene, lives int) {
	began := time.Now()
	var early uint64
	var few int
	for g := 2; g <= lives; g++ {
		id := s.identities()["a/1"].ID
		switch {
		case g%4 == 0: // another program takes it away
			s.must(s.rt.Remove(s.t.Context(), id, true, false))
			// Before the engine knows that its container is gone, up finds nothing
			// to do.
			s.until("word of the removal", func(n *engine.Snapshot) bool { return find(n, "a").State != engine.StateRunning })
			s.do(engine.Command{Verb: engine.VerbUp, Services: []string{"a"}, Cause: "you pressed u"})
		case g%2 == 0: // it crashes, and its policy begins the next life
			s.must(s.rt.Kill(s.t.Context(), id, "ABRT"))
		default:
			s.do(engine.Command{Verb: engine.VerbRestart, Services: []string{"a"}, Cause: "you pressed r"})
		}
		s.until("the next generation", func(n *engine.Snapshot) bool {
			a := find(n, "a")
			return a.Generation >= g && a.State == engine.StateRunning
		})
		if g == lives/2 {
			early, few = measure() // records and the ring are full by now
		}
	}
	late, many := measure()
	s.t.Logf("%d lives in a night of %v: heap %d KiB and %d goroutines half way, %d KiB and %d at the end", lives,
		time.Since(began).Round(time.Second), early>>10, few, late>>10, many)
	if late > early+3<<20 /* records come and go by the thousand */ {
		s.t.Errorf("the heap grew from %d to %d bytes", early, late)
	}
	if many > few+10 {
		s.t.Errorf("%d goroutines, %d half way", many, few)
	}
}

// measure returns what is left when all that only waits for its end has ended.
func measure() (heap uint64, goroutines int) {
	time.Sleep(time.Hour) // virtual: followers of containers that are gone wait a moment for ends that come late
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc, runtime.NumGoroutine()
}
