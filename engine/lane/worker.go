package lane

import (
	"context"
	"fmt"

	"bulkhead/engine/command"
	"bulkhead/engine/container"
	"bulkhead/engine/project"
	"bulkhead/engine/state"
	"bulkhead/engine/step"
)

// worker carries out the tasks of a lane. It belongs to the lane's goroutine.
type worker struct {
	p    *Parts
	q    *Lane
	m    *state.Member
	name string
	conf *project.Service // as the task in progress has it
}

// carryOut does one task.
func (l *worker) carryOut(ctx context.Context, t *Task) error {
	if t.Conf != nil {
		l.conf = t.Conf
	}
	if t.After != nil {
		select {
		case <-t.After:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	if err := l.awaitOthers(ctx, t); err != nil {
		return err
	}
	switch t.Verb {
	case command.Up, command.Start, command.Rebuild, command.Scale, Renew:
		return l.up(ctx, t)
	case command.Stop:
		return l.stopAll(ctx, t)
	case command.Restart:
		return l.restart(ctx, t)
	case command.Down:
		return l.remove(ctx, t)
	case Adopt:
		return nil
	case Rescan:
		l.catchUpMissed(ctx)
		return nil
	case Batch:
		if l.q.dropOwn(l.conf, t.work); t.work.Empty() {
			return nil
		}
		return l.batch(ctx, t, t.work)
	}
	return container.Naming(l.name, fmt.Errorf("%s %s: a lane cannot do that", t.Verb, l.name))
}

// awaitOthers waits until the tasks are over that a task comes after.
func (l *worker) awaitOthers(ctx context.Context, t *Task) error {
	for _, b := range t.Behind {
		select {
		case <-b.T.over:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if b.Required && b.T.Err != nil && !step.OnlyHooks(b.T.Err) {
			return container.FailedTo(string(t.Verb), l.name,
				"not done, because it depends on %s, which did not", b.L.Name)
		}
	}
	return nil
}
