package engine

import (
	"context"
	"errors"
	"slices"
	"time"

	"bulkhead/engine/condition"
	"bulkhead/engine/container"
	"bulkhead/engine/lane"
	"bulkhead/engine/plan"
	"bulkhead/engine/probe"
	"bulkhead/engine/state"
	"bulkhead/engine/tail"
)

// lives numbers lives and has their logs followed; it is the engine's side of engine/state.
type lives struct{ p *lane.Parts }

// Generation implements state.Lives. Where a new generation came to nothing, the old one is back.
func (l lives) Generation(service string, n int, in container.Instance) int {
	if g, known := l.p.Tail.Generation(in.Identity); known {
		return g
	}
	return l.p.Journal.Generation(service, n, in.ID, in.Started)
}

// Unhooked implements state.Lives.
func (l lives) Unhooked(id string) bool { return l.p.Journal.Unhooked(id) }

// Observe implements state.Lives.
func (l lives) Observe(s tail.Sighting) { l.p.Tail.Observe(s) }

// Gone implements state.Lives.
func (l lives) Gone(r tail.Replica, id string, slot bool) {
	l.p.DropRecords(id)
	l.p.Tail.Forget(id)
	if slot {
		l.p.Tail.ForgetReplica(r)
	}
}

// observer keeps the state true to what the runtime shows, and has done what follows from that. Its
// methods may be called from any goroutine.
type observer struct {
	p *lane.Parts
	// intervened notes that somebody else had a hand in the project; "" is nobody's.
	intervened func(what string)
	see        func(Event) // passes an event on to the faults
}

// adoptAll takes over what is there already when Run begins.
func (o *observer) adoptAll(instances []Instance) {
	for _, in := range slices.SortedFunc(slices.Values(instances), plan.ByNumberThenAge) {
		if m := o.p.State.Member(in.Service); m != nil && !m.Spare.Keep(in) {
			o.adopt(m, in.Replica, in, "")
		}
	}
}

// adopt makes in the container that a replica holds, or takes in what became of it, and has done what
// follows from that.
func (o *observer) adopt(m *state.Member, n int, in Instance, cause string) {
	o.follow(m, m.Adopt(n, in, cause))
}

// follow has done what follows from what was seen of a container: a fresh life is asked early whether it
// is ready, and those that join it come along.
func (o *observer) follow(m *state.Member, f state.Follow) {
	if life := f.Probe; life != nil {
		address := m.Conf().Extra.Probe
		o.p.Go("probe of "+m.Name(), func(ctx context.Context) error {
			probe.Early(ctx, o.p.Runtime, *life, address, func(ok bool) bool { return m.Passed(*life, ok) })
			return nil
		})
		if m.Conf().Syncs() && !o.p.NoWatch && m.Files.Automatic() {
			o.p.Go("files of "+m.Name(), func(ctx context.Context) error { o.prepareFiles(ctx, m, life.Identity); return nil })
		}
	}
	if life := f.Steady; life != nil {
		o.p.Go("crashes of "+m.Name(), func(ctx context.Context) error {
			select {
			case <-time.After(time.Until(life.Started.Add(condition.SteadyAfter))):
				m.Steady(*life)
			case <-ctx.Done():
			}
			return nil
		})
	}
	if id := f.Again; id != "" {
		o.p.Go("second look at "+m.Name(), func(ctx context.Context) error {
			if err := o.refresh(ctx, m, id, ""); err != nil && ctx.Err() == nil {
				o.p.State.Warn(err.Error())
			}
			return nil
		})
	}
	for _, r := range f.Rejoin {
		if l := o.p.Lanes.Of(r.Service); l != nil {
			l.Enqueue(lane.NewTask(lane.Task{Verb: lane.Renew, Cause: r.Cause, Follows: true, Renewed: r.Renewed}))
		}
	}
}

// prepareFiles gets ready for the first sync into a life of a container, so that it takes no longer
// than the next ones. It waits until everything has started: a start has more use of the machine.
func (o *observer) prepareFiles(ctx context.Context, m *state.Member, life container.Identity) {
	over := errors.New("it lives no more, or waits for no saves")
	err := o.p.State.Await(ctx, func(v *state.View) (bool, error) {
		s := v.Services[m.Name()]
		if s == nil || !slices.ContainsFunc(s.Replicas, func(r *condition.Replica) bool {
			return r.Instance.ID == life.ID && r.Instance.Started.Equal(life.Started)
		}) {
			return false, over
		}
		return v.Phase != PhaseStarting && s.Ready() && !s.Lane.Busy, nil
	})
	if err == nil {
		o.p.Runtime.PrepareFiles(ctx, life.ID)
	}
}

// refresh looks at a replica's container again.
func (o *observer) refresh(ctx context.Context, m *state.Member, id, cause string) error {
	in, err := o.p.Runtime.Inspect(ctx, id)
	if errors.Is(err, ErrNotFound) {
		m.Forget(id, "")
		return nil
	}
	if err != nil {
		return container.WrapErr(err, "look at %s", m.Name())
	}
	o.adopt(m, 0, in, cause)
	return nil
}

// run keeps the state true to the engine's events. When the connection breaks it tries
// again, and then looks at everything.
func (o *observer) run(ctx context.Context, since time.Time) error {
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, 2*time.Second) {
		err := o.stream(ctx, since, func(ev Event) {
			since, pause = ev.Time, 100*time.Millisecond
			o.handle(ctx, ev)
		})
		if ctx.Err() != nil {
			return nil
		}
		o.p.State.Lost(err)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil
		}
		if instances, err := o.p.Runtime.Instances(ctx, o.p.Name); err == nil {
			o.resync(instances)
		}
	}
}

// resync compares the state with what is there, after events may have been missed.
func (o *observer) resync(instances []Instance) {
	there := map[string]Instance{}
	for _, in := range instances {
		there[in.ID] = in
	}
	if o.p.State.Found() {
		for _, l := range o.p.Lanes.List() {
			l.Retry(true)
		}
		o.p.Images.CleanLater()
	}
	for _, l := range o.p.Lanes.List() {
		for _, h := range l.M.Holders(0) {
			if in, ok := there[h.Instance.ID]; ok {
				o.adopt(l.M, 0, in, "seen after the connection was lost")
				l.ScheduleRescan()
			} else {
				l.M.Forget(h.Instance.ID, "gone when the connection was back")
			}
		}
	}
	o.see(Event{Kind: EventStarted})
	o.p.Tail.Retain(func(id string) bool { _, ok := there[id]; return ok })
}

// handle takes in one event.
func (o *observer) handle(ctx context.Context, ev Event) {
	o.see(ev)
	m := o.p.State.Member(ev.Service)
	if m == nil {
		return
	}
	do := m.React(ev)
	o.intervened(do.Foreign)
	if do.Completed {
		o.p.Journal.Complete(ev.ID)
	}
	if do.Ended != nil {
		o.p.Tail.Ended(ev.ID, *do.Ended)
	}
	if do.Ends != nil {
		o.adopt(m, 0, *do.Ends, do.Cause)
	}
	switch {
	case do.Unheld:
		o.handleUnheld(ctx, m, ev, do.Busy)
		return
	case do.Gone:
		m.Forget(ev.ID, do.Cause)
		return
	case !do.Look:
		return
	}
	if err := o.refresh(ctx, m, ev.ID, do.Cause); err != nil && ctx.Err() == nil {
		o.p.State.Warn(err.Error())
	}
	if ev.Kind != EventStarted && ev.Kind != EventRestarted {
		return
	}
	// Whoever started it: what could not be deleted, or not be there, while it did not run can be now.
	conf := o.p.State.Project().Service(ev.Service)
	if o.p.Sync.Owes(ev.ID) || conf != nil && len(conf.Emptied) > 0 {
		o.p.Lanes.Of(ev.Service).ScheduleRescan()
	}
}

// handleUnheld takes in an event of a container that no replica holds: of one that was replaced, or
// that somebody else made for the service (docker compose in another terminal), which is the one as
// soon as it runs.
func (o *observer) handleUnheld(ctx context.Context, m *state.Member, ev Event, busy bool) {
	if ev.Kind == EventDied {
		o.p.Tail.Ended(ev.ID, tail.End{At: ev.Time, ExitCode: ev.ExitCode})
	}
	if ev.Kind != EventStarted || busy {
		return
	}
	if in, err := o.p.Runtime.Inspect(ctx, ev.ID); err == nil && in.Replica >= 1 {
		o.intervened("another program made a container of " + ev.Service)
		o.adopt(m, in.Replica, in, "started by another program")
		o.p.Lanes.Of(ev.Service).ScheduleRescan()
	}
}
