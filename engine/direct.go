package engine

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"bulkhead/engine/container"
	"bulkhead/engine/project"
	"bulkhead/engine/step"
)

// Direct carries out a command on a project that no running engine holds: it finds the containers
// by their labels and acts at once, in dependency order where p is given. Verbs: start, stop,
// restart, kill, pause, unpause, down. Hooks are run where p is given. report gets a line for each
// thing done and may be nil. The error names what did not work; the rest is done all the same, but
// what requires a service that did not start is not started.
func Direct(ctx context.Context, runtime Runtime, name string, p *project.Project, c Command, report func(Record)) error {
	if report == nil {
		report = func(Record) {}
	}
	rt := container.Completed(runtime)
	all, err := rt.Instances(ctx, name)
	if err != nil {
		return wrapErr(err, "look at project %s", name)
	}
	var mine []Instance
	for _, in := range all {
		if p != nil && len(c.Services) == 0 && !c.Orphans && p.Service(in.Service) == nil && !slices.Contains(p.Disabled, in.Service) && !slices.Contains(p.Unselected, in.Service) {
			report(Record{Time: time.Now(), Kind: "notice", Notice: "orphan", Text: in.Name + ": left alone, the file does not name its service; --remove-orphans removes it"})
			continue
		}
		if (len(c.Services) == 0 || slices.Contains(c.Services, in.Service)) && (c.Replica == 0 || c.Replica == in.Replica) {
			mine = append(mine, in)
		}
	}
	for _, s := range c.Services {
		if !slices.ContainsFunc(mine, func(in Instance) bool { return in.Service == s }) && c.Verb != VerbDown {
			return container.WithRemedy(container.Failed(string(c.Verb)+" "+s, "project %s has no container of that service", name), "`bulkhead up %s` makes one", s)
		}
	}
	if len(mine) == 0 && c.Verb != VerbDown {
		return container.WithRemedy(container.Failed(string(c.Verb), "project %s has no containers", name), "`bulkhead up` makes them")
	}
	d := direct{rt: rt, p: p, c: c, report: report, down: map[string]bool{}}
	switch c.Verb {
	case VerbStart:
		joiners := joining(mine, all)
		err = d.inOrder(ctx, mine)
		if err == nil {
			// What lived in a namespace that ended does not notice that there is a new one.
			err = d.restart(ctx, joiners)
		}
	case VerbStop:
		err = d.levels(ctx, mine, true, d.stop)
	case VerbRestart:
		if c.Dependents {
			mine = withDependents(p, mine, all)
		}
		err = d.restart(ctx, withFollowers(p, mine, all))
	case VerbKill, VerbPause, VerbUnpause:
		err = d.each(ctx, mine, d.strike)
	case VerbDown:
		if err = d.levels(ctx, mine, true, d.remove); err == nil && len(c.Services) == 0 {
			err = sweep(ctx, rt, name, c, report)
		}
	default:
		return container.Failed(string(c.Verb), "it needs a running `bulkhead up`")
	}
	return join(append([]error{err}, d.hookErrs...)...)
}

// joining lists the running containers that share a namespace with one of those that do not run,
// and are not among them.
func joining(mine, all []Instance) []Instance {
	var out []Instance
	for _, in := range all {
		joins := func(m Instance) bool { return m.State != StateRunning && slices.Contains(in.Joins, m.ID) }
		if in.State == StateRunning && slices.ContainsFunc(mine, joins) && !slices.ContainsFunc(mine, func(m Instance) bool { return m.ID == in.ID }) {
			out = append(out, in)
		}
	}
	return out
}

// withDependents adds the running containers of services that depend on those of mine, directly or through others.
func withDependents(p *project.Project, mine, all []Instance) []Instance {
	if p == nil {
		return mine
	}
	reached := map[string]bool{}
	for _, in := range mine {
		reached[in.Service] = true
	}
	for _, level := range p.Order() { // what a service needs stands on a level before it
		for _, name := range level {
			for dep := range p.Service(name).DependsOn {
				reached[name] = reached[name] || reached[dep]
			}
		}
	}
	out := slices.Clone(mine)
	for _, in := range all {
		if reached[in.Service] && in.State == StateRunning && !slices.ContainsFunc(mine, func(m Instance) bool { return m.ID == in.ID }) {
			out = append(out, in)
		}
	}
	return out
}

// withFollowers adds the running containers that restart with those that are restarted: the ones
// that share their namespaces, and those whose service says depends_on.restart.
func withFollowers(p *project.Project, mine, all []Instance) []Instance {
	out := slices.Clone(mine)
	for i := 0; i < len(out); i++ {
		for _, in := range all {
			follows := slices.Contains(in.Joins, out[i].ID)
			if p != nil && p.Service(in.Service) != nil {
				follows = follows || p.Service(in.Service).DependsOn[out[i].Service].Restart
			}
			if follows && in.State == StateRunning && !slices.ContainsFunc(out, func(m Instance) bool { return m.ID == in.ID }) {
				out = append(out, in)
			}
		}
	}
	return out
}

// restart stops containers in the reverse order of their dependencies and starts them in that order.
func (d *direct) restart(ctx context.Context, all []Instance) error {
	if err := d.levels(ctx, all, true, d.stop); err != nil {
		return err
	}
	down := slices.Clone(all)
	for i := range down {
		down[i].State = StateExited
	}
	return d.inOrder(ctx, down)
}

// direct is one command on its way.
type direct struct {
	rt *container.Complete
	p  *project.Project // may be nil
	c  Command

	mu       sync.Mutex
	report   func(Record)
	hookErrs []error         // pre_stop hooks that failed: what they were before is done all the same
	down     map[string]bool // services that could not be started, or not finish it
}

func (d *direct) wrapErr(in Instance, what string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.report(Record{Time: time.Now(), Kind: "service", Service: in.Service, Replica: in.Replica, ID: in.ID, Action: string(d.c.Verb), What: what, Text: in.Name + ": " + what})
}

// levels does something to containers level by level of the dependencies, within a level to all at the same time.
func (d *direct) levels(ctx context.Context, all []Instance, reverse bool, f func(context.Context, Instance) error) error {
	if d.p == nil {
		levels := byNamespace(all)
		if reverse {
			slices.Reverse(levels)
		}
		var errs []error
		for _, level := range levels {
			errs = append(errs, d.each(ctx, level, f))
		}
		return errors.Join(errs...)
	}
	order := d.p.Order()
	var strays []Instance
	for _, in := range all {
		if d.p.Service(in.Service) == nil {
			strays = append(strays, in)
		}
	}
	if reverse {
		slices.Reverse(order)
	}
	errs := []error{d.each(ctx, strays, f)}
	for _, level := range order {
		var now []Instance
		for _, in := range all {
			if slices.Contains(level, in.Service) {
				now = append(now, in)
			}
		}
		errs = append(errs, d.each(ctx, now, f))
	}
	return errors.Join(errs...)
}

// byNamespace puts containers behind those whose namespaces they share.
func byNamespace(all []Instance) [][]Instance {
	var levels [][]Instance
	for rest := all; len(rest) > 0; {
		var now, later []Instance
		for _, in := range rest {
			if slices.ContainsFunc(rest, func(o Instance) bool { return o.ID != in.ID && slices.Contains(in.Joins, o.ID) }) {
				later = append(later, in)
			} else {
				now = append(now, in)
			}
		}
		if len(now) == 0 { // the engine would not have made a circle
			return append(levels, later)
		}
		levels, rest = append(levels, now), later
	}
	return levels
}

func (d *direct) each(ctx context.Context, all []Instance, f func(context.Context, Instance) error) error {
	errs := make(chan error, len(all))
	for _, in := range all {
		go func() { errs <- guarded(in.Name, func() error { return f(ctx, in) }) }()
	}
	var out []error
	for range all {
		out = append(out, <-errs)
	}
	return errors.Join(out...)
}

func (d *direct) spec(in Instance) CreateSpec {
	s := CreateSpec{Replica: in.Replica}
	if d.p != nil {
		if conf := d.p.Service(in.Service); conf != nil {
			s.App, s.Service = App(d.p), Wanted(conf)
		}
	}
	return s
}

func (d *direct) start(ctx context.Context, in Instance) error {
	if in.State == StateRunning && d.c.Verb == VerbStart {
		return nil
	}
	if in.State == StatePaused && d.c.Verb == VerbStart { // a restart has stopped it
		return d.rt.Unpause(ctx, in.ID)
	}
	if err := d.rt.Start(ctx, d.spec(in), in.ID); err != nil {
		return wrapErr(err, "start %s", in.Name)
	}
	d.wrapErr(in, "started")
	s := d.spec(in).Service
	if s == nil {
		return nil
	}
	return step.RunHooks(ctx, d.rt, s.Name, in.ID, "post_start", s.Config.PostStart, func(line []byte) { d.wrapErr(in, "post_start: "+string(line)) })
}

// inOrder starts containers, and none of a service that requires one which did not start.
func (d *direct) inOrder(ctx context.Context, all []Instance) error {
	return d.levels(ctx, all, false, func(ctx context.Context, in Instance) error {
		err := d.missing(in)
		if err == nil {
			err = d.start(ctx, in)
		}
		if err != nil {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.down[in.Service] = true
		}
		return err
	})
}

// missing says which service a container's service requires and does not have.
func (d *direct) missing(in Instance) error {
	s := d.spec(in).Service
	if s == nil {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(s.DependsOn)) {
		if d.down[name] && s.DependsOn[name].Required {
			return container.Failed("start "+in.Name, "not done, because it depends on %s, which did not", name)
		}
	}
	return nil
}

// preStop runs the pre_stop hooks of a container that runs. One that fails holds no stop up.
func (d *direct) preStop(ctx context.Context, in Instance) {
	s := d.spec(in).Service
	if s == nil {
		return
	}
	err := step.RunPreStop(ctx, d.rt, s.Name, in.ID, s.Config.PreStop, func(line []byte) { d.wrapErr(in, "pre_stop: "+string(line)) })
	if err != nil {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.hookErrs = append(d.hookErrs, err)
	}
}

func (d *direct) stop(ctx context.Context, in Instance) error {
	switch in.State {
	case StatePaused:
		if err := d.rt.Unpause(ctx, in.ID); err != nil {
			return wrapErr(err, "stop %s", in.Name)
		}
	case StateRunning, StateRestarting:
	default:
		return nil
	}
	if in.State != StateRestarting { // between two lives nothing runs that could run a hook
		d.preStop(ctx, in)
	}
	grace := time.Duration(-1)
	if d.c.Grace != nil {
		grace = *d.c.Grace
	}
	if handles, known := d.rt.HandlesStop(ctx, in.ID); known && !handles && d.c.Grace == nil {
		grace = 0
	}
	if err := d.rt.Stop(ctx, in.ID, grace); err != nil && !errors.Is(err, ErrNotFound) {
		return wrapErr(err, "stop %s", in.Name)
	}
	d.wrapErr(in, "stopped")
	return nil
}

func (d *direct) remove(ctx context.Context, in Instance) error {
	if err := d.stop(ctx, in); err != nil {
		return err
	}
	if err := d.rt.Remove(ctx, in.ID, true, d.c.Volumes); err != nil {
		return wrapErr(err, "remove %s", in.Name)
	}
	d.wrapErr(in, "removed")
	return nil
}

func (d *direct) strike(ctx context.Context, in Instance) error {
	if fits := map[Verb]bool{
		VerbKill:    in.State == StateRunning || in.State == StatePaused,
		VerbPause:   in.State == StateRunning,
		VerbUnpause: in.State == StatePaused,
	}[d.c.Verb]; !fits {
		return container.Failed(string(d.c.Verb)+" "+in.Name, "it is %s", in.State)
	}
	var err error
	done := strings.TrimSuffix(string(d.c.Verb), "e") + "ed"
	switch d.c.Verb {
	case VerbKill:
		signal := d.c.Signal
		switch signal {
		case "", "SIGKILL", "KILL", "9":
			signal = "SIGKILL"
		default:
			done = "got signal " + signal
		}
		err = d.rt.Kill(ctx, in.ID, signal)
	case VerbPause:
		err = d.rt.Pause(ctx, in.ID)
	default:
		err = d.rt.Unpause(ctx, in.ID)
	}
	if err != nil {
		return wrapErr(err, "%s %s", d.c.Verb, in.Name)
	}
	d.wrapErr(in, done)
	return nil
}

// sweep removes what is left of a project once its containers are gone: networks, and if asked volumes and images.
func sweep(ctx context.Context, rt *container.Complete, name string, c Command, report func(Record)) error {
	var errs []error
	tell := func(what string) { report(Record{Time: time.Now(), Kind: "notice", Notice: "removed", Text: what}) }
	gone, err := rt.RemoveNetworks(ctx, name)
	errs = append(errs, err)
	for _, n := range gone {
		tell("network " + n + " removed")
	}
	if c.Volumes {
		gone, err := rt.RemoveVolumes(ctx, name)
		errs = append(errs, err)
		for _, v := range gone {
			tell("volume " + v + " removed")
		}
	}
	if c.Images {
		ids, err := rt.ProjectImages(ctx, name, true)
		errs = append(errs, err)
		for _, id := range ids {
			removed, err := rt.RemoveImage(ctx, id, true)
			if err != nil {
				errs = append(errs, wrapErr(err, "remove image %s", short(id)))
			}
			if removed {
				tell("image " + short(id) + " removed")
			}
		}
	}
	return errors.Join(errs...)
}
