package engine

import (
	"context"
	"errors"
	"fmt"

	"bulkhead/engine/project"
)

// errGone answers a task for a service that was taken out of the Compose file meanwhile.
var errGone = errors.New("no longer in the Compose file")

// applyReload takes over the project of a changed Compose file: services that are new, gone or
// changed get their task, others none. Those that are gone go first, because they may have the
// names, ports and addresses that the others are to get.
func (e *Engine) applyReload(cause string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.loaded == nil {
		return nil
	}
	if e.loaded.Name != e.name {
		return fmt.Errorf("apply the changed Compose file: the project's name changed from %s to %s; take it down and start again", e.name, e.loaded.Name)
	}
	changes := e.reload.Changes
	e.p, e.loaded, e.reload = e.loaded, nil, nil
	clear(e.resources)
	verbs := map[string]Verb{}
	for _, c := range changes {
		switch c.Kind {
		case project.Build:
			verbs[c.Service] = VerbRebuild
		case project.Recreate, project.Rescale:
			if verbs[c.Service] == "" {
				verbs[c.Service] = verbRenew
			}
		}
	}
	after := e.removeLeaving()
	for _, conf := range e.p.Services {
		s := e.svcs[conf.Name]
		switch {
		case s == nil:
			s = newService(e, conf)
			e.svcs[conf.Name] = s
			s.enqueue(&task{verb: VerbUp, first: true, cause: cause, after: after, done: make(chan error, 1)})
			e.openLane(s)
			continue
		case s.leaving: // it came back while its containers were being removed
			s.leaving = false
			verbs[conf.Name] = verbRenew
		}
		verb := verbs[conf.Name]
		if verb == "" {
			verb = verbAdopt
		}
		s.enqueue(&task{verb: verb, conf: conf, cause: "the Compose file changed", after: after, done: make(chan error, 1)})
	}
	if e.files != nil {
		e.launch("roots", func(context.Context) error { e.files.SetRoots(e.roots()); return nil })
	}
	e.record(Record{Kind: "notice", Notice: "reloaded", Text: fmt.Sprintf("the changed Compose file is applied: %d changes", len(changes)), Cause: cause})
	return nil
}

// removeLeaving removes the services that the project does not name any more, and returns a channel
// that is closed when they are gone; nil when there are none. Callers hold mu.
func (e *Engine) removeLeaving() <-chan struct{} {
	var tasks []*task
	for name, s := range e.svcs {
		if e.p.Service(name) != nil || s.leaving {
			continue
		}
		s.leaving = true
		s.abort(errGone)
		t := &task{verb: VerbDown, cause: errGone.Error(), done: make(chan error, 1)}
		s.enqueue(t)
		tasks = append(tasks, t)
	}
	if len(tasks) == 0 {
		return nil
	}
	gone := make(chan struct{})
	e.launch("removed services", func(ctx context.Context) error {
		defer close(gone)
		_ = waitFor(ctx, tasks) // each lane shows its own error
		return nil
	})
	return gone
}

// dismiss ends the lane of a service that was removed: its row goes, and whoever still wants
// something of it is answered. It is false for a service that stays.
func (e *Engine) dismiss(s *service) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !s.gone {
		return false
	}
	s.abort(errGone)
	return true
}
