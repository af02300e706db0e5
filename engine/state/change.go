package state

import (
	"context"
	"fmt"
	"slices"
	"time"

	"bulkhead/engine/container"
	"bulkhead/engine/step"
)

// Timing is a Change that is being timed. A nil one takes nothing. Its methods may be called from any
// goroutine.
type Timing struct {
	s *Member
	c *Change
}

// Change begins the timing of a change whose first sign came at at.
func (s *Member) Change(action, cause string, paths []string, at time.Time) *Timing {
	s.st.mu.Lock()
	defer s.st.mu.Unlock()
	c := &Change{Service: s.c.Name, Action: action, Cause: cause, Paths: paths, Began: at}
	if d := time.Since(at); len(paths) > 0 {
		c.Stages = append(c.Stages, Stage{Name: "detect", Took: d})
	}
	s.changes = append(s.changes, c)
	if len(s.changes) > keptChanges {
		s.changes = s.changes[1:]
	}
	s.st.bump()
	return &Timing{s: s, c: c}
}

// Action corrects what the change turned out to be.
func (k *Timing) Action(a string) {
	k.s.st.mu.Lock()
	defer k.s.st.mu.Unlock()
	k.c.Action = a
	k.s.st.bump()
}

// Time runs one stage. Stages that run twice (several replicas) add up.
func (k *Timing) Time(name string, f func() error) error {
	began := time.Now()
	err := f()
	k.Add(name, time.Since(began))
	return err
}

// Add adds a stage to the change; one that is there already becomes longer.
func (k *Timing) Add(name string, took time.Duration) {
	if k == nil {
		return
	}
	k.s.st.mu.Lock()
	defer k.s.st.mu.Unlock()
	i := slices.IndexFunc(k.c.Stages, func(s Stage) bool { return s.Name == name })
	if i < 0 {
		k.c.Stages = append(k.c.Stages, Stage{Name: name, Took: took})
	} else {
		k.c.Stages[i].Took += took
	}
	k.s.st.bump()
}

// Stopped notes how a container was stopped; of several the harshest way counts. note is a line about it, or "".
func (k *Timing) Stopped(how step.Stop, note string) {
	if k == nil {
		return
	}
	k.s.st.mu.Lock()
	defer k.s.st.mu.Unlock()
	if how >= k.c.Stop {
		k.c.Stop, k.c.Note = how, note
	}
}

// Drop takes back a change that turned out to be none.
func (k *Timing) Drop() {
	k.s.st.mu.Lock()
	defer k.s.st.mu.Unlock()
	k.s.changes = slices.DeleteFunc(k.s.changes, func(c *Change) bool { return c == k.c })
	k.s.st.bump()
}

// recovered notes that the service became ready after the change had come to nothing.
func (k *Timing) recovered() {
	st, c := k.s.st, k.c
	st.mu.Lock()
	defer st.mu.Unlock()
	c.Recovered = time.Now()
	k.s.failLocked(nil) // what is there works
	k.s.update()
	what := fmt.Sprintf("%s: ready after all, %s after it started", c.Action,
		container.Brief(c.Recovered.Sub(c.Began)))
	st.record(Record{Kind: "service", Service: c.Service, Generation: c.Generation, State: k.s.c.State,
		Cause: c.Cause, Action: c.Action,
		What: what, Text: c.Service + ": " + what})
}

// latest says whether no other change of the service has begun since.
func (k *Timing) latest() bool {
	k.s.st.mu.Lock()
	defer k.s.st.mu.Unlock()
	n := len(k.s.changes)
	return n > 0 && k.s.changes[n-1] == k.c
}

// End ends the change and records it. One that has ended already stays as it is.
func (k *Timing) End(err error) {
	st := k.s.st
	st.mu.Lock()
	defer st.mu.Unlock()
	if !k.c.Ended.IsZero() {
		return
	}
	k.c.Ended = time.Now()
	k.c.Stages = append(k.c.Stages, Stage{Name: "total", Took: k.c.Ended.Sub(k.c.Began)})
	for _, r := range k.s.reps.all {
		k.c.Generation = max(k.c.Generation, r.generation)
	}
	name := k.s.c.Name
	rec := Record{Kind: "watch", Service: name, Generation: k.c.Generation, State: k.s.c.State,
		Cause: k.c.Cause, Action: k.c.Action,
		Paths: k.c.Paths, Stages: slices.Clone(k.c.Stages), Stop: k.c.Stop}
	if len(k.c.Paths) == 0 {
		rec.Kind = "service"
	}
	took := container.Brief(k.c.Ended.Sub(k.c.Began))
	if err != nil {
		k.c.Err, k.c.ErrNamed = container.FirstLine(err.Error()), container.Names(err, name)
		rec.Err, rec.What = k.c.Err, fmt.Sprintf("%s failed after %s: %s", k.c.Action, took, k.c.Err)
		rec.Text = name + ": " + rec.What
	} else {
		k.c.Slow = slow(k.s.changes, k.c)
		rec.What = fmt.Sprintf("%s done in %s", k.c.Action, took)
		rec.Text = fmt.Sprintf("%s: %s (%s)", name, rec.What, k.c.Cause)
	}
	if k.c.Note != "" {
		rec.What += "; " + k.c.Note
		rec.Text += "; " + k.c.Note
	}
	st.record(rec)
}

// EndWhenReady ends a change whose containers have started, once the service is ready, or once its
// new generation has come to nothing: then it waits on, and notes when the service is ready after all.
// It returns early when another change of the service has begun, and nil when ctx ends, which leaves
// the change open.
func (k *Timing) EndWhenReady(ctx context.Context) error {
	started, name := time.Now(), k.c.Service
	var failed error
	overtaken, err := k.await(ctx, func(v *View) bool {
		s := v.Services[name]
		if s.Lane.Busy {
			return false
		}
		failed = s.Hopeless()
		return failed != nil || s.Ready()
	})
	if err != nil {
		return nil // the engine ends; a change that nobody waits for stays open
	}
	if !overtaken {
		k.Add("ready", time.Since(started))
	}
	k.End(failed)
	if failed == nil || overtaken {
		return nil
	}
	return k.AwaitRecovery(ctx)
}

// AwaitRecovery notes when the service of a change that came to nothing is ready after all. It returns
// early when another change of the service has begun, and nil when ctx ends.
func (k *Timing) AwaitRecovery(ctx context.Context) error {
	overtaken, err := k.await(ctx, func(v *View) bool {
		s := v.Services[k.c.Service]
		return !s.Lane.Busy && s.Ready()
	})
	if err == nil && !overtaken {
		k.recovered()
	}
	return nil
}

// await waits until over says so, or another change of the service has begun or the service is gone.
func (k *Timing) await(ctx context.Context, over func(*View) bool) (overtaken bool, err error) {
	err = k.s.st.Await(ctx, func(v *View) (bool, error) {
		overtaken = !k.latest() || v.Services[k.c.Service] == nil
		return overtaken || over(v), nil
	})
	return overtaken, err
}
