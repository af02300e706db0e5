package memory

import (
	"context"

	"bulkhead/engine/container"
)

// limiter is the Runtime's container.Limiter: it keeps what it is given.
type limiter struct{ e *engine }

// Limits implements container.Limiter.
func (l limiter) Limits(ctx context.Context, id string) (container.Limits, error) {
	if err := l.e.faults.enter(ctx, "Limits", id); err != nil {
		return container.Limits{}, err
	}
	l.e.mu.Lock()
	defer l.e.mu.Unlock()
	b := l.e.all[id]
	if b == nil {
		return container.Limits{}, missing("look at", id)
	}
	return b.limits, nil
}

// SetLimits implements container.Limiter.
func (l limiter) SetLimits(ctx context.Context, id string, to container.Limits) error {
	if err := l.e.faults.enter(ctx, "SetLimits", id); err != nil {
		return err
	}
	l.e.mu.Lock()
	defer l.e.mu.Unlock()
	b := l.e.all[id]
	switch {
	case b == nil:
		return missing("change the limits of", id)
	case !b.running():
		return conflict("change the limits of %s, which does not run", short(id))
	}
	if to.CPUs >= 0 {
		b.limits.CPUs = to.CPUs
	}
	if to.Memory >= 0 {
		b.limits.Memory, b.limits.Swap = to.Memory, to.Swap
	}
	return nil
}
