package engine

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"time"

	"bulkhead/engine/container"
	"bulkhead/engine/lane"
	"bulkhead/engine/project"
	"bulkhead/engine/state"
)

// reloader keeps the project of a changed Compose file until the user applies it.
type reloader struct {
	p    *lane.Parts
	load func(context.Context) (*project.Project, error) // nil: Compose files are not watched
	// applied is called when another project runs from now on.
	applied func()

	loads turn // held by whoever loads: of two loads the later one counts
	waits turn // held by whoever is the next to load; nobody else need wait

	mu      sync.Mutex
	loaded  *project.Project // nil when nothing waits, or does not load
	changes []project.Change
}

// turn is a lock that a select can take; its capacity is 1.
type turn chan struct{}

// next waits until it is the caller's turn to load. It is false when that is not needed, since another
// one waits already, and will find what the caller would.
func (r *reloader) next(ctx context.Context) bool {
	select {
	case r.waits <- struct{}{}:
		defer func() { <-r.waits }()
	default:
		return false
	}
	select {
	case r.loads <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

// look loads the Compose files again after one of them was saved, and shows the difference.
// Nothing is applied before the user says so, and a file that does not load changes nothing.
func (r *reloader) look(ctx context.Context) {
	if !r.next(ctx) {
		return
	}
	defer func() { <-r.loads }()
	st := r.p.State
	p, err := r.load(ctx)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.loaded, r.changes = nil, nil
	if err != nil {
		if why := firstLine(err); st.SetReload(&Reload{At: time.Now(), Err: why}) {
			st.Record(Record{
				Kind: "notice", Notice: "reload", Err: why, Text: "the Compose file does not load, nothing changes: " + why,
			})
		}
		return
	}
	p.Inherit(st.Project())
	changes := project.Diff(st.Project(), p)
	if len(changes) == 0 {
		st.SetReload(nil)
		return
	}
	r.loaded, r.changes = p, changes
	commands := newCommands(st.Project(), p)
	st.SetReload(&Reload{At: time.Now(), Changes: changes, Commands: commands})
	for _, c := range commands {
		what := "the changed Compose file runs on the host: " + c.String()
		st.Record(Record{Kind: "notice", Notice: "reload", Service: c.Service, What: what, Text: what})
	}
	for _, c := range changes {
		st.Record(Record{Kind: "notice", Notice: "reload", Service: c.Service,
			What: "the Compose file changed: " + c.Kind.String(),
			Text: fmt.Sprintf("the Compose file changed: %s: %s", c.Service, c.Kind)})
	}
}

// take takes what waits to be applied, nil when nothing does.
func (r *reloader) take() (*project.Project, []project.Change, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p, changes, name := r.loaded, r.changes, r.p.Name
	if p != nil && p.Name != name {
		return nil, nil, fmt.Errorf("apply the changed Compose file: the project's name changed from %s to %s; take it down and start again", name, p.Name)
	}
	r.loaded, r.changes = nil, nil
	return p, changes, nil
}

// apply takes over the project of a changed Compose file: services that are new, gone or
// changed get their task, which it returns, others none. Those that are gone go first, because they
// may have the names, ports and addresses that the others are to get.
func (r *reloader) apply(cause string) (errands []lane.Errand, err error) {
	p, changes, err := r.take()
	if p == nil {
		return nil, err
	}
	verbs := changeVerbs(changes)
	r.p.State.Apply(p)
	r.p.Resources.Forget()
	after := r.removeLeaving(p)
	for _, conf := range p.Services {
		l := r.p.Lanes.Of(conf.Name)
		if l == nil {
			t := lane.NewTask(lane.Task{Verb: VerbUp, First: true, Cause: cause, After: after})
			errands = append(errands, lane.Errand{L: r.p.Lanes.Open(r.p, conf.Name, t), T: t})
			continue
		}
		verb := cmp.Or(verbs[conf.Name], lane.Adopt)
		if l.M.Leave(false) { // it came back while its containers were being removed
			verb = lane.Renew
		}
		t := lane.NewTask(lane.Task{Verb: verb, Conf: conf, Cause: "the Compose file changed", After: after})
		l.Enqueue(t)
		errands = append(errands, lane.Errand{L: l, T: t})
	}
	r.p.Go("reloaded", func(context.Context) error { r.applied(); return nil })
	r.p.State.Record(Record{Kind: "notice", Notice: "reloaded", Text: "the changed Compose file is applied: " + state.Times(len(changes), "change"), Cause: cause})
	return errands, nil
}

// changeVerbs says what changed services are to do.
func changeVerbs(changes []project.Change) map[string]Verb {
	verbs := map[string]Verb{}
	for _, c := range changes { // a service's kinds are in order, and the last one does what the others do
		switch c.Kind {
		case project.Build:
			verbs[c.Service] = VerbRebuild
		case project.Recreate, project.Rescale:
			verbs[c.Service] = lane.Renew
		case project.Rules:
			verbs[c.Service] = cmp.Or(verbs[c.Service], lane.Rescan)
		}
	}
	return verbs
}

// removeLeaving removes the services that the project does not name any more, and returns a channel
// that is closed when they are gone; nil when there are none.
func (r *reloader) removeLeaving(p *project.Project) <-chan struct{} {
	var tasks []*lane.Task
	for _, l := range r.p.Lanes.List() {
		if p.Service(l.Name) != nil || !l.M.Leave(true) {
			continue
		}
		l.Abort(lane.ErrGone)
		t := lane.NewTask(lane.Task{Verb: VerbDown, Cause: lane.ErrGone.Error()})
		l.Enqueue(t)
		tasks = append(tasks, t)
	}
	if len(tasks) == 0 {
		return nil
	}
	gone := make(chan struct{})
	r.p.Go("removed services", func(ctx context.Context) error {
		defer close(gone)
		_ = lane.WaitFor(ctx, tasks...) // each lane shows its own error
		return nil
	})
	return gone
}

// firstLine keeps the first line of an error: what the screen and the JSON show in one row.
func firstLine(err error) string { return container.FirstLine(err.Error()) }
