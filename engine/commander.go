package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"bulkhead/engine/condition"
	"bulkhead/engine/container"
	"bulkhead/engine/fault"
	"bulkhead/engine/lane"
	"bulkhead/engine/plan"
	"bulkhead/engine/project"
	"bulkhead/engine/state"
	"bulkhead/engine/step"
	"bulkhead/engine/sweep"
)

// commander makes tasks of commands, hands them to the lanes, and waits for their end. Its methods may be
// called from any goroutine.
type commander struct {
	p       *lane.Parts
	reload  *reloader
	observe *observer
	trust   trusting
	sweep   sweep.Sweeper // set by Run
}

// do carries out a command that is not about faults, for a person or for a fault.
func (cm *commander) do(ctx context.Context, c Command) error {
	if c.Verb == VerbApply || c.Verb == VerbUp && len(c.Services) == 0 {
		if errands, err := cm.reload.apply(c.Cause); err != nil || c.Verb == VerbApply {
			return container.Join(err, cm.finish(ctx, errands, c.Limit))
		}
	}
	if c.Verb == VerbTrust {
		waiting, err := cm.trust.allow(c)
		if err != nil {
			return err
		}
		c.Verb = VerbUp
		return cm.finish(ctx, cm.assign(waiting, c), c.Limit)
	}
	targets, err := cm.targets(c)
	if err != nil {
		return err
	}
	if c.Verb == VerbRestart && c.Dependents {
		targets = cm.withDependents(c.Services, targets)
	}
	if c.Verb == VerbStart && c.Needed {
		targets = cm.withNeeded(c.Services, targets)
	}
	switch c.Verb {
	case VerbKill, VerbPause, VerbUnpause:
		if len(c.Services) == 0 {
			if targets = suited(c.Verb, targets); len(targets) == 0 && c.Verb != VerbKill {
				return container.Failed(string(c.Verb), "project %s has no container that could be", cm.p.Name)
			}
		}
		// A fault is injected at once, whatever the lanes are at.
		err := all(targets, func(l *lane.Lane) error { return cm.injectFault(ctx, l, c) })
		if c.Verb == VerbKill {
			err = container.Join(err, cm.sweep.Kill(ctx, c))
		}
		return err
	case VerbStop:
		return cm.inReverse(ctx, targets, c)
	case VerbDown:
		return cm.down(ctx, targets, c)
	case VerbWatch:
		for name, stale := range cm.p.State.Watching.SetMode(c.Services, c.Mode, c.Cause) {
			if l := cm.p.Lanes.Of(name); l != nil {
				l.Offer(plan.WorkFor(l.M.Conf(), stale, time.Now()))
			}
		}
		return nil
	case VerbScale:
		for _, l := range targets {
			if err := scalable(l.M.Conf(), c.Scale); err != nil {
				return err
			}
		}
	case VerbUp, VerbStart, VerbRestart, VerbRebuild:
	default:
		return fmt.Errorf("%q is not a command", c.Verb)
	}
	return cm.finish(ctx, cm.assign(targets, c), c.Limit)
}

// checkFault says what is wrong with the services that a command about faults names.
func (cm *commander) checkFault(c Command) error {
	if c.Verb != VerbFault || c.Fault == nil {
		return nil
	}
	for _, name := range []string{c.Fault.Service, c.Fault.From} {
		if name == "" {
			continue
		}
		if _, err := cm.targets(Command{Verb: VerbFault, Services: []string{name}}); err != nil {
			return err
		}
	}
	return nil
}

// assign hands lanes the task of a command.
func (cm *commander) assign(targets []*lane.Lane, c Command) []lane.Errand {
	var errands, fresh []lane.Errand
	for _, l := range targets {
		if t := l.Own(); t != nil && c.Verb == VerbUp {
			errands = append(errands, lane.Errand{L: l, T: t})
			continue
		}
		if c.Verb == VerbRebuild {
			l.Supersede()
		}
		t := lane.NewTask(lane.Task{Verb: c.Verb, Cmd: c, Cause: c.Cause})
		if c.Verb == VerbScale {
			conf := *l.M.Conf()
			conf.Replicas = c.Scale
			t.Conf = &conf
		}
		fresh = append(fresh, lane.Errand{L: l, T: t})
	}
	if c.Verb == VerbRestart {
		putInOrder(fresh)
	}
	for _, er := range fresh {
		er.L.Enqueue(er.T)
	}
	return append(errands, fresh...)
}

// putInOrder has each of several tasks begin after those of the services that its own depends on.
func putInOrder(errands []lane.Errand) {
	for _, er := range errands {
		for _, of := range errands {
			if d, ok := er.L.M.Conf().DependsOn[of.L.Name]; ok {
				er.T.Behind = append(er.T.Behind, lane.Behind{Errand: of, Required: d.Required})
			}
		}
	}
}

// targets finds the lanes of the services that a command names; none means all, where that makes sense.
func (cm *commander) targets(c Command) ([]*lane.Lane, error) {
	names, v := c.Services, cm.p.State.View()
	if len(names) == 0 {
		switch c.Verb {
		case VerbScale:
			return nil, container.Failed(string(c.Verb), "name a service")
		case VerbStop, VerbDown: // what is on its way out is stopped with the rest, and nothing else is done to it
			names = slices.Sorted(maps.Keys(v.Services))
		default:
			names = v.Services.Names()
		}
		if len(cm.p.State.Project().Files) > 0 { // the services of profiles that are off, unless they are named
			names = slices.DeleteFunc(names, func(name string) bool { return v.Services[name].Conf.Labelled })
		}
		if c.Verb == VerbRebuild {
			names = slices.DeleteFunc(names, func(name string) bool { return !v.Services[name].Conf.Built })
		}
	}
	if cm.p.AsIs {
		var err error
		if names, err = cm.withContainers(c, v, names); err != nil {
			return nil, err
		}
	}
	var out []*lane.Lane
	for _, name := range names {
		s, l := v.Services[name], cm.p.Lanes.Of(name)
		if s == nil || l == nil || s.Leaving && len(c.Services) > 0 {
			return nil, container.WithRemedy(container.Failed(string(c.Verb)+" "+name, "no such service"), "there are %s", strings.Join(v.Services.Names(), ", "))
		}
		out = append(out, l)
	}
	return out, nil
}

// suited lists the services with a container that can be killed, paused or unpaused.
func suited(v Verb, targets []*lane.Lane) []*lane.Lane {
	return slices.DeleteFunc(targets, func(l *lane.Lane) bool {
		return !slices.ContainsFunc(l.M.Holders(0), func(h state.Holder) bool { return suits(v, h.Instance.State) })
	})
}

// withContainers lists those of a command's services that have the containers that it is for, and, of
// a stop, those that a provider stands for. A service that was named and has none is an error.
func (cm *commander) withContainers(c Command, v *state.View, names []string) ([]string, error) {
	switch c.Verb {
	case VerbUp, VerbRebuild, VerbScale:
		return names, nil // they make what is missing
	}
	var out []string
	ends := c.Verb == VerbDown || c.Verb == VerbStop
	for _, name := range names {
		if s := v.Services[name]; s != nil && (s.FirstID() != "" || ends && s.Conf.Provided()) {
			out = append(out, name)
			continue
		}
		if len(c.Services) > 0 && !ends {
			return nil, &container.Error{What: string(c.Verb) + " " + name, Why: fmt.Sprintf("project %s has no container of that service", cm.p.Name),
				Remedy: fmt.Sprintf("`bulkhead up %s` makes one", name), Err: ErrNotFound}
		}
	}
	if len(out) == 0 && !ends {
		return nil, &container.Error{What: string(c.Verb), Why: fmt.Sprintf("project %s has no containers", cm.p.Name),
			Remedy: "`bulkhead up` makes them", Err: ErrNotFound}
	}
	return out, nil
}

// all calls f for each lane at the same time, and returns all errors.
func all(targets []*lane.Lane, f func(*lane.Lane) error) error {
	errs := make([]error, len(targets))
	var wg sync.WaitGroup
	for i, l := range targets {
		wg.Go(func() { errs[i] = container.Guard(l.Name, func() error { return f(l) }) })
	}
	wg.Wait()
	return container.Join(errs...)
}

// injectFault kills, pauses or unpauses the replicas of a service, and opens the ledger of a fault.
func (cm *commander) injectFault(ctx context.Context, l *lane.Lane, c Command) error {
	if c.Signal == "" {
		c.Signal = "SIGKILL"
	}
	hit := state.Injection{What: c.Signal, Verb: string(c.Verb), Replica: c.Replica, Cause: c.Cause}
	switch {
	case c.Verb != VerbKill && !cm.p.Runtime.Caps.Pause:
		return &container.Error{What: string(c.Verb) + " " + l.Name, Why: "this runtime pauses no containers", Err: ErrUnsupported}
	case c.Verb == VerbKill:
		hit.Happens = fault.Killed
	case c.Verb == VerbPause:
		hit.What, hit.Happens = "pause", fault.Paused
	default:
		hit.What, hit.Heals = "unpause", true
	}
	for _, h := range l.M.Holders(c.Replica) {
		if !suits(c.Verb, h.Instance.State) {
			continue
		}
		hit.IDs = append(hit.IDs, h.Instance.ID)
		if c.Verb == VerbKill {
			hit.Ends, hit.Idles = h.Instance.EndsBy(c.Signal)
			hit.Handled = !container.Kills(c.Signal)
		}
	}
	if len(hit.IDs) == 0 {
		return container.Failed(string(c.Verb)+" "+l.Name, "it is %s", l.M.Known().State)
	}
	l.M.Inject(hit)
	return cm.carryOut(ctx, l, c, hit)
}

// carryOut does to containers what was noted, to one after the other without a wait between, and then looks what came
// of it.
func (cm *commander) carryOut(ctx context.Context, l *lane.Lane, c Command, hit state.Injection) error {
	var errs []error
	var done, failed []string
	for _, id := range hit.IDs {
		var err error
		switch c.Verb {
		case VerbKill:
			err = cm.p.Runtime.Kill(ctx, id, c.Signal)
		case VerbPause:
			err = cm.p.Runtime.Pause(ctx, id)
		default:
			err = cm.p.Runtime.Unpause(ctx, id)
		}
		if err != nil {
			errs, failed = append(errs, container.WrapErr(err, "%s %s", c.Verb, l.Name)), append(failed, id)
			continue
		}
		done = append(done, id)
	}
	for _, id := range done {
		if hit.Ends {
			errs = append(errs, cm.awaitDeath(ctx, l.Name, id))
		}
		errs = append(errs, cm.observe.refresh(ctx, l.M, id, c.Cause))
	}
	if len(failed) > 0 {
		state.Notes{State: cm.p.State}.InjectFailed(l.Name, hit, failed)
	}
	return container.Join(errs...)
}

// suits says whether a container in a state can be killed, paused or unpaused.
func suits(v Verb, st State) bool {
	switch v {
	case VerbKill:
		return st.TakesSignals()
	case VerbPause:
		return st == StateRunning
	}
	return st == StatePaused
}

// awaitDeath waits a moment for the end that a signal leads to; a process that catches its stop
// signal may take its time.
func (cm *commander) awaitDeath(ctx context.Context, service, id string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	err := cm.p.Steps.AwaitEnd(ctx, service, id)
	if errors.Is(err, context.DeadlineExceeded) {
		return nil
	}
	return err
}

// scalable says why a service cannot have so many replicas.
func scalable(conf *project.Service, n int) error {
	what := fmt.Sprintf("scale %s to %d", conf.Name, n)
	switch {
	case n < 0 || n > project.MaxReplicas:
		return container.Failed(what, "a service may have 0 to %d replicas", project.MaxReplicas)
	case n > 1 && conf.Config.ContainerName != "":
		return container.Failed(what, "it has a container_name, which only one container can have")
	}
	return nil
}

// withDependents adds to services those that depend on them and that the user does not hold down.
func (cm *commander) withDependents(names []string, targets []*lane.Lane) []*lane.Lane {
	v := cm.p.State.View()
	for _, name := range plan.Dependents(cm.p.State.Project(), names) {
		s, l := v.Services[name], cm.p.Lanes.Of(name)
		if s != nil && l != nil && !s.ByHand && !s.Leaving && s.FirstID() != "" && !slices.Contains(targets, l) {
			targets = append(targets, l)
		}
	}
	return targets
}

// withNeeded adds to services those that they depend on, directly or through others, and that have a container that
// does not run.
func (cm *commander) withNeeded(names []string, targets []*lane.Lane) []*lane.Lane {
	v := cm.p.State.View()
	for _, name := range plan.Dependencies(cm.p.State.Project(), names) {
		s, l := v.Services[name], cm.p.Lanes.Of(name)
		if s != nil && l != nil && s.FirstID() != "" && (s.State == StateExited || s.State == StateCreated) && !slices.Contains(targets, l) {
			targets = append(targets, l)
		}
	}
	return targets
}

// inReverse stops services, each after all that depend on it, and otherwise at the same time.
func (cm *commander) inReverse(ctx context.Context, targets []*lane.Lane, c Command) error {
	if len(c.Services) == 0 {
		cm.p.State.SetPhase(PhaseStopping)
		defer cm.p.State.StopOver()
	} else {
		for _, l := range targets {
			cm.p.State.Ledgers.Open(l.Name, c.Replica, "stop")
		}
	}
	gone := map[string]chan struct{}{}
	for _, l := range targets {
		gone[l.Name] = make(chan struct{})
	}
	return all(targets, func(l *lane.Lane) error {
		defer close(gone[l.Name])
		// Nothing new is begun while dependents are on their way out.
		l.M.HoldDown(true)
		l.Abort(lane.ErrAborted)
		for _, o := range targets {
			if _, ok := o.M.Conf().DependsOn[l.Name]; !ok {
				continue
			}
			select {
			case <-gone[o.Name]:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		t := lane.NewTask(lane.Task{Verb: c.Verb, Cmd: c, Cause: c.Cause})
		l.Enqueue(t)
		return lane.WaitFor(ctx, t)
	})
}

// down stops and removes everything of the project.
func (cm *commander) down(ctx context.Context, targets []*lane.Lane, c Command) error {
	early := func() {}
	if len(c.Services) == 0 {
		early = cm.sweep.NetworksEarly(ctx)
	}
	stopped := cm.inReverse(ctx, targets, c)
	early()
	if stopped != nil && !step.OnlyHooks(stopped) {
		return stopped
	}
	if len(c.Services) > 0 && !c.Orphans {
		return container.Join(stopped, cm.sweep.Rest(ctx, c))
	}
	return container.Join(stopped, cm.sweep.Strays(ctx, c), cm.sweep.Beside(ctx, c), cm.sweep.Rest(ctx, c))
}

// finish waits for tasks to end, and for none that waits for what will not come by itself: such a
// task stays in its lane.
func (cm *commander) finish(ctx context.Context, errands []lane.Errand, limit time.Duration) error {
	a := condition.NewArrival(limit)
	errs := make([]error, len(errands))
	return cm.p.State.AwaitUntil(ctx, func(v *state.View) (over bool, next time.Time, err error) {
		next, over = a.Look(v.Services), true
		for i, er := range errands {
			errs[i] = nil
			if er.T.Ended() {
				errs[i] = er.T.Err
				continue
			}
			if s := v.Services[er.L.Name]; s != nil {
				errs[i] = a.Stuck(s)
			}
			over = over && errs[i] != nil
		}
		return over, next, container.Join(errs...)
	})
}
