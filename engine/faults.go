package engine

import (
	"context"
	"sync/atomic"

	"bulkhead/engine/container"
	"bulkhead/engine/fault"
	"bulkhead/engine/lane"
	"bulkhead/engine/project"
)

// faults has the faults of the project injected and healed. Its methods may be called from any goroutine;
// before open none are in force.
type faults struct {
	p        *lane.Parts
	act      func(context.Context, Command) error // carries out what moves containers
	tapped   func([]fault.Tapped)                 // takes what comes over tapped edges
	injector atomic.Pointer[fault.Injector]
	ending   atomic.Bool // lanes take no more work
}

// open makes the Injector of this project. base is the folder of all state.
func (f *faults) open(engineID, base string) {
	f.injector.Store(fault.NewInjector(fault.Options{
		Runtime: f.p.Runtime, Host: faultHost{f}, Project: f.p.Name, Engine: engineID, State: base, Tapped: f.tapped, Notified: true,
	}))
}

// run heals what a bulkhead that died left, and then keeps faults in force until ctx ends, and heals them.
func (f *faults) run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { f.ending.Store(true) })
	defer stop()
	if _, err := f.injector.Load().Recover(ctx, false); err != nil {
		f.p.State.Warn(firstLine(err))
	}
	if err := f.injector.Load().Run(ctx); err != nil {
		f.p.State.Warn(firstLine(err)) // it is on disk: the next bulkhead tries again
	}
	return nil
}

// do injects a fault, or heals.
func (f *faults) do(ctx context.Context, c Command) error {
	i := f.injector.Load()
	switch {
	case c.Verb == VerbHeal && len(c.Faults) > 0:
		return i.Heal(ctx, c.Faults...)
	case c.Verb == VerbHeal:
		return i.HealServices(ctx, c.Services...)
	case c.Fault == nil:
		return container.Failed("fault", "say which one")
	}
	one := *c.Fault
	if one.Why == "" {
		one.Why = c.Cause
	}
	_, err := i.Inject(ctx, one)
	return err
}

// superseded ends the faults that stop, kill or pause services which a person moves now.
func (f *faults) superseded(c Command) {
	if c.Verb != VerbWatch && c.Verb != VerbApply { // that moves nobody whom it does not replace
		f.injector.Load().Superseded(c.Services...)
	}
}

// active are those in force, oldest first.
func (f *faults) active() []fault.Active {
	if i := f.injector.Load(); i != nil {
		return i.Active()
	}
	return nil
}

// FaultsLacking says why faults are not possible here, by their kinds. The first call takes a second.
func (e *Engine) FaultsLacking(ctx context.Context) (map[string]string, error) {
	select {
	case <-e.running:
		return e.faults.injector.Load().Support.Offer(ctx)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// faultHost lets faults act through the engine.
type faultHost struct{ f *faults }

var verbOf = map[fault.Operation]Verb{
	fault.Kill: VerbKill, fault.Stop: VerbStop, fault.Pause: VerbPause, fault.Unpause: VerbUnpause, fault.Start: VerbUp,
}

// commandOf is the command that does an act. One replica is started by a restart of it alone: the verbs that start
// bring the whole service up.
func commandOf(a fault.Act) Command {
	c := Command{
		Verb: verbOf[a.Operation], Services: []string{a.Service}, Replica: a.Replica, Signal: a.Signal, Cause: a.Cause,
	}
	if a.Operation == fault.Start && a.Replica != 0 {
		c.Verb, c.Alone = VerbRestart, true
	}
	return c
}

// Act implements fault.Host.
func (h faultHost) Act(ctx context.Context, a fault.Act) error {
	p, c := h.f.p, commandOf(a)
	if h.f.ending.Load() {
		return (&directHost{rt: p.Runtime, project: p.Name, p: p.State.Project()}).Act(ctx, a)
	}
	return h.f.act(ctx, c)
}

// Note implements fault.Host.
func (h faultHost) Note(n fault.Note) {
	st, f := h.f.p.State, n.Fault.Fault
	if st.Member(f.Service) != nil && n.What == fault.Begins && !fault.MovesLife(f.Kind) {
		st.Ledgers.OpenFault(f) // those that move the life of containers open their own
	}
	r := faultRecord(n)
	if r.Text == "" {
		st.Touch()
		return
	}
	st.Record(r)
}

// faultRecord is a note as an event; without Text there is nothing to say.
func faultRecord(n fault.Note) Record {
	f, t := n.Fault.Fault, n.Words()
	r := Record{
		Kind: "fault", Service: f.Service, Replica: f.Replica, Action: t.Action, What: t.What, Text: t.Text, Err: t.Err,
	}
	if n.What == fault.Injected {
		r.Cause = f.Why
	}
	return r
}

// directHost lets faults act where no engine runs.
type directHost struct {
	rt      Runtime
	project string
	p       *project.Project // may be nil
	report  func(Record)     // may be nil
}

// Act implements fault.Host.
func (h *directHost) Act(ctx context.Context, a fault.Act) error {
	c := commandOf(a)
	if c.Verb == VerbUp {
		c.Verb = VerbStart
	}
	p := h.p
	if p == nil {
		p = project.Unfiled(h.project)
	}
	return Once(ctx, Options{Runtime: h.rt, Project: p}, c)
}

// Note implements fault.Host.
func (h *directHost) Note(n fault.Note) {
	if r := faultRecord(n); r.Text != "" && h.report != nil {
		h.report(r)
	}
}

// DirectFaults keeps the faults of a project that no running engine holds: give its Run a goroutine.
// state is the base folder of all state; report gets a line for each thing done and may be nil.
func DirectFaults(
	ctx context.Context, runtime Runtime, name string, p *project.Project, state string, report func(Record),
) (*fault.Injector, error) {
	info, err := runtime.Info(ctx)
	if err != nil {
		return nil, err
	}
	rt := container.Completed(runtime)
	host := &directHost{rt: rt, project: name, p: p, report: report}
	return fault.NewInjector(fault.Options{Runtime: rt, Host: host, Project: name, Engine: info.ID, State: state}), nil
}
