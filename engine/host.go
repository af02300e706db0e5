package engine

import (
	"context"
	"slices"
	"time"

	"bulkhead/engine/container"
	"bulkhead/engine/filesync"
	"bulkhead/engine/lane"
	"bulkhead/engine/plan"
	"bulkhead/engine/state"
	"bulkhead/engine/step"
	"bulkhead/engine/tail"
)

// host takes in what steps come to; it is the engine's side of engine/step. What is only kept goes to
// the state directly.
type host struct {
	state.Notes
	o *observer
}

var _ step.Host = host{}

// Adopt implements step.Host.
func (h host) Adopt(name string, replica int, in container.Instance, cause string) {
	if m := h.o.p.State.Member(name); m != nil {
		h.o.adopt(m, replica, in, cause)
	}
}

// ProgramEnded implements step.Host.
func (h host) ProgramEnded(name, id string, end container.ProgramEnd, cause string) {
	h.o.p.Tail.Ended(id, tail.End{At: end.At, ExitCode: end.ExitCode, Cause: cause})
	if m := h.o.p.State.Member(name); m != nil {
		m.ProgramEnded(id, end.ExitCode, cause)
	}
}

// Refresh implements step.Host.
func (h host) Refresh(ctx context.Context, name, id, cause string) error {
	if m := h.o.p.State.Member(name); m != nil {
		return h.o.refresh(ctx, m, id, cause)
	}
	return nil
}

// Removed implements step.Host.
func (h host) Removed(name, id, cause string) {
	if m := h.o.p.State.Member(name); m != nil {
		m.Forget(id, cause)
		return
	}
	h.o.p.DropRecords(id) // of an orphan
}

// AwaitReady implements step.Host.
func (h host) AwaitReady(ctx context.Context, name string, n int, id string) error {
	return h.o.p.State.Await(ctx, func(v *state.View) (bool, error) {
		s := v.Services[name]
		if s == nil {
			return false, lane.ErrGone
		}
		return s.Came(n, id)
	})
}

// Output implements step.Host.
func (h host) Output(name, id string) func(line []byte) { return h.o.p.Tail.SystemLines(name, id) }

// LeftOut implements step.Host.
func (h host) LeftOut(name string, left []filesync.LeftOut) {
	l := h.o.p.Lanes.Of(name)
	if l == nil {
		return
	}
	l.M.Files.MarkStale(l.WarnLeft(left)...)
	if slices.ContainsFunc(left, func(l filesync.LeftOut) bool { return l.Again }) {
		w := plan.NewWork(time.Now())
		w.Lost = true
		l.RetryLater(w)
	}
}
