package memory

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/compose-spec/compose-go/v2/types"

	"bulkhead/engine/container"
)

// running makes an engine with one container that runs, which prints a number each
// second.
func running(t *testing.T) (*Runtime, string) {
	rt := New()
	t.Cleanup(func() { rt.Close() })
	rt.Put("app", Image{Command: []string{"count"}})
	rt.Program("count", Program{Run: func(p *Process) int {
		for n := 0; p.Sleep(time.Second); n++ {
			p.Print("%d", n)
		}
		return 0
	}})
	c := types.ServiceConfig{Name: "web"}
	c.Image, c.NetworkMode = "app", "none"
	spec := container.CreateSpec{App: &container.App{Name: "p"},
		Service: &container.Service{Name: "web", Config: c, Image: "app"}, Replica: 1}
	id, err := rt.Create(t.Context(), spec)
	if err == nil {
		err = rt.Start(t.Context(), spec, id)
	}
	if err != nil {
		t.Fatal(err)
	}
	return rt, id
}

func TestFaultsStrikeTheCallsThatTheyName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, id := running(t)
		boom := errors.New("boom")
		ask := func() error { _, err := rt.Inspect(t.Context(), id); return err }
		asked := rt.Calls("Inspect")

		heal := rt.Inject(Fault{Method: "Inspect", Err: boom, Every: 3, Times: 2})
		var got []int
		for i := 1; i <= 12; i++ {
			if err := ask(); errors.Is(err, boom) {
				got = append(got, i)
			} else if err != nil {
				t.Fatal(err)
			}
		}
		if !slices.Equal(got, []int{3, 6}) {
			t.Errorf("struck the calls %v, want the 3rd and the 6th", got)
		}
		heal()
		if n := rt.Calls("Inspect") - asked; n != 12 {
			t.Errorf("%d calls were counted, want 12", n)
		}

		heal = rt.Inject(Fault{Method: "Inspect", ID: "another", Err: boom})
		if err := ask(); err != nil {
			t.Errorf("a fault of another container: %v", err)
		}
		heal()

		heal = rt.Inject(Fault{Method: "Inspect", Delay: time.Hour})
		began := time.Now()
		if err := ask(); err != nil || time.Since(began) != time.Hour {
			t.Errorf("a slow answer came after %v, %v", time.Since(began), err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := rt.Inspect(ctx, id); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a slow answer that nobody waits for: %v", err)
		}
		heal()

		// A break after the work was done: the error comes, and the container is
		// stopped.
		rt.Inject(Fault{Method: "Stop", Err: container.ErrNoEngine, After: true, Times: 1})
		if err := rt.Stop(t.Context(), id, 0); !errors.Is(err, container.ErrNoEngine) {
			t.Errorf("stop: %v", err)
		}
		if in, err := rt.Inspect(t.Context(), id); err != nil || in.State != container.StateExited {
			t.Errorf("after the stop it is %s, %v", in.State, err)
		}
	})
}

func TestEngineThatIsGoneAnswersNothingAndItsContainersRunOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, id := running(t)
		before, err := rt.Inspect(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		events, lines := make(chan error, 1), make(chan error, 1)
		go func() { events <- rt.Events(t.Context(), "p", time.Now(), func(container.Event) {}) }()
		go func() {
			lines <- rt.Logs(t.Context(), id, container.LogOptions{Follow: true}, func(container.Line) {})
		}()
		synctest.Wait()
		rt.SetGone(true)
		for what, err := range map[string]error{"events": <-events, "logs": <-lines} {
			if !errors.Is(err, container.ErrNoEngine) {
				t.Errorf("%s ended with %v", what, err)
			}
		}
		if _, err := rt.Info(t.Context()); !errors.Is(err, container.ErrNoEngine) {
			t.Errorf("info: %v", err)
		}
		time.Sleep(time.Hour)
		rt.SetGone(false)
		after, err := rt.Inspect(t.Context(), id)
		if err != nil || after.Identity != before.Identity {
			t.Errorf("back again: %+v, %v; was %+v", after.Identity, err, before.Identity)
		}
		n := 0
		if err := rt.Logs(t.Context(), id, container.LogOptions{Tail: -1},
			func(container.Line) { n++ }); err != nil || n < 3500 {
			t.Errorf("%d lines, %v; want those of an hour", n, err)
		}
	})
}

func TestLostEventsAreLostForEverybody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, id := running(t)
		rt.LoseEvents(func(e container.Event) bool { return e.Kind == container.EventDied })
		if err := rt.Stop(t.Context(), id, 0); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		var got []container.EventKind
		if err := rt.Events(ctx, "p", time.Unix(0, 0),
			func(e container.Event) { got = append(got, e.Kind) }); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		want := []container.EventKind{container.EventCreated, container.EventStarted, container.EventKilled,
			container.EventKilled, container.EventStopped}
		if !slices.Equal(got, want) {
			t.Errorf("events %v, want %v", got, want)
		}
	})
}
