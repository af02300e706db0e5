package memory

import (
	"context"
	"errors"
	"fmt"
	"time"

	"bulkhead/engine/container"
)

// Core is a Runtime of which only what every runtime has can be seen. It has one network for all, and
// names containers by itself.
func Core(rt *Runtime) container.Runtime { return struct{ container.Runtime }{core{rt}} }

type core struct{ *Runtime }

// Create implements container.Runtime.
func (c core) Create(ctx context.Context, s container.CreateSpec) (string, error) {
	c.engine.mu.Lock()
	s.Name = fmt.Sprintf("%s-%s-%04x", s.App.Name, s.Service.Name, c.serial)
	c.engine.mu.Unlock()
	flat := *s.Service
	flat.Config.Networks = nil
	s.Service = &flat
	return c.Runtime.Create(ctx, s)
}

// Orchestrator is a Runtime as a cluster is one: it swaps containers by itself, one that was swapped is
// gone, and its events tell of lives and not of the signals that ended them. It
// cannot rename, pause or restart, and the output of what runs is in its logs alone.
type Orchestrator struct {
	container.Runtime
	container.ImageStore
	container.FileWriter
	container.FileReader
	rt *Runtime
}

var (
	_ container.Swapper    = (*Orchestrator)(nil)
	_ container.ImageStore = (*Orchestrator)(nil)
	_ container.FileWriter = (*Orchestrator)(nil)
	_ container.FileReader = (*Orchestrator)(nil)
)

// Orchestrated makes one of a Runtime.
func Orchestrated(rt *Runtime) *Orchestrator {
	return &Orchestrator{Runtime: Core(rt), ImageStore: rt, FileWriter: rt, FileReader: rt, rt: rt}
}

// Events implements container.Runtime.
func (o *Orchestrator) Events(
	ctx context.Context, project string, since time.Time, emit func(container.Event),
) error {
	return o.rt.Events(ctx, project, since, func(e container.Event) {
		switch e.Kind {
		case container.EventKilled, container.EventStopped, container.EventRestarted, container.EventRenamed:
		default:
			emit(e)
		}
	})
}

// Swap implements container.Swapper.
func (o *Orchestrator) Swap(ctx context.Context, s container.SwapSpec) (string, error) {
	if err := o.rt.faults.enter(ctx, "Swap", s.Old); err != nil {
		return "", err
	}
	was, err := o.Inspect(ctx, s.Old)
	if err != nil {
		return "", err
	}
	timed := func(stage string, f func() error) error {
		began := time.Now()
		defer func() { s.Stage(stage, time.Since(began)) }()
		return f()
	}
	id := ""
	if err := timed("create", func() (err error) { id, err = o.Create(ctx, s.New); return err }); err != nil {
		return "", err
	}
	stop := func() error { return timed("stop", func() error { return o.Stop(ctx, s.Old, s.Grace) }) }
	start := func() error { return timed("start", func() error { return o.Start(ctx, s.New, id) }) }
	ready := func() error { return timed("ready", func() error { return o.ready(ctx, id, s.Overlap) }) }
	made := func() error { return s.Made(ctx, id) }
	steps := []func() error{made, stop, start}
	if s.Overlap > 0 {
		steps = []func() error{made, start, ready, stop}
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return "", errors.Join(err, o.bringBack(ctx, was, id))
		}
	}
	return id, o.Remove(ctx, s.Old, true, false)
}

// bringBack has the one that was there run again, and removes the other.
func (o *Orchestrator) bringBack(ctx context.Context, was container.Instance, id string) error {
	err := o.Remove(ctx, id, true, false)
	if was.State == container.StateRunning {
		err = errors.Join(err, o.Start(ctx, container.CreateSpec{}, was.ID))
	}
	return err
}

// ready waits until a container is ready, for d at most.
func (o *Orchestrator) ready(ctx context.Context, id string, d time.Duration) error {
	for limit := time.Now().Add(d); ; {
		in, err := o.Inspect(ctx, id)
		switch {
		case err != nil:
			return err
		case in.State != container.StateRunning:
			return fmt.Errorf("the new container is %s: %w", in.State, container.ErrConflict)
		case in.Health == container.HealthNone || in.Health == container.Healthy:
			return nil
		case time.Now().After(limit):
			return fmt.Errorf("the new container was not ready within %s", container.Brief(d))
		case !o.rt.engine.pause(ctx, 10*time.Millisecond, nil):
			return errors.Join(ctx.Err(), errCut)
		}
	}
}
