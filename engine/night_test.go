package engine_test

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"bulkhead/engine"
	"bulkhead/engine/logs"
	"bulkhead/engine/project"
)

// sleepless is a runtime in memory: what it does takes no time, so that a night fits into a test. It is about what the engine keeps, and
// proves nothing about what a real one does.
type sleepless struct {
	engine.Runtime // what a night does not need

	mu     sync.Mutex
	n      int
	all    map[string]*engine.Instance
	ended  map[string]chan struct{} // closed when the life that runs ends
	events chan engine.Event
}

func (f *sleepless) Info(context.Context) (engine.Info, error) {
	return engine.Info{ID: "sleepless", Name: "docker"}, nil
}
func (f *sleepless) Caps() engine.Caps { return engine.Caps{} }
func (f *sleepless) Image(context.Context, string, string) (engine.Image, error) {
	return engine.Image{ID: "image", Digest: "image"}, nil
}
func (f *sleepless) HandlesStop(context.Context, string) (handles, known bool) { return true, true }
func (f *sleepless) Rename(context.Context, string, string) error              { return nil }

func (f *sleepless) ProjectImages(context.Context, string, bool) ([]string, error) {
	return nil, nil
}

func (f *sleepless) Instances(context.Context, string) ([]engine.Instance, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []engine.Instance
	for _, in := range f.all {
		out = append(out, *in)
	}
	return out, nil
}

func (f *sleepless) Inspect(_ context.Context, id string) (engine.Instance, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if in := f.all[id]; in != nil {
		return *in, nil
	}
	return engine.Instance{}, engine.ErrNotFound
}

func (f *sleepless) Create(_ context.Context, s engine.CreateSpec) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.n++
	id := fmt.Sprintf("%064x", f.n)
	f.all[id] = &engine.Instance{Identity: engine.Identity{ID: id}, Service: s.Service.Name, Replica: s.Replica, Number: fmt.Sprint(s.Replica),
		Name: s.Name, State: engine.StateCreated, Health: engine.HealthNone, Created: time.Now(), ImageID: s.Image.ID, Digest: s.Image.Digest}
	return id, nil
}

func (f *sleepless) tell(in *engine.Instance, kind engine.EventKind) {
	f.events <- engine.Event{Time: time.Now(), Kind: kind, ID: in.ID, Service: in.Service, Replica: in.Replica, Name: in.Name, ExitCode: in.ExitCode}
}

func (f *sleepless) Start(_ context.Context, _ engine.CreateSpec, id string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	in := f.all[id]
	in.State, in.Started = engine.StateRunning, time.Now()
	f.ended[id] = make(chan struct{})
	f.tell(in, engine.EventStarted)
	return nil
}

// crash ends a container's life, and with again its restart policy begins the next one at once.
func (f *sleepless) crash(id string, again bool) {
	f.mu.Lock()
	in := f.all[id]
	if in == nil || in.State != engine.StateRunning {
		f.mu.Unlock()
		return
	}
	in.State, in.Finished, in.ExitCode = engine.StateExited, time.Now(), 1
	close(f.ended[id])
	f.tell(in, engine.EventDied)
	f.mu.Unlock()
	if again {
		_ = f.Start(context.Background(), engine.CreateSpec{}, id) // it never gives an error
	}
}

func (f *sleepless) Stop(_ context.Context, id string, _ time.Duration) error {
	f.crash(id, false)
	return nil
}

func (f *sleepless) Remove(_ context.Context, id string, _, _ bool) error {
	f.crash(id, false)
	f.mu.Lock()
	defer f.mu.Unlock()
	if in := f.all[id]; in != nil {
		delete(f.all, id)
		delete(f.ended, id)
		f.tell(in, engine.EventRemoved)
	}
	return nil
}

func (f *sleepless) Events(ctx context.Context, _ string, _ time.Time, emit func(engine.Event)) error {
	for {
		select {
		case ev := <-f.events:
			emit(ev)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (f *sleepless) Logs(ctx context.Context, id string, _ engine.LogOptions, emit func(logs.Line)) error {
	f.mu.Lock()
	ended := f.ended[id]
	f.mu.Unlock()
	if ended == nil {
		return engine.ErrNotFound
	}
	for i := range 10 {
		emit(logs.Line{Stream: logs.Stdout, Time: time.Now(), Text: fmt.Appendf(nil, "line %d of a life", i)})
	}
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// TestNightOfRestartsLeavesTheEngineAsItWas restarts, crashes and replaces one service's container again and again, and looks whether
// what the engine keeps grows.
func TestNightOfRestartsLeavesTheEngineAsItWas(t *testing.T) {
	others := runtime.NumGoroutine() // tests that wait for their turn have some
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "compose.yaml"), []byte("services:\n  a: {image: image, network_mode: none, restart: always}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	p, err := project.Load(t.Context(), project.Options{Files: []string{filepath.Join(dir, "compose.yaml")}, Name: "night"})
	if err != nil {
		t.Fatal(err)
	}
	f := &sleepless{all: map[string]*engine.Instance{}, ended: map[string]chan struct{}{}, events: make(chan engine.Event, 100_000)} // it is written to under the lock
	e := engine.New(engine.Options{Runtime: f, Project: p, NoWatch: true, NoStats: true, StateDir: t.TempDir(), Logs: logs.New(logs.Options{ServiceBytes: 1 << 20})})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	if err := e.WaitReady(t.Context()); err != nil {
		t.Fatal(err)
	}
	generation := func(atLeast int) {
		t.Helper()
		changed, stop := e.Subscribe()
		defer stop()
		for limit := time.After(patience); ; {
			n := find(e.Snapshot(), "a")
			if n.Generation >= atLeast && n.State == engine.StateRunning {
				return
			}
			select {
			case <-changed:
			case <-limit:
				t.Fatalf("generation %d, want %d; it is %s", n.Generation, atLeast, n.State)
			}
		}
	}
	// noticed waits until the engine knows that its container is gone: before that, up finds nothing to do.
	noticed := func() {
		t.Helper()
		changed, stop := e.Subscribe()
		defer stop()
		for limit := time.After(patience); find(e.Snapshot(), "a").State == engine.StateRunning; {
			select {
			case <-changed:
			case <-limit:
				t.Fatal("a container that is gone is taken to run")
			}
		}
	}
	measure := func() (heap uint64, goroutines int) {
		// Followers of containers that are gone wait a moment for ends that are told late.
		for limit := time.Now().Add(patience); runtime.NumGoroutine() > others+10 && time.Now().Before(limit); time.Sleep(20 * time.Millisecond) {
		}
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc, runtime.NumGoroutine()
	}
	lives := 5000
	if testing.Short() {
		lives = 500
	}
	var early uint64
	var few int
	began := time.Now()
	for g := 2; g <= lives; g++ {
		f.mu.Lock()
		id := slices.Collect(maps.Keys(f.all))[0]
		f.mu.Unlock()
		switch {
		case g%4 == 0: // another program takes it away
			_ = f.Remove(ctx, id, true, false)
			noticed()
			if err := e.Do(ctx, engine.Command{Verb: engine.VerbUp, Services: []string{"a"}, Cause: "you pressed u"}); err != nil {
				t.Fatal(err)
			}
		case g%2 == 0:
			f.crash(id, true)
		default:
			if err := e.Do(ctx, engine.Command{Verb: engine.VerbRestart, Services: []string{"a"}, Cause: "you pressed r"}); err != nil {
				t.Fatal(err)
			}
		}
		generation(g)
		if g == lives/2 {
			// Records and the ring are full by now.
			early, few = measure()
		}
	}
	late, many := measure()
	t.Logf("%d lives in %v: heap %d KiB and %d goroutines half way, %d KiB and %d at the end", lives, time.Since(began).Round(time.Millisecond), early>>10, few, late>>10, many)
	if late > early+3<<20 /* records come and go by the thousand */ {
		t.Errorf("the heap grew from %d to %d bytes", early, late)
	}
	if many > few+10 {
		t.Errorf("%d goroutines, %d half way", many, few)
	}
}
