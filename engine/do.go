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

	"bulkhead/engine/container"
	"bulkhead/engine/fault"
	"bulkhead/engine/plan"
	"bulkhead/engine/project"
	"bulkhead/engine/step"
)

// bringUp returns every service its lane and its first task, and removes or names orphans.
func (e *Engine) bringUp(ctx context.Context, instances []Instance) {
	strays := plan.Orphans(e.project(), instances)
	if e.opts.RemoveOrphans {
		// First of all: they may have names, ports and networks that the services need.
		e.removeOrphans(ctx, strays)
	}
	e.mu.Lock()
	e.phase = PhaseRunning
	e.watching.Mode = project.Auto
	first := e.firstPlan(instances, nil)
	e.plan = first.String()
	planned := "plan of 1 step"
	if n := len(first); n != 1 {
		planned = fmt.Sprintf("plan of %d steps", n)
	}
	e.record(Record{Kind: "plan", What: planned, Text: e.plan})
	for _, s := range e.svcs {
		s.enqueue(&task{verb: VerbUp, first: true, cause: "up", done: make(chan error, 1)})
	}
	for _, name := range slices.Sorted(maps.Keys(e.svcs)) {
		e.openLane(e.svcs[name])
	}
	e.mu.Unlock()

	if len(strays) > 0 && !e.opts.RemoveOrphans {
		e.mu.Lock()
		for _, st := range strays {
			e.orphaned = append(e.orphaned, st.Seen.Name)
		}
		e.mu.Unlock()
		e.warn(fmt.Sprintf("%d containers belong to services that the file does not name (%s); --remove-orphans removes them", len(strays), strings.Join(e.orphaned, ", ")))
	}
}

// removeOrphans stops and removes containers whose service the file does not name, all at the same
// time, and warns of those that stay.
func (e *Engine) removeOrphans(ctx context.Context, strays plan.Plan) {
	var wg sync.WaitGroup
	for _, st := range strays {
		wg.Go(func() {
			err := guarded("orphan "+st.Seen.Name, func() error {
				return e.steps.Remove(ctx, step.Service{Conf: &project.Service{Name: st.Service}}, st.Seen, st.Reason, false)
			})
			if err != nil {
				e.warn(err.Error())
			}
		})
	}
	wg.Wait()
}

// openLane starts a service's lane.
func (e *Engine) openLane(s *service) {
	e.launch("lane of "+s.name, func(ctx context.Context) error { return s.lane.run(ctx) })
}

// Do carries out a command and returns when that is done: after restart or up of a service when it
// runs again (not when it is ready; see WaitReady), or when it waits for a dependency that will not
// come by itself, which is an error. When ctx ends first, the work goes on. Errors are one line
// with a remedy where there is one.
func (e *Engine) Do(ctx context.Context, c Command) error {
	select {
	case <-e.running:
	case <-ctx.Done():
		return wrapErr(ctx.Err(), "%s: the engine is not up yet", c.Verb)
	}
	if c.Cause == "" {
		c.Cause = "bulkhead " + string(c.Verb)
	}
	if c.Verb == VerbUp && len(c.Services) == 0 {
		if err := e.applyReload(c.Cause); err != nil {
			return err
		}
	}
	targets, err := e.targets(c)
	if err != nil {
		return err
	}
	switch c.Verb {
	case VerbKill, VerbPause, VerbUnpause:
		// A fault is injected at once, whatever the lanes are at.
		return e.all(targets, func(s *service) error { return e.injectFault(ctx, s, c) })
	case VerbStop:
		return e.inReverse(ctx, targets, c)
	case VerbDown:
		return e.down(ctx, targets, c)
	case VerbWatch:
		return e.setMode(targets, c)
	case VerbScale:
		if err := e.scalable(targets, c.Scale); err != nil {
			return err
		}
	case VerbRestart:
		if c.Dependents {
			targets = e.withDependents(targets)
		}
	case VerbUp, VerbStart, VerbRebuild:
	default:
		return fmt.Errorf("%q is not a command", c.Verb)
	}
	return e.finish(ctx, e.assign(targets, c), c.Limit)
}

// assign returns services the task of a command.
func (e *Engine) assign(targets []*service, c Command) []errand {
	e.mu.Lock()
	defer e.mu.Unlock()
	var errands []errand
	for _, s := range targets {
		if t := s.own(); t != nil && c.Verb == VerbUp {
			errands = append(errands, errand{s, t})
			continue
		}
		if c.Verb == VerbRebuild && s.lane.image != nil {
			s.lane.image(errSuperseded)
		}
		t := &task{verb: c.Verb, cmd: c, cause: c.Cause, done: make(chan error, 1)}
		if c.Verb == VerbScale {
			conf := *s.conf
			conf.Replicas = c.Scale
			t.conf = &conf
		}
		s.enqueue(t)
		errands = append(errands, errand{s, t})
	}
	return errands
}

func waitFor(ctx context.Context, tasks []*task) error {
	var errs []error
	for _, t := range tasks {
		select {
		case err := <-t.done:
			errs = append(errs, err)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return join(errs...)
}

// targets finds the services that a command names; none means all, where that makes sense.
func (e *Engine) targets(c Command) ([]*service, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	names := c.Services
	if len(names) == 0 {
		switch c.Verb {
		case VerbScale, VerbPause, VerbUnpause:
			return nil, container.Failed(string(c.Verb), "name a service")
		case VerbRebuild:
			for name, s := range e.svcs {
				if s.conf.Built && !s.leaving {
					names = append(names, name)
				}
			}
			slices.Sort(names)
		default:
			for name, s := range e.svcs {
				// What is on its way out is stopped with the rest, and nothing else is done to it.
				if !s.leaving || c.Verb == VerbStop || c.Verb == VerbDown {
					names = append(names, name)
				}
			}
			slices.Sort(names)
		}
	}
	var out []*service
	for _, name := range names {
		s := e.svcs[name]
		if s == nil || s.leaving && len(c.Services) > 0 {
			return nil, container.WithRemedy(container.Failed(string(c.Verb)+" "+name, "no such service"), "there are %s", strings.Join(e.serviceNames(), ", "))
		}
		out = append(out, s)
	}
	return out, nil
}

// serviceNames lists the services of the project as it is now. Callers hold mu.
func (e *Engine) serviceNames() []string {
	var out []string
	for name, s := range e.svcs {
		if !s.leaving {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// all calls f for each service at the same time, and returns all errors.
func (e *Engine) all(targets []*service, f func(*service) error) error {
	errs := make(chan error, len(targets))
	for _, s := range targets {
		go func() { errs <- guarded(s.name, func() error { return f(s) }) }()
	}
	var out []error
	for range targets {
		out = append(out, <-errs)
	}
	return join(out...)
}

// injectFault kills, pauses or unpauses the replicas of a service, and opens the ledger of a fault.
func (e *Engine) injectFault(ctx context.Context, s *service, c Command) error {
	if c.Signal == "" {
		c.Signal = "SIGKILL"
	}
	ids, fatal, err := e.noteFault(s, c)
	if err != nil {
		return err
	}
	for _, id := range ids {
		switch c.Verb {
		case VerbKill:
			err = e.rt.Kill(ctx, id, c.Signal)
		case VerbPause:
			err = e.rt.Pause(ctx, id)
		default:
			err = e.rt.Unpause(ctx, id)
		}
		if err != nil {
			return wrapErr(err, "%s %s", c.Verb, s.name)
		}
		if fatal {
			if err := e.awaitDeath(ctx, s, id); err != nil {
				return err
			}
		}
		if err := e.refresh(ctx, s, id, c.Cause); err != nil {
			return err
		}
	}
	return nil
}

// noteFault notes what is about to be done to a service, and returns the containers that it is done
// to; fatal says that they end of it and stay down.
func (e *Engine) noteFault(s *service, c Command) (ids []string, fatal bool, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	fatal = c.Verb == VerbKill && ends(c.Signal, s)
	for _, r := range s.sorted() {
		if r.inst.ID == "" || c.Replica != 0 && c.Replica != r.number || !suits(c.Verb, r.inst.State) {
			continue
		}
		ids = append(ids, r.inst.ID)
		r.pendingCause = c.Cause
		r.expectedExit = r.expectedExit || fatal
	}
	if len(ids) == 0 {
		return nil, false, container.Failed(string(c.Verb)+" "+s.name, "it is %s", s.state)
	}
	kind, what := "fault", c.Signal
	switch c.Verb {
	case VerbPause:
		what = "pause"
	case VerbUnpause:
		kind, what = "service", "unpause"
	}
	if kind == "fault" {
		e.openLedger(s, c.Replica, what)
	}
	s.byHand = (s.byHand || fatal || c.Verb == VerbPause) && c.Verb != VerbUnpause
	e.record(Record{Kind: kind, Service: s.name, Replica: c.Replica, Action: string(c.Verb), Cause: c.Cause, What: what, Text: fmt.Sprintf("%s: %s (%s)", s.name, what, c.Cause)})
	if happened := map[Verb]fault.Kind{VerbKill: fault.Killed, VerbPause: fault.Paused}[c.Verb]; happened != fault.KindUnknown {
		e.incident(fault.Event{Time: time.Now(), Kind: happened, Service: s.name})
	}
	return ids, fatal, nil
}

// suits says whether a container in a state can be killed, paused or unpaused.
func suits(v Verb, st State) bool {
	switch v {
	case VerbKill:
		return st == StateRunning || st == StatePaused || st == StateStopping
	case VerbPause:
		return st == StateRunning
	}
	return st == StatePaused
}

// ends says whether a signal through the engine's API keeps the restart policy idle: SIGKILL and the stop signal do.
func ends(signal string, s *service) bool {
	plain := strings.TrimPrefix(strings.ToUpper(signal), "SIG")
	stop := strings.TrimPrefix(strings.ToUpper(s.conf.Config.StopSignal), "SIG")
	if stop == "" {
		stop = "TERM"
	}
	return plain == "KILL" || plain == "9" || plain == stop || stop == "TERM" && plain == "15"
}

// awaitDeath waits a moment for the end that a signal leads to; a process that catches its stop
// signal may take its time.
func (e *Engine) awaitDeath(ctx context.Context, s *service, id string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	err := e.steps.AwaitEnd(ctx, s.name, id)
	if errors.Is(err, context.DeadlineExceeded) {
		return nil
	}
	return err
}

// setMode sets the watch mode of services, or of the whole project when the command named none.
func (e *Engine) setMode(targets []*service, c Command) error {
	var back []*service
	e.mu.Lock()
	if len(c.Services) == 0 {
		e.watching.Mode = c.Mode
	}
	for _, s := range targets {
		if len(c.Services) > 0 {
			s.mode = c.Mode
		}
		if c.Mode == project.Auto && len(s.stale) > 0 {
			back = append(back, s)
		}
	}
	what := "all services"
	if len(c.Services) > 0 {
		what = strings.Join(c.Services, ", ")
	}
	now := fmt.Sprintf("watch of %s is %s", what, c.Mode)
	e.record(Record{Kind: "watch", Action: "mode", Cause: c.Cause, What: now, Text: fmt.Sprintf("%s (%s)", now, c.Cause)})
	for _, s := range back {
		if s.mode == project.Auto {
			s.offer(plan.WorkFor(s.conf, slices.Collect(maps.Keys(s.stale)), time.Now()))
		}
	}
	e.mu.Unlock()
	return nil
}

// scalable says why services cannot have so many replicas.
func (e *Engine) scalable(targets []*service, n int) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, s := range targets {
		what := fmt.Sprintf("scale %s to %d", s.name, n)
		switch {
		case n < 0 || n > project.MaxReplicas:
			return container.Failed(what, "a service may have 0 to %d replicas", project.MaxReplicas)
		case n > 1 && s.conf.Config.ContainerName != "":
			return container.Failed(what, "it has a container_name, which only one container can have")
		}
	}
	return nil
}

// withDependents adds every service that depends on one of targets, directly or through others.
func (e *Engine) withDependents(targets []*service) []*service {
	e.mu.Lock()
	defer e.mu.Unlock()
	in := map[*service]bool{}
	for _, s := range targets {
		in[s] = true
	}
	for grew := true; grew; {
		grew = false
		for _, s := range e.svcs {
			for dep := range s.conf.DependsOn {
				if d := e.svcs[dep]; d != nil && in[d] && !in[s] {
					in[s], grew = true, true
				}
			}
		}
	}
	return slices.SortedFunc(maps.Keys(in), func(a, b *service) int { return strings.Compare(a.name, b.name) })
}

// inReverse stops services, each after all that depend on it, and otherwise at the same time.
func (e *Engine) inReverse(ctx context.Context, targets []*service, c Command) error {
	if len(c.Services) == 0 {
		e.mu.Lock()
		e.phase = PhaseStopping
		e.bump()
		e.mu.Unlock()
	} else {
		e.mu.Lock()
		for _, s := range targets {
			e.openLedger(s, c.Replica, "stop")
		}
		e.mu.Unlock()
	}
	gone := map[string]chan struct{}{}
	for _, s := range targets {
		gone[s.name] = make(chan struct{})
	}
	return e.all(targets, func(s *service) error {
		defer close(gone[s.name])
		e.mu.Lock()
		// Nothing new is begun while dependents are on their way out.
		s.abort(errAborted)
		s.byHand = true
		var after []chan struct{}
		for _, o := range targets {
			if _, ok := o.conf.DependsOn[s.name]; ok {
				after = append(after, gone[o.name])
			}
		}
		e.mu.Unlock()
		for _, ch := range after {
			select {
			case <-ch:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		t := &task{verb: c.Verb, cmd: c, cause: c.Cause, done: make(chan error, 1)}
		e.mu.Lock()
		s.enqueue(t)
		e.mu.Unlock()
		return waitFor(ctx, []*task{t})
	})
}

// down stops and removes everything of the project.
func (e *Engine) down(ctx context.Context, targets []*service, c Command) error {
	stopped := e.inReverse(ctx, targets, c)
	if stopped != nil && !step.OnlyHooks(stopped) || len(c.Services) > 0 {
		return stopped
	}
	swept := sweep(ctx, e.rt, e.name, c, func(r Record) {
		e.mu.Lock()
		e.record(r)
		e.mu.Unlock()
	})
	return join(stopped, swept)
}

// WaitReady waits until the named services (none: all) are ready; it returns an error that names
// the service and the reason as soon as one of them cannot become ready any more (exited with an
// error and no restart, broken, unhealthy), and one that says what is missing when ctx ends first.
func (e *Engine) WaitReady(ctx context.Context, services ...string) error {
	var waits []string
	err := e.await(ctx, func() (bool, error) {
		if e.phase == PhaseStarting {
			return false, nil
		}
		waits = waits[:0]
		for _, name := range e.serviceNames() {
			s := e.svcs[name]
			if len(services) > 0 && !slices.Contains(services, name) {
				continue
			}
			// What cannot recover by itself is the reason, also for those that wait for it.
			if why := s.hopeless(); why != "" && (s.lane.busy == nil || s.blocked != nil) {
				if s.remedy != "" && why == s.err {
					why += "; " + s.remedy
				}
				return false, errors.New(why)
			}
			switch {
			case s.isReady():
			case len(s.waitsFor) > 0:
				waits = append(waits, fmt.Sprintf("%s (waits for %s)", name, strings.Join(s.waitsFor, ", ")))
			default:
				at := s.state.String()
				if s.doing != "" {
					at = s.doing
				}
				waits = append(waits, fmt.Sprintf("%s (%s)", name, at))
			}
		}
		return len(waits) == 0, nil
	})
	if err != nil && ctx.Err() != nil && len(waits) > 0 {
		return fmt.Errorf("not ready in time: %s; see its log, or wait longer: %w", strings.Join(waits, ", "), ctx.Err())
	}
	return err
}
