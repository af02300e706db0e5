package lane

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/compose-spec/compose-go/v2/types"

	"bulkhead/engine/command"
	"bulkhead/engine/container"
	"bulkhead/engine/plan"
	"bulkhead/engine/project"
	"bulkhead/engine/state"
	"bulkhead/engine/step"
)

// up makes a service run as the project wants it: image, containers, start. It serves up, start, rebuild and scale.
func (l *worker) up(ctx context.Context, t *Task) error {
	was := l.m.BringBack()
	w := l.q.takeWork()
	if w == nil {
		w = plan.NewWork(time.Now())
	}
	l.q.dropOwn(l.conf, w)
	pending := len(was.Stale) > 0 || was.Unbuilt
	if was.Unapplied && !l.conf.Built {
		pending = false // it is made as the file has it first, and then gets its files
	}
	if t.Verb == command.Up && !t.First && !was.ByHand && t.Cmd.Plain() && pending {
		// u applies what is pending: the same work as if the files had just been saved.
		w.Merge(plan.WorkFor(l.conf, was.Stale, time.Now()))
		w.Rebuild = w.Rebuild || was.Unbuilt || was.Unapplied
		return l.batch(ctx, &Task{Verb: Batch, Cmd: t.Cmd, Cause: t.Cause, asked: true}, w)
	}

	at := time.Now()
	if t.First {
		at = l.m.Added()
	}
	k := l.m.Change(string(t.Verb), t.Cause, nil, at)
	changed, err := l.converging(t, w, k).carryOut(ctx)
	if err != nil {
		switch {
		case errors.Is(err, ErrAborted):
			err = ErrAborted
		case errors.Is(err, context.Canceled):
			err = errEnds
		}
		l.m.Files.MarkStale(slices.Collect(maps.Keys(w.Paths))...) // they are still to be carried out
		if l.fail(err); !errors.Is(err, ErrAborted) && !errors.Is(err, errEnds) {
			l.m.Files.SetUnapplied(true)
		}
		k.End(err)
		l.awaitRecovery(k)
		return err
	}
	if t.Verb == command.Rebuild {
		l.m.Files.ClearStale(nil, true)
	}
	if t.First || was.Unapplied {
		l.catchUpMissed(ctx)
	}
	switch {
	case changed && t.Cmd.NoStart:
		k.End(nil)
	case changed:
		l.p.Go("ready of "+l.name, k.EndWhenReady)
	case t.First, t.Verb == Renew, t.Verb == command.Up && len(t.Cmd.Services) == 0:
		k.Drop() // it was so already: nothing worth a line was done
	default:
		k.End(nil)
	}
	return nil
}

// renewUsers looks again at the services that run the image which this one builds, after it was built again, and
// has those built again whose builds begin with it.
func (l *worker) renewUsers() {
	p := l.p.State.Project()
	cause := l.name + " has built its image again"
	for name, s := range l.p.State.View().Services {
		o := l.p.Lanes.Of(name)
		switch {
		case o == nil || name == l.name || !s.Settled || s.ByHand:
		case slices.ContainsFunc(s.Conf.Config.Volumes, func(v types.ServiceVolumeConfig) bool {
			m := p.Maker(v.Source)
			return v.Type == types.VolumeTypeImage && m != nil && m.Name == l.name
		}):
			o.Enqueue(NewTask(Task{Verb: Renew, Cause: cause}))
		case !s.Conf.Built:
			if m := p.Maker(s.Conf.Image); m != nil && m.Name == l.name {
				o.Enqueue(NewTask(Task{Verb: Renew, Cause: cause}))
			}
		case slices.ContainsFunc(p.Bases(s.Conf), func(b *project.Service) bool { return b.Name == l.name }):
			if o.M.Files.Automatic() {
				o.Enqueue(NewTask(Task{Verb: command.Rebuild, Cause: cause}))
			} else {
				o.M.Files.SetUnbuilt(true)
			}
		}
	}
}

// fail keeps why a service could not be brought to where it should be; the change that failed has
// recorded it. What runs, runs on.
func (l *worker) fail(err error) {
	if !errors.Is(err, ErrAborted) && !errors.Is(err, errEnds) && !errors.Is(err, context.Canceled) {
		l.m.Fail(err)
	}
}

// awaitRecovery notes when a service is ready after all whose start has failed: a busy runtime may carry it out
// later than it has time to answer.
func (l *worker) awaitRecovery(k *state.Timing) {
	if l.m.StartsLate() {
		l.p.Go("recovery of "+l.name, k.AwaitRecovery)
	}
}

// restart stops and starts a service's containers in place.
func (l *worker) restart(ctx context.Context, t *Task) error {
	k := l.m.Change("restart", t.Cause, nil, time.Now())
	l.m.BringBack()
	rs := l.m.Holders(t.Cmd.Replica)
	if len(rs) == 0 {
		// Nothing to restart in place: there is no container yet, or no more.
		t.Verb = command.Up
		_, err := l.converging(t, plan.NewWork(time.Now()), k).carryOut(ctx)
		k.End(err)
		if err != nil {
			l.fail(err)
		}
		return err
	}
	if err := l.restartAll(ctx, rs, t.stopMode(), t.Cause, k); err != nil {
		k.End(err)
		l.fail(err)
		l.awaitRecovery(k)
		return err
	}
	if !t.Cmd.Alone {
		l.restartDependents(l.name + " was restarted")
	}
	l.p.Go("ready of "+l.name, k.EndWhenReady)
	return nil
}

// restartAll restarts replicas in place, all at the same time: their programs alone where they are
// made for that, else their containers.
func (l *worker) restartAll(
	ctx context.Context, rs []state.Holder, m step.Mode, cause string, k *state.Timing,
) error {
	hold, cancel := step.Uncancelled(ctx, l.conf, m, container.Instance{})
	defer cancel()
	l.p.State.Ledgers.OpenMove(l.name, "restart")
	rs, err := l.restartPrograms(hold, rs, m, cause, k)
	if err != nil || len(rs) == 0 {
		return err
	}
	stopping := time.Now()
	if err := each(hold, rs, func(ctx context.Context, h state.Holder) error {
		return l.stop(ctx, h, m, cause, k)
	}); err != nil {
		return err
	}
	k.Add("stop", time.Since(stopping))
	u := l.unit()
	parents, err := l.waits().parents(hold, false)
	if err != nil {
		return err
	}
	return each(hold, rs, func(ctx context.Context, h state.Holder) error {
		spec := l.spec(u.Image, parents, "", "")
		spec.Replica = h.Number
		return l.p.Steps.Start(ctx, u, spec, h.Instance.ID, cause, k)
	})
}

// restartPrograms restarts the programs of those replicas that are made for that, and returns the others.
func (l *worker) restartPrograms(
	ctx context.Context, rs []state.Holder, m step.Mode, cause string, k *state.Timing,
) (others []state.Holder, err error) {
	if l.conf.Extra.Restart != project.ProcessScope {
		return rs, nil
	}
	var mu sync.Mutex
	err = each(ctx, rs, func(ctx context.Context, h state.Holder) error {
		for _, now := range l.m.Holders(h.Number) {
			h = now
		}
		how, note, ok, err := l.p.Steps.RestartProgram(ctx, l.unit(), h.Number, h.Instance, m, cause, k)
		k.Stopped(how, note)
		if !ok {
			mu.Lock()
			defer mu.Unlock()
			others = append(others, h)
		}
		return err
	})
	return others, err
}

// each calls f for all replicas at the same time, and returns all errors. What fails for one ends nothing
// of the others: a stop that is cut short would leave its container in a state that nobody knows.
func each(ctx context.Context, rs []state.Holder, f func(context.Context, state.Holder) error) error {
	var all []func(context.Context) error
	for _, r := range rs {
		all = append(all, func(ctx context.Context) error { return f(ctx, r) })
	}
	return atOnce(ctx, "replica", all)
}

// atOnce calls functions at the same time, each to its end, and returns all errors.
func atOnce(ctx context.Context, what string, all []func(context.Context) error) error {
	errs := make([]error, len(all))
	var wg sync.WaitGroup
	for i, f := range all {
		wg.Go(func() { errs[i] = container.Guard(what, func() error { return f(ctx) }) })
	}
	wg.Wait()
	return container.Join(errs...)
}

// restartDependents restarts the services that said depends_on.restart, because this one was
// replaced or restarted on purpose.
func (l *worker) restartDependents(cause string) {
	for name, o := range l.p.State.View().Services {
		// Those that join its container follow that by themselves.
		d, ok := o.Conf.DependsOn[l.name]
		if !ok || !d.Restart || o.ByHand || !o.Settled || slices.Contains(o.Conf.Parents(), l.name) {
			continue
		}
		if o := l.p.Lanes.Of(name); o != nil {
			o.Enqueue(NewTask(Task{Verb: command.Restart, Cause: cause}))
		}
	}
}

// stopAll stops a service and marks it as held down by the user.
func (l *worker) stopAll(ctx context.Context, t *Task) error {
	k := l.m.Change("stop", t.Cause, nil, time.Now())
	l.m.HoldDown(true)
	rs := l.m.Holders(t.Cmd.Replica)
	hold, cancel := step.Uncancelled(ctx, l.conf, t.stopMode(), container.Instance{})
	defer cancel()
	began := time.Now()
	err := each(hold, rs, func(ctx context.Context, h state.Holder) error {
		return l.stop(ctx, h, t.stopMode(), t.Cause, k)
	})
	if l.conf.Provided() {
		err = container.Join(err, l.withdraw(ctx, t))
	}
	k.Add("stop", time.Since(began))
	k.End(err)
	l.awaitLastWords(hold, rs)
	return err
}

// lastWordsWait is how long a stop waits for the logs of what it stopped. What is late by then is not lost: the
// next reader of the container's log finds it.
const lastWordsWait = time.Second

func (l *worker) awaitLastWords(ctx context.Context, rs []state.Holder) {
	ctx, cancel := context.WithTimeout(ctx, lastWordsWait)
	defer cancel()
	l.p.AwaitLastWords(ctx, rs)
}

// remove stops and removes a service's containers.
func (l *worker) remove(ctx context.Context, t *Task) error {
	if err := l.stopAll(ctx, t); err != nil {
		return err
	}
	all := l.m.Spare.List()
	for _, h := range l.m.Holders(0) {
		all = append(all, h.Instance)
	}
	for _, in := range all {
		if err := l.p.Steps.Remove(context.WithoutCancel(ctx), l.unit(), in, t.Cause,
			t.Cmd.Volumes); err != nil {
			return err
		}
		l.m.Spare.Drop(in.ID)
	}
	if l.m.Remove() {
		l.p.Lanes.remove(l.name)
	}
	return nil
}
