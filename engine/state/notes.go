package state

import (
	"fmt"
	"time"

	"bulkhead/engine/container"
)

// Notes takes in what steps say of containers that they are at work on. It is the part of a step.Host
// that is only kept.
type Notes struct{ State *State }

// on calls f for a service and the replica that holds a container, with the state locked; r is nil
// when none holds it.
func (n Notes) on(name, id string, f func(s *Member, r *replica)) {
	n.State.mu.Lock()
	defer n.State.mu.Unlock()
	if s := n.State.services[name]; s != nil {
		f(s, s.reps.byID(id))
	}
}

// held calls f for the replica that holds a container, if one does.
func (n Notes) held(name, id string, f func(s *Member, r *replica)) {
	n.on(name, id, func(s *Member, r *replica) {
		if r != nil {
			f(s, r)
		}
	})
}

// Created implements step.Host.
func (n Notes) Created(name, id string) {
	n.on(name, id, func(s *Member, _ *replica) { s.incoming[id] = quiet })
}

// Discarded implements step.Host.
func (n Notes) Discarded(name, id string) {
	n.on(name, id, func(s *Member, r *replica) {
		delete(s.incoming, id)
		if r != nil {
			r.ExpectedExit, r.pendingCause = true, "the new generation did not start"
		}
	})
}

// ExpectEnd implements step.Host.
func (n Notes) ExpectEnd(name, id, cause string) {
	n.held(name, id, func(s *Member, r *replica) {
		r.ExpectedExit, r.pendingCause, r.starting, r.expectBy = true, cause, false, time.Time{}
		if s.Lane.moves {
			s.st.Ledgers.all.Freeze(time.Now(), name)
		}
	})
}

// Replacing implements step.Host.
func (n Notes) Replacing(name, id, cause string) {
	n.ExpectEnd(name, id, cause)
	n.held(name, id, func(_ *Member, r *replica) { r.replaced = true })
}

// ExpectStart implements step.Host.
func (n Notes) ExpectStart(name, id, cause string) {
	n.held(name, id, func(_ *Member, r *replica) { r.pendingCause, r.starting = cause, true })
}

// Stopping implements step.Host.
func (n Notes) Stopping(name, id string, grace time.Duration, cause string) {
	n.held(name, id, func(s *Member, r *replica) {
		r.stopBy = time.Now().Add(grace)
		r.Instance.State = container.StateStopping
		s.update()
		if cause != "" {
			s.st.record(Record{Kind: "service", Service: name, Replica: r.Number, Generation: r.generation,
				ID: id, State: container.StateStopping,
				Health: r.Health(), Cause: cause, What: "stopping, has up to " + container.Brief(grace),
				Text: fmt.Sprintf("%s: stopping, has up to %s (%s)", s.reps.label(r),
					container.Brief(grace), cause)})
		}
	})
}

// StopFailed implements step.Host.
func (n Notes) StopFailed(name, id string) {
	n.held(name, id, func(s *Member, r *replica) {
		r.lapseLate()
		r.replaced = false
		if r.Instance.State == container.StateStopping {
			r.stopBy, r.Instance.State = time.Time{}, container.StateRunning
		}
		s.update()
	})
}

// InjectFailed takes back what Inject noted of a service's containers that it could not be done to.
func (n Notes) InjectFailed(name string, f Injection, ids []string) {
	n.on(name, "", func(s *Member, _ *replica) {
		for _, id := range ids {
			if r := s.reps.byID(id); r != nil {
				r.lapseLate()
			}
		}
		if f.Heals {
			return
		}
		down := func(r *replica) bool {
			return r.Instance.State == container.StateExited || r.Instance.State == container.StatePaused
		}
		s.c.ByHand = s.c.ByHand && s.reps.find(down) != nil
		if len(ids) == len(f.IDs) {
			s.st.Ledgers.all.Withdraw(s.c.Name)
		}
		s.update()
	})
}

// HooksDone implements step.Host.
func (n Notes) HooksDone(name, id string) {
	n.held(name, id, func(s *Member, r *replica) {
		if r.Unhooked {
			r.Unhooked = false
			s.update()
			s.recordReplica(r, "post_start hooks done")
		}
	})
}

// HookFailed implements step.Host.
func (n Notes) HookFailed(name string, err error) {
	n.State.Warn(container.FirstLine(err.Error()))
	n.on(name, "", func(s *Member, _ *replica) {
		s.Lane.hookErrs = append(s.Lane.hookErrs, container.Naming(name, err))
	})
}
