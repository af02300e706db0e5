package engine

import (
	"context"
	"fmt"
	"time"

	"bulkhead/engine/container"
	"bulkhead/engine/filesync"
	"bulkhead/engine/step"
)

// host keeps the state that steps change; it is the engine's side of engine/step.
type host struct{ e *Engine }

var _ step.Host = host{}

// on calls f for a service and the replica that holds a container, with mu held; r is nil when none holds it.
func (h host) on(name, id string, f func(s *service, r *replica)) {
	h.e.mu.Lock()
	defer h.e.mu.Unlock()
	if s := h.e.svcs[name]; s != nil {
		f(s, s.byID(id))
	}
}

// Created implements step.Host.
func (h host) Created(name, id string) {
	h.on(name, id, func(s *service, _ *replica) { s.incoming[id] = true })
}

// Discarded implements step.Host.
func (h host) Discarded(name, id string) {
	h.on(name, id, func(s *service, r *replica) {
		delete(s.incoming, id)
		if r != nil {
			r.expectedExit, r.pendingCause = true, "the new generation did not start"
		}
	})
}

// ExpectEnd implements step.Host.
func (h host) ExpectEnd(name, id, cause string) {
	h.on(name, id, func(_ *service, r *replica) {
		if r != nil {
			r.expectedExit, r.pendingCause = true, cause
		}
	})
}

// ExpectStart implements step.Host.
func (h host) ExpectStart(name, id, cause string) {
	h.on(name, id, func(_ *service, r *replica) {
		if r != nil {
			r.pendingCause = cause
		}
	})
}

// Adopt implements step.Host.
func (h host) Adopt(name string, replica int, in container.Instance, cause string) {
	if s := h.e.service(name); s != nil {
		h.e.adopt(s, replica, in, cause)
	}
}

// Refresh implements step.Host.
func (h host) Refresh(ctx context.Context, name, id, cause string) error {
	if s := h.e.service(name); s != nil {
		return h.e.refresh(ctx, s, id, cause)
	}
	return nil
}

// Removed implements step.Host.
func (h host) Removed(name, id, cause string) {
	if s := h.e.service(name); s != nil {
		h.e.forget(s, id, cause)
	}
}

// Stopping implements step.Host.
func (h host) Stopping(name, id string, grace time.Duration, cause string) {
	h.on(name, id, func(s *service, r *replica) {
		if r == nil {
			return
		}
		r.stopBy = time.Now().Add(grace)
		r.inst.State = StateStopping
		h.e.updateState(s)
		if cause != "" {
			h.e.record(Record{Kind: "service", Service: s.name, Replica: r.number, Generation: r.generation, ID: id, State: StateStopping, Health: r.health(),
				Cause: cause, What: "stopping, has up to " + container.Brief(grace),
				Text: fmt.Sprintf("%s: stopping, has up to %s (%s)", s.label(r), container.Brief(grace), cause)})
		}
	})
}

// StopFailed implements step.Host.
func (h host) StopFailed(name, id string) {
	h.on(name, id, func(s *service, r *replica) {
		if r != nil && r.inst.State == StateStopping {
			r.stopBy, r.inst.State = time.Time{}, StateRunning
			h.e.updateState(s)
		}
	})
}

// HooksDone implements step.Host.
func (h host) HooksDone(name, id string) {
	h.on(name, id, func(s *service, r *replica) {
		if r != nil && r.unhooked {
			r.unhooked = false
			h.e.updateState(s)
			h.e.recordReplica(s, r, "post_start hooks done")
		}
	})
}

// HookFailed implements step.Host.
func (h host) HookFailed(name string, err error) {
	h.e.warn(firstLine(err))
	h.on(name, "", func(s *service, _ *replica) { s.hookErrs = append(s.hookErrs, err) })
}

// AwaitReady implements step.Host.
func (h host) AwaitReady(ctx context.Context, name string, n int, id string) error {
	return h.e.await(ctx, func() (bool, error) {
		s := h.e.svcs[name]
		if s == nil {
			return false, errGone
		}
		r := s.replica(n)
		if r.inst.ID != id || r.inst.State == StateExited {
			return false, fmt.Errorf("%s: the new generation exited with code %d before it was ready", s.name, r.inst.ExitCode)
		}
		return r.ready(s.conf), nil
	})
}

// Output implements step.Host.
func (h host) Output(name, id string) func(line []byte) { return h.e.tail.SystemLines(name, id) }

// LeftOut implements step.Host.
func (h host) LeftOut(name string, left []filesync.LeftOut) {
	if s := h.e.service(name); s != nil {
		s.lane.mark(s.lane.warnLeft(left))
	}
}

// service returns a service by its name, nil when there is none.
func (e *Engine) service(name string) *service {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.svcs[name]
}
