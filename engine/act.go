package engine

import (
	"context"
	"slices"

	"bulkhead/engine/plan"
	"bulkhead/engine/step"
)

// unit is a service for the steps of a lane, as it is now.
func (l *lane) unit() step.Service {
	e, s := l.e, l.s
	e.mu.Lock()
	defer e.mu.Unlock()
	u := step.Service{Conf: s.conf}
	if s.image != nil {
		u.Image = *s.image
	}
	return u
}

// stop stops a replica's container, and notes with the change how it ended.
func (l *lane) stop(ctx context.Context, h replicaRef, m step.Mode, cause string, k *change) error {
	e := l.e
	e.mu.Lock()
	in := h.inst
	e.mu.Unlock()
	how, note, err := e.steps.Stop(ctx, l.unit(), in, m, cause)
	k.stopped(how, note)
	return err
}

// swap puts a new container in the place of one that is there. The old one is cleared away later.
func (l *lane) swap(ctx context.Context, old Instance, spec CreateSpec, m step.Mode, cause string, k *change) error {
	e, s := l.e, l.s
	how, note, err := e.steps.Swap(ctx, step.Service{Conf: s.conf, Image: spec.Image}, old, spec, m, cause, k)
	k.stopped(how, note)
	if err != nil {
		return err
	}
	e.restartDependents(s, s.name+" was recreated")
	e.launch("old container of "+s.name, func(ctx context.Context) error {
		if err := e.steps.ClearAway(ctx, s.name, old.ID); err != nil {
			e.warn(firstLine(err)) // the next up finds it and tries again
			return nil
		}
		e.dropRecords(old.ID)
		e.images.clean(context.WithoutCancel(ctx)) // the images that nobody runs any more
		return nil
	})
	return nil
}

// holds says whether a replica of a service has a container.
func (l *lane) holds(id string) bool {
	e, s := l.e, l.s
	e.mu.Lock()
	defer e.mu.Unlock()
	return s.byID(id) != nil
}

// takeExtra makes one of the extra containers the one that its replica holds; the one that was held
// becomes extra in its place.
func (l *lane) takeExtra(in Instance) {
	e, s := l.e, l.s
	e.mu.Lock()
	if r := s.reps[in.Replica]; r != nil && r.inst.ID != "" {
		s.extra = append(s.extra, r.inst)
	}
	e.mu.Unlock()
	l.dropExtra(in.ID)
	e.adopt(s, in.Replica, in, "")
}

// dropExtra forgets an extra container.
func (l *lane) dropExtra(id string) {
	e, s := l.e, l.s
	e.mu.Lock()
	defer e.mu.Unlock()
	s.extra = slices.DeleteFunc(s.extra, func(in Instance) bool { return in.ID == id })
}

// restoreNames renames containers of swaps that were cut short to what they were to be called.
func (e *Engine) restoreNames(ctx context.Context, u step.Service, steps plan.Plan, spec func(int) CreateSpec) error {
	for _, st := range steps {
		if st.Seen.ID == "" || st.Op == plan.Remove || st.Op == plan.Recreate { // a swap names what it makes
			continue
		}
		if err := e.steps.RestoreName(ctx, u, spec(st.Replica), st.Seen); err != nil {
			return err
		}
	}
	return nil
}
