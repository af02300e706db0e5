package engine

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"golang.org/x/sync/errgroup"

	"bulkhead/engine/container"
	"bulkhead/engine/filesync"
	"bulkhead/engine/image"
	"bulkhead/engine/journal"
	"bulkhead/engine/lane"
	"bulkhead/engine/logs"
	"bulkhead/engine/plan"
	"bulkhead/engine/project"
	"bulkhead/engine/resource"
	"bulkhead/engine/state"
	"bulkhead/engine/stats"
	"bulkhead/engine/step"
	"bulkhead/engine/sweep"
	"bulkhead/engine/tail"
)

// Engine runs one project. Make it with New, give Run a goroutine, and use the other methods from any goroutine.
type Engine struct {
	opts  Options
	state *state.State // all that is known; it has its own lock, as each of the parts below
	// parts are what lanes and the parts below work with. Those that need to know the runtime are set
	// by Run, before lanes start.
	parts   *lane.Parts
	running chan struct{} // closed once lanes take work

	observe  *observer
	commands *commander
	faults   *faults
	drills   drills
	taps     *taps
	reload   *reloader
	watch    *watching
	trust    trusting
	stats    *stats.Sampler
}

// New makes an engine; it asks the runtime nothing yet. A nil Logs gets a store of the default size.
func New(o Options) *Engine {
	if o.Logs == nil {
		o.Logs = logs.New(logs.Options{})
	}
	switch {
	case o.LogTail == 0:
		o.LogTail = 1000
	case o.LogTail < 0:
		o.LogTail = 0
	}
	p := &lane.Parts{
		Name: o.Project.Name, Dir: o.Project.Dir, Runtime: container.Retrying(container.Completed(o.Runtime)), Trust: o.Trust,
		Lanes: &lane.Set{}, AsIs: o.AsIs, NoWatch: o.NoWatch, NoStart: o.NoStart, Replace: o.Replace,
	}
	e := &Engine{opts: o, parts: p, running: make(chan struct{})}
	e.observe = &observer{p: p, intervened: e.drills.intervene, see: func(ev Event) { e.faults.injector.Load().See(ev) }}
	e.reload = &reloader{p: p, load: o.Load, applied: e.reloaded, loads: make(turn, 1), waits: make(turn, 1)}
	e.watch = &watching{p: p, reload: e.reload, ignore: o.Ignore, times: o.Watch}
	e.trust = trusting{p}
	e.commands = &commander{p: p, reload: e.reload, observe: e.observe, trust: e.trust}
	e.faults = &faults{p: p, act: e.commands.do}
	e.taps = &taps{p: p, faults: e.faults, known: e.commands.targets}
	e.faults.tapped = e.taps.add
	p.Follow, p.Refresh, p.Hold = e.observe.follow, e.observe.refresh, e.drills.holdsWork
	e.state = state.New(o.Project, state.Options{
		Lives: lives{p}, Caps: p.Runtime.Caps, Faults: e.faults.active, Machine: o.Machine, Logs: o.Logs, Quiet: o.AsIs,
		Others: func(n *Snapshot) { e.drills.show(n); e.taps.show(n) }, Called: e.taps.called,
	})
	p.State = e.state
	e.stats = stats.New(p.Runtime, e.state)
	p.Tail = tail.New(tail.Options{
		Runtime: p.Runtime, Store: o.Logs, Last: o.LogTail, Began: e.state.Began(), Muted: o.NoLogs,
		Go:      func(name string, f func(context.Context) error) { p.Go(name, f) },
		Changed: e.state.Ring,
		Notify: func(n tail.Notice) {
			if n.Kind == tail.NoticeUnreadable {
				e.state.Warn(n.Text())
			} else {
				e.state.Notice("logs", n.Text())
			}
		},
	})
	return e
}

// Run brings the project up and keeps it: it watches files, follows events and logs, and carries
// out commands, until ctx ends. It returns after its last goroutine ended and leaves the containers
// as they are: whoever wants them stopped says so with Do (VerbStop or VerbDown) before ending ctx.
// The error wraps ErrNoEngine when nothing answered at the start.
func (e *Engine) Run(ctx context.Context) error {
	rt, p := e.parts.Runtime, e.parts
	info, err := rt.Info(ctx)
	if err != nil {
		return err
	}
	// A panic in any of these becomes Run's error, so that the caller can give the terminal back.
	g, gctx := errgroup.WithContext(ctx)
	p.Go = func(name string, f func(context.Context) error) {
		g.Go(func() error { return container.Guard(name, func() error { return f(gctx) }) })
	}
	e.open(info)
	seenFrom := time.Now()
	instances, err := rt.Instances(ctx, p.Name)
	if err != nil {
		return container.WrapErr(err, "look at project %s", p.Name)
	}
	if e.opts.AsIs {
		e.state.Attach(plan.AsIs(e.opts.Project, instances))
	}
	e.observe.adoptAll(instances)
	if !e.opts.NoWatch {
		if err := e.watch.start(); err != nil {
			return fmt.Errorf("watch files: %w", err)
		}
	}
	p.Go("events", func(ctx context.Context) error { return e.observe.run(ctx, seenFrom) })
	p.Go("faults", e.faults.run)
	p.Go("upkeep", e.keepUp)
	if !e.opts.NoStats {
		p.Go("stats", e.stats.Run)
	}
	e.trust.note()
	if e.opts.AsIs {
		e.takeOver()
	} else {
		e.bringUp(gctx, instances)
	}
	close(e.running)
	<-gctx.Done()
	err = g.Wait()
	e.close(ctx)
	if flush := p.Journal.Flush(); err == nil {
		err = flush
	}
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		return nil
	}
	return err
}

// bringUp opens a lane for every service, with its first task, and removes or names orphans.
func (e *Engine) bringUp(ctx context.Context, instances []Instance) {
	gone, strays, ended := e.commands.sweep.Orphaned(ctx, instances, e.opts.RemoveOrphans)
	if len(gone) > 0 {
		// First of all: they may have names, ports and networks that the services need.
		if err := e.commands.sweep.Orphans(ctx, gone, false); err != nil {
			e.state.Warn(err.Error())
		}
	}
	e.state.Begin()
	if !e.opts.RemoveOrphans && !e.opts.IgnoreOrphans {
		e.state.Orphans(strays.Seen(), ended.Seen())
	}
	first := newFirstPlan(e.project(), gone, func(p plan.Plan) { e.state.Planned(p.String(), len(p)) })
	for _, s := range e.project().Services {
		e.parts.Lanes.Open(e.parts, s.Name, lane.NewTask(lane.Task{
			Verb: VerbUp, First: true, Cause: "up", Cmd: Command{Grace: e.opts.Grace},
			Planned: func(o *plan.Outlook) { first.add(s.Name, o) },
		}))
	}
}

// takeOver has the services as they are: nothing is brought up, and those that do not run are held down.
func (e *Engine) takeOver() {
	for _, s := range e.project().Services {
		e.state.Member(s.Name).Settle()
	}
	e.state.SetPhase(PhaseRunning)
	for _, s := range e.project().Services {
		e.parts.Lanes.Open(e.parts, s.Name, nil)
	}
}

// open makes the parts that need to know which runtime they are on.
func (e *Engine) open(info Info) {
	p := e.parts
	e.state.SetInfo(info)
	p.Journal = journal.Open(journal.Options{
		Base: e.opts.StateDir, Engine: info.ID, Project: p.Name, Warn: e.noteJournal,
	})
	e.state.OpenPast(p.Journal)
	p.Sync = filesync.New(p.Runtime, p.Journal, e.state.Warn)
	notes := state.Notes{State: e.state}
	// A start costs the engine about 200 ms of CPU; more than two a core at a time only make the rest crawl.
	p.Steps = step.New(step.Options{
		Runtime: p.Runtime, Sync: p.Sync, Journal: p.Journal, Host: host{notes, e.observe},
		Slots: max(2, 2*runtime.NumCPU()), NoSync: p.NoWatch,
	})
	p.Resources = resource.New(p.Runtime, func(what string) { e.state.Notice("created", what) }, notes.ExpectEnd)
	p.Images = image.New(image.Options{
		Runtime: p.Runtime, Builder: e.opts.Builder, Sync: p.Sync, State: e.state, Build: e.opts.Build, NoWatch: p.NoWatch, Go: p.Go,
	})
	e.commands.sweep = sweep.Sweeper{Project: p.Name, Runtime: p.Runtime, State: e.state, Steps: p.Steps}
	e.faults.open(info.ID, e.opts.StateDir)
}

// noteJournal warns of what the journal says, and keeps whether it can be written.
func (e *Engine) noteJournal(text string) {
	if j := e.parts.Journal; j != nil { // else it is being opened
		e.state.SetUnsaved(j.Unsaved())
	}
	e.state.Warn(text)
}

// reloaded has what the project by now names watched and asked for.
func (e *Engine) reloaded() {
	e.trust.note()
	e.watch.setRoots()
}

// close tidies up after the last goroutine ended.
func (e *Engine) close(ctx context.Context) {
	if e.state.Builds.Any() {
		// A build that was cancelled may have come to its end in the engine all the same.
		tidy, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		e.parts.Images.Clean(tidy)
		cancel()
	}
	e.state.SetPhase(PhaseStopped)
}

// upkeep is how often what outlives the process is written out, and bystanders of a fault are looked at.
const upkeep = 500 * time.Millisecond

// keepUp does what has to be done every now and then.
func (e *Engine) keepUp(ctx context.Context) error {
	tick := time.NewTicker(upkeep)
	defer tick.Stop()
	bystanders := &state.Bystanders{State: e.state, Logs: e.opts.Logs}
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
		_ = e.parts.Journal.Flush() // it has reported the error, once, and tries again with the next tick
		bystanders.Look()
	}
}

// Do carries out a command and returns when that is done: after restart or up of a service when it
// runs again (not when it is ready; see WaitReady), or when it waits for a dependency that will not
// come by itself, which is an error. When ctx ends first, the work goes on. Errors are one line
// with a remedy where there is one.
func (e *Engine) Do(ctx context.Context, c Command) error {
	select {
	case <-e.running:
	case <-ctx.Done():
		return container.WrapErr(ctx.Err(), "%s: the engine is not up yet", c.Verb)
	}
	if c.Cause == "" {
		c.Cause = "bulkhead " + string(c.Verb)
	}
	e.noteHand(c)
	switch c.Verb {
	case VerbFault, VerbHeal:
		if err := e.commands.checkFault(c); err != nil {
			return err
		}
		return e.faults.do(ctx, c)
	case VerbTap, VerbUntap:
		return e.taps.do(ctx, c)
	}
	e.faults.superseded(c)
	return e.commands.do(ctx, c)
}

// Snapshot is the state now. It never blocks on work in progress.
func (e *Engine) Snapshot() *Snapshot { return e.state.Snapshot() }

// Subscribe returns a channel of capacity one that holds a token whenever something changed since
// it was last taken: state, records or logs. Call stop when done with it.
func (e *Engine) Subscribe() (changed <-chan struct{}, stop func()) { return e.state.Subscribe() }

// Records returns the records after since, oldest first, and how many of them are no longer kept (the last 5,000 are).
func (e *Engine) Records(since uint64) (recs []Record, missed int) { return e.state.Records(since) }

// Logs is the project's log store.
func (e *Engine) Logs() *logs.Store { return e.opts.Logs }

// LoadOlder reads a page of older lines of the named services (nil: all) into the
// store, where a container's log goes back further than what was read of it and
// that begins at or after from: whoever scrolls up asks with the time of the
// first line that is seen. It returns what it did also with an error.
func (e *Engine) LoadOlder(ctx context.Context, services []string, from time.Time) (Older, error) {
	return e.parts.Tail.LoadOlder(ctx, services, from)
}

// AwaitLogs waits until the log of every container that has ended in this run is read to its end, or until ctx
// ends.
func (e *Engine) AwaitLogs(ctx context.Context) {
	var ended []state.Holder
	for _, l := range e.parts.Lanes.List() {
		for _, h := range l.M.Holders(0) {
			if h.Instance.State == StateExited {
				ended = append(ended, h)
			}
		}
	}
	e.parts.AwaitLastWords(ctx, ended)
}

// SetAttention tells the engine whose readings to take often; those of the others are taken now and then, for the sums.
func (e *Engine) SetAttention(a Attention) { e.stats.SetAttention(a) }

// Exec runs a command in a replica of a service (0: the first that runs) and returns its exit code.
func (e *Engine) Exec(ctx context.Context, service string, replica int, o ExecOptions) (int, error) {
	m := e.state.Member(service)
	if m == nil {
		return 0, fmt.Errorf("exec in %s: no such service", service)
	}
	for _, h := range m.Holders(replica) {
		if h.Instance.State == StateRunning {
			return e.parts.Runtime.Exec(ctx, h.Instance.ID, o)
		}
	}
	return 0, fmt.Errorf("exec in %s: it does not run; start it first", service)
}

// project is the project as it is wanted now.
func (e *Engine) project() *project.Project { return e.state.Project() }
