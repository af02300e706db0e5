package fault

import (
	"context"
	"errors"
	"slices"

	"bulkhead/engine/container"
)

// limit is a fault that takes CPU time or memory away. Several of a kind may be in force on one
// container, also of several processes: then the strictest counts, and the last one that is healed
// brings back what the container had before the first.
type limit struct{}

func (m limit) inject(ctx context.Context, r *Injector, in *injection) error {
	for n := range in.Targets {
		if err := m.set(ctx, r, in, &in.Targets[n]); err != nil {
			return err
		}
	}
	return nil
}

// set limits one container, and keeps what it had before: that is on disk before it is changed.
func (m limit) set(ctx context.Context, r *Injector, in *injection, t *Target) error {
	release, err := r.disk.exclusive(ctx)
	if err != nil {
		return err
	}
	defer release()
	params, before := r.limitsBeside(in, t.ID)
	if before == nil {
		now, err := r.rt.Limits(ctx, t.ID)
		if err != nil {
			return err
		}
		before = &now
	}
	t.Before = before
	if err := r.disk.write(&in.entry); err != nil {
		return err
	}
	return r.rt.SetLimits(ctx, t.ID, strictest(*before, append(params, in.params)))
}

// limitsBeside are the other faults of the same kind that limit a container, and what it had before the
// first of them; nil when there is none. Callers hold the lock of the disk.
func (r *Injector) limitsBeside(in *injection, id string) (all []Params, before *container.Limits) {
	for _, e := range r.others(in) {
		if e.Fault.Kind != in.Fault.Kind {
			continue
		}
		n := slices.IndexFunc(e.Targets, func(t Target) bool { return t.ID == id && t.Before != nil })
		if n < 0 {
			continue
		}
		p, err := e.Fault.Params()
		if err != nil {
			continue // another version wrote it, which heals it
		}
		all, before = append(all, p), e.Targets[n].Before
	}
	return all, before
}

// strictest are the limits that satisfy all faults and what the container had before; what no fault
// is about is negative.
func strictest(before container.Limits, all []Params) container.Limits {
	l := container.Limits{CPUs: -1, Memory: -1}
	for _, p := range all {
		if p.CPUs > 0 && (l.CPUs < 0 || p.CPUs < l.CPUs) {
			l.CPUs = p.CPUs
		}
		if p.Memory > 0 && (l.Memory < 0 || p.Memory < l.Memory) {
			l.Memory = p.Memory
		}
	}
	if before.CPUs > 0 && before.CPUs < l.CPUs {
		l.CPUs = before.CPUs
	}
	if before.Memory > 0 && before.Memory < l.Memory {
		l.Memory, l.Swap = before.Memory, before.Swap
	}
	return l
}

// heal has what is still in force on the containers stay so, and else brings back what they had. The
// fault is off the disk before anybody else looks, who would keep to it.
func (m limit) heal(ctx context.Context, r *Injector, in *injection) error {
	release, err := r.disk.exclusive(ctx)
	if err != nil {
		return err
	}
	defer release()
	var errs []error
	for _, t := range in.Targets {
		if t.Before == nil {
			continue
		}
		back := container.Limits{CPUs: -1, Memory: -1}
		if params, _ := r.limitsBeside(in, t.ID); len(params) > 0 {
			back = strictest(*t.Before, params)
		} else if in.params.CPUs > 0 {
			back.CPUs = t.Before.CPUs
		} else {
			back.Memory, back.Swap = t.Before.Memory, t.Before.Swap
		}
		if err := r.rt.SetLimits(ctx, t.ID, back); err != nil && !errors.Is(err, container.ErrNotFound) {
			errs = append(errs, err)
		}
	}
	if len(errs) == 0 {
		r.disk.remove(in.Fault.ID)
	}
	return errors.Join(errs...)
}

// moved limits containers that took the place of those that were limited. The limits of a
// container outlive its restart.
func (m limit) moved(ctx context.Context, r *Injector, in *injection, all []container.Instance) (bool, error) {
	for _, i := range all {
		if i.Service != in.Fault.Service || in.Fault.Replica != 0 && i.Replica != in.Fault.Replica ||
			i.State != container.StateRunning || in.targets(i) != nil {
			continue
		}
		in.Targets = append(in.Targets, Target{ID: i.ID, Name: i.Name, Service: i.Service, Replica: i.Replica})
		if err := m.set(ctx, r, in, &in.Targets[len(in.Targets)-1]); err != nil {
			return false, err
		}
	}
	return false, nil
}
