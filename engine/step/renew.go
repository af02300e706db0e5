package step

import (
	"context"
	"time"

	"bulkhead/engine/container"
)

// Renew puts a new container in the place of one that is there and does not start it. The old one
// is stopped and removed.
func (r *Runner) Renew(
	ctx context.Context, s Service, old container.Instance, spec container.CreateSpec, m Mode,
	cause string, timer Timer,
) error {
	if r.rt.Caps.Swap {
		return r.renewWhole(ctx, s, old, spec, m, cause, timer)
	}
	id, spec, err := r.createBeside(ctx, s, old, spec, cause, timer)
	if err != nil {
		return err
	}
	ctx, cancel := Uncancelled(ctx, s.Conf, m, old)
	defer cancel()
	ended, err := r.endAndRemove(ctx, s, old, m, cause, timer)
	if !ended {
		return r.discard(ctx, s, id, err)
	}
	if err != nil {
		return err
	}
	if err := r.rt.Rename(ctx, id, spec.FinalName()); err != nil {
		return container.WrapErr(err, "rename the new container of %s", s.name())
	}
	in, err := r.rt.Inspect(ctx, id)
	if err != nil {
		return container.WrapErr(err, "look at the new container of %s", s.name())
	}
	r.host.Adopt(s.name(), spec.Replica, in, cause)
	return nil
}

// endAndRemove ends and removes a container whose place another takes; ended is false when it may run on.
func (r *Runner) endAndRemove(
	ctx context.Context, s Service, old container.Instance, m Mode, cause string, timer Timer,
) (ended bool, err error) {
	r.host.ExpectEnd(s.name(), old.ID, cause)
	began := time.Now()
	if _, err := r.end(ctx, s, old, m, cause); err != nil {
		return false, err
	}
	since(timer, "stop", began)
	if err := r.rt.Remove(ctx, old.ID, true, false); err != nil {
		return true, container.WrapErr(err, "remove the old container of %s", s.name())
	}
	r.host.Removed(s.name(), old.ID, cause)
	return true, nil
}

// renewWhole is Renew where the runtime has one container in a place at a time.
func (r *Runner) renewWhole(
	ctx context.Context, s Service, old container.Instance, spec container.CreateSpec, m Mode,
	cause string, timer Timer,
) error {
	ctx, cancel := Uncancelled(ctx, s.Conf, m, old)
	defer cancel()
	if _, err := r.endAndRemove(ctx, s, old, m, cause, timer); err != nil {
		return err
	}
	began := time.Now()
	_, err := r.Create(ctx, s, spec, cause)
	since(timer, "create", began)
	return err
}

// createBeside makes the container that is to take an old one's place, under a name for the time
// until then. It returns the spec that it was made from.
func (r *Runner) createBeside(
	ctx context.Context, s Service, old container.Instance, spec container.CreateSpec, cause string,
	timer Timer,
) (id string, _ container.CreateSpec, err error) {
	if !spec.Fresh {
		spec.Inherit = old.ID
	}
	spec.Name = container.ShortID(old.ID) + "_" + spec.FinalName()
	began := time.Now()
	id, err = r.Create(ctx, s, spec, cause)
	since(timer, "create", began)
	return id, spec, err
}
