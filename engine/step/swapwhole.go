package step

import (
	"context"
	"errors"
	"time"

	"bulkhead/engine/container"
)

// swapWhole has the runtime itself put the new container in the old one's place.
func (r *Runner) swapWhole(
	ctx context.Context, s Service, old container.Instance, spec container.CreateSpec, m Mode,
	cause string, timer Timer,
) (Swapped, error) {
	if !spec.Fresh {
		spec.Inherit = old.ID
	}
	o := container.SwapSpec{Old: old.ID, New: spec, Grace: m.graceOf(s, old)}
	if m.Overlap {
		o.Overlap = overlapWait
	}
	fresh := "" // id of the new one, where it is another
	o.Made = func(ctx context.Context, id string) error {
		if id != old.ID {
			fresh = id
		}
		if err := r.takeIn(ctx, s, spec, id); err != nil {
			return err
		}
		if m.PreStart {
			if err := r.PreStart(ctx, s, spec, id); err != nil {
				return err
			}
		}
		r.expectStart(s, id, cause)
		return nil
	}
	o.Stage = func(stage string, took time.Duration) {
		if timer != nil {
			timer.Add(stage, took)
		}
	}
	release, err := r.acquire(ctx)
	if err != nil {
		return Swapped{}, err
	}
	r.host.Replacing(s.name(), old.ID, cause)
	r.journal.BeginStop(old.ID)
	if old.State == container.StateRunning {
		r.preStop(ctx, s, old.ID)
	}
	id, err := r.rt.Swap(ctx, o)
	release()
	r.journal.EndStop(old.ID)
	if err != nil {
		return Swapped{}, r.swapFailed(ctx, s, old, spec, fresh, container.WrapErr(err, "replace %s", s.name()))
	}
	var did Swapped
	if id != old.ID {
		did.Left = old.ID
	}
	return did, r.started(ctx, s, spec, id, cause)
}

// swapFailed takes in what became of a container that was to be replaced, and returns the error that led to it.
func (r *Runner) swapFailed(
	ctx context.Context, s Service, old container.Instance, spec container.CreateSpec, fresh string, cause error,
) error {
	if fresh != "" {
		r.host.Discarded(s.name(), fresh)
	}
	r.host.StopFailed(s.name(), old.ID)
	in, err := r.rt.Inspect(context.WithoutCancel(ctx), old.ID)
	switch {
	case errors.Is(err, container.ErrNotFound):
		r.host.Removed(s.name(), old.ID, "the new generation did not start")
	case err != nil:
		return errors.Join(cause, err)
	default:
		r.host.Adopt(s.name(), spec.Replica, in, "the new generation did not start")
	}
	return cause
}
