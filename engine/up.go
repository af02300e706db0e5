package engine

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"bulkhead/engine/container"
	"bulkhead/engine/plan"
	"bulkhead/engine/project"
	"bulkhead/engine/step"
)

// up makes a service run as the project wants it: image, containers, start. It serves up, start, rebuild and scale.
func (l *lane) up(ctx context.Context, t *task) error {
	e, s := l.e, l.s
	e.mu.Lock()
	wasByHand := s.byHand
	s.byHand = false
	s.err, s.remedy = "", ""
	w := s.takeWork()
	stale, unbuilt := slices.Sorted(maps.Keys(s.stale)), s.unbuilt
	e.mu.Unlock()
	if w == nil {
		w = plan.NewWork(time.Now())
	}
	if t.verb == VerbUp && !t.first && !wasByHand && (len(stale) > 0 || unbuilt) {
		// u applies what is pending: the same work as if the files had just been saved.
		w.Merge(plan.WorkFor(s.conf, stale, time.Now()))
		w.Rebuild = w.Rebuild || unbuilt
		return l.batch(ctx, &task{verb: verbBatch, cmd: t.cmd, cause: t.cause, asked: true}, w)
	}

	at := time.Now()
	if t.first {
		at = e.began
	}
	k := l.begin(string(t.verb), t.cause, nil, at)
	changed, err := l.converge(ctx, t, w, k)
	if err != nil {
		switch {
		case errors.Is(err, errAborted):
			err = errAborted
		case errors.Is(err, context.Canceled):
			err = errEnds
		}
		e.mu.Lock()
		maps.Copy(s.stale, w.Paths) // they are still to be carried out
		e.mu.Unlock()
		l.fail(err)
		k.end(err)
		return err
	}
	if t.verb == VerbRebuild {
		e.mu.Lock()
		clear(s.stale)
		e.mu.Unlock()
	}
	if t.first {
		l.catchUpMissed(ctx)
	}
	switch {
	case changed:
		k.endReady()
	case t.first, t.verb == verbRenew, t.verb == VerbUp && len(t.cmd.Services) == 0:
		k.drop() // it was so already: nothing worth a line was done
	default:
		k.end(nil)
	}
	return nil
}

// converge brings image and containers of a service to what is wanted.
func (l *lane) converge(ctx context.Context, t *task, w *plan.Work, k *change) (changed bool, err error) {
	e, s := l.e, l.s
	why := ""
	switch {
	case t.verb == VerbRebuild:
		if !s.conf.Built {
			return false, container.Failed("rebuild "+s.name, "it has no build: in the Compose file, so there is nothing to build")
		}
		why = t.cause
	case w.Rebuild:
		why = w.Cause(e.dir)
	}
	if w.Prepare || t.first || t.verb == VerbRebuild {
		if err := l.prepare(ctx, w, k, t.cause, w.Prepare || t.verb == VerbRebuild); err != nil {
			return false, err
		}
	}
	parents, err := l.parents(ctx, t.verb != verbBatch)
	if err != nil {
		return false, err
	}
	wanted, seen, err := l.compare(parents)
	if err != nil {
		return false, err
	}
	wanted.Recreate = t.first && e.opts.Recreate
	img, buildWhy, release, err := e.images.provide(ctx, s, t, w, k, why, len(seen.Instances) == 0)
	defer release()
	if err != nil {
		return false, err
	}
	wanted.Image = img
	if buildWhy != "" {
		defer e.renew(s)
	}
	e.mu.Lock()
	s.image = img
	e.mu.Unlock()
	ids, err := l.ensureResources(ctx, t.first)
	if err != nil {
		return false, err
	}
	maps.Copy(wanted.Networks, ids)

	steps := plan.Decide(wanted, seen)
	changed, err = l.walk(ctx, t, steps, *img, wanted.Content, parents, k)
	if err == nil && changed && buildWhy != "" {
		e.launch("old images", func(ctx context.Context) error { e.images.clean(ctx); return nil })
	}
	return changed, err
}

// compare gathers what is wanted of a service and what is seen of it.
func (l *lane) compare(parents map[string]string) (plan.Want, plan.Seen, error) {
	wanted, err := wantOf(l.e.project(), l.s, parents)
	if err != nil {
		return wanted, plan.Seen{}, err
	}
	l.e.mu.Lock()
	defer l.e.mu.Unlock()
	seen := plan.Seen{Completed: l.e.journal.Completed()}
	wanted.Joined, wanted.JoinedWhy = l.e.joinedLocked(l.s)
	for _, r := range l.s.sorted() {
		if r.inst.ID != "" {
			seen.Instances = append(seen.Instances, r.inst)
		}
	}
	seen.Instances = append(seen.Instances, l.s.extra...)
	return wanted, seen, nil
}

// walk is the steps of one service on their way. Containers are made before their dependencies are
// ready, so that only the start is left to wait for.
type walk struct {
	l       *lane
	t       *task
	k       *change
	u       step.Service
	base    CreateSpec
	starts  map[int]func(context.Context) error // by replica
	swaps   map[int]func(context.Context) error
	changed bool
}

func (l *lane) newWalk(t *task, img Image, content string, parents map[string]string, k *change) (*walk, error) {
	hash, err := project.ConfigHash(l.s.conf, parents)
	if err != nil {
		return nil, err
	}
	return &walk{
		l: l, t: t, k: k, u: step.Service{Conf: l.s.conf, Image: img},
		base:   CreateSpec{App: App(l.e.project()), Service: Wanted(l.s.conf), Image: img, Parents: parents, Content: content, Hash: hash},
		starts: map[int]func(context.Context) error{}, swaps: map[int]func(context.Context) error{},
	}, nil
}

func (w *walk) spec(n int) CreateSpec {
	one := w.base
	one.Replica = n
	return one
}

// begin does what needs nobody else, and notes what is left of a step.
func (w *walk) begin(ctx context.Context, st plan.Step) error {
	e, n, cause := w.l.e, st.Replica, w.t.cause
	if st.Op != plan.Remove && st.Seen.ID != "" && !w.l.holds(st.Seen.ID) {
		// Of several containers for this number it is the one that stays.
		w.l.takeExtra(st.Seen)
	}
	switch st.Op {
	case plan.Create:
		var id string
		if err := timed(w.k, "create", func() (err error) { id, err = e.steps.Create(ctx, w.u, w.spec(n), cause); return err }); err != nil {
			return err
		}
		w.starts[n] = func(ctx context.Context) error { return e.steps.Start(ctx, w.u, w.spec(n), id, cause, w.k) }
	case plan.Recreate:
		w.swaps[n] = func(ctx context.Context) error {
			return w.l.swap(ctx, st.Seen, w.spec(n), w.t.stopMode(), cause+reasonSuffix(st.Reason), w.k)
		}
	case plan.Start:
		w.starts[n] = func(ctx context.Context) error {
			if err := e.steps.CatchUp(ctx, w.u, step.Target(w.u.Conf, st.Seen)); err != nil {
				return err
			}
			return e.steps.Start(ctx, w.u, w.spec(n), st.Seen.ID, cause, w.k)
		}
	case plan.Restart:
		w.starts[n] = func(ctx context.Context) error { return e.restartJoined(ctx, w.u, w.spec(n), st.Seen, st.Reason, w.k) }
	case plan.Keep:
		if e.journal.Unhooked(st.Seen.ID) && st.Seen.State == StateRunning {
			w.starts[n] = func(ctx context.Context) error { return e.steps.PostStart(ctx, w.u, st.Seen.ID) }
		}
	case plan.Unpause:
		w.starts[n] = func(ctx context.Context) error { return e.steps.Unpause(ctx, w.u, st.Seen.ID, cause) }
	case plan.Remove:
		if err := e.steps.Remove(context.WithoutCancel(ctx), w.u, st.Seen, st.Reason, false); err != nil {
			return err
		}
		w.l.dropExtra(st.Seen.ID)
		w.changed = true
	}
	return nil
}

// finish waits for whom the service needs, and does what is left. Replicas are replaced one after
// the other, so that the others serve meanwhile; all else starts at once.
func (w *walk) finish(ctx context.Context) error {
	if len(w.starts)+len(w.swaps) == 0 {
		return nil
	}
	// A running service whose files changed is replaced whatever its dependencies are at.
	if w.t.verb != verbBatch && w.t.verb != VerbRebuild || len(w.starts) > 0 {
		if err := w.l.awaitDependencies(ctx); err != nil {
			return err
		}
	}
	if err := w.l.awaitNamespaces(ctx); err != nil {
		return err
	}
	hold, cancel := step.Uncancelled(ctx, w.u.Conf, w.t.stopMode(), Instance{})
	defer cancel()
	w.changed = true
	for _, n := range slices.Sorted(maps.Keys(w.swaps)) {
		if err := w.swaps[n](hold); err != nil {
			return err
		}
	}
	g, hold := errgroup.WithContext(hold)
	for _, f := range w.starts {
		g.Go(func() error { return guarded("start of "+w.u.Conf.Name, func() error { return f(hold) }) })
	}
	return g.Wait()
}

// walk carries out the steps of one service.
func (l *lane) walk(ctx context.Context, t *task, steps plan.Plan, img Image, content string, parents map[string]string, k *change) (changed bool, err error) {
	w, err := l.newWalk(t, img, content, parents, k)
	if err != nil {
		return false, err
	}
	for _, st := range steps {
		if err := w.begin(ctx, st); err != nil {
			return w.changed, err
		}
	}
	if err := l.e.restoreNames(ctx, w.u, steps, w.spec); err != nil {
		return w.changed, err
	}
	err = w.finish(ctx)
	return w.changed, err
}

func reasonSuffix(reason string) string {
	if reason == "" || reason == "image changed" {
		return ""
	}
	return " (" + reason + ")"
}

// timed runs a stage of a change that may be nil.
func timed(k *change, name string, f func() error) error {
	if k == nil {
		return f()
	}
	return k.timed(name, f)
}

// fail keeps why a service could not be brought to where it should be; the change that failed has
// recorded it. What runs, runs on.
func (l *lane) fail(err error) {
	e, s := l.e, l.s
	if errors.Is(err, errAborted) || errors.Is(err, errEnds) || errors.Is(err, context.Canceled) {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	text, remedy := container.Explain(err)
	s.err, s.remedy = firstOf(text), remedy
	e.updateState(s)
}

// wantOf gathers what the project asks of a service.
func wantOf(p *project.Project, s *service, parents map[string]string) (plan.Want, error) {
	hash, err := project.ConfigHash(s.conf, parents)
	if err != nil {
		return plan.Want{}, err
	}
	w := plan.Want{Name: s.name, Replicas: s.conf.Replicas, Hash: hash, Restarts: s.conf.Restarts()}
	w.Content = project.ContentHash(p, s.conf)
	w.Networks = map[string]string{}
	if s.conf.Config.NetworkMode == "" {
		for key := range s.conf.Config.Networks {
			if n, ok := p.Networks[key]; ok {
				w.Networks[n.Name] = ""
			}
		}
	}
	for _, v := range s.conf.Config.Volumes {
		if vol, ok := p.Volumes[v.Source]; ok && v.Type == "volume" {
			w.Volumes = append(w.Volumes, vol.Name)
		}
	}
	for _, o := range p.Services {
		if d, ok := o.DependsOn[s.name]; ok && d.Condition == "service_completed_successfully" {
			w.OneShot = true
		}
	}
	return w, nil
}

// restart stops and starts a service's containers in place.
func (l *lane) restart(ctx context.Context, t *task) error {
	e, s := l.e, l.s
	k := l.begin("restart", t.cause, nil, time.Now())
	e.mu.Lock()
	s.byHand, s.err, s.remedy = false, "", ""
	rs := s.replicaRefs(t.cmd.Replica)
	e.mu.Unlock()
	if len(rs) == 0 {
		// Nothing to restart in place: there is no container yet, or no more.
		t.verb = VerbUp
		_, err := l.converge(ctx, t, plan.NewWork(time.Now()), k)
		k.end(err)
		if err != nil {
			l.fail(err)
		}
		return err
	}
	err := l.restartAll(ctx, rs, t.stopMode(), t.cause, k)
	if err != nil {
		k.end(err)
		l.fail(err)
		return err
	}
	k.endReady()
	return nil
}

// restartAll restarts replicas in place, all at the same time, and afterwards the services that
// asked for it with depends_on.restart.
func (l *lane) restartAll(ctx context.Context, rs []replicaRef, m step.Mode, cause string, k *change) error {
	e, s := l.e, l.s
	hold, cancel := step.Uncancelled(ctx, s.conf, m, Instance{})
	defer cancel()
	stopping := time.Now()
	if err := e.each(hold, rs, func(ctx context.Context, h replicaRef) error {
		return l.stop(ctx, h, m, cause, k)
	}); err != nil {
		return err
	}
	timedSince(k, "stop", stopping)
	u := l.unit()
	parents, err := l.parents(hold, false)
	if err != nil {
		return err
	}
	if err := e.each(hold, rs, func(ctx context.Context, h replicaRef) error {
		return e.steps.Start(ctx, u, CreateSpec{App: App(e.project()), Service: Wanted(s.conf), Replica: h.number, Image: u.Image, Parents: parents}, h.in.ID, cause, k)
	}); err != nil {
		return err
	}
	e.restartDependents(s, s.name+" was restarted")
	return nil
}

func timedSince(k *change, name string, t time.Time) {
	if k != nil {
		k.Add(name, time.Since(t))
	}
}

// replicaRef is a replica with its container as it was when the work on it began.
type replicaRef struct {
	*replica
	in Instance
}

// replicaRefs lists the replicas that have a container; n is one of them, 0 all. Callers hold mu.
func (s *service) replicaRefs(n int) []replicaRef {
	var out []replicaRef
	for _, r := range s.sorted() {
		if r.inst.ID != "" && (n == 0 || n == r.number) {
			out = append(out, replicaRef{r, r.inst})
		}
	}
	return out
}

// each calls f for all replicas at the same time.
func (e *Engine) each(ctx context.Context, rs []replicaRef, f func(context.Context, replicaRef) error) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, r := range rs {
		g.Go(func() error { return guarded("replica", func() error { return f(ctx, r) }) })
	}
	return g.Wait()
}

// restartDependents restarts the services that said depends_on.restart, because s was replaced or restarted on purpose.
func (e *Engine) restartDependents(s *service, cause string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, o := range e.svcs {
		// Those that join its container follow that by themselves.
		if d, ok := o.conf.DependsOn[s.name]; ok && d.Restart && !o.byHand && o.settled && !slices.Contains(parentNames(o.conf), s.name) {
			o.enqueue(&task{verb: VerbRestart, cause: cause, done: make(chan error, 1)})
		}
	}
}

// stopAll stops a service and marks it as held down by the user.
func (l *lane) stopAll(ctx context.Context, t *task) error {
	e, s := l.e, l.s
	k := l.begin("stop", t.cause, nil, time.Now())
	e.mu.Lock()
	rs := s.replicaRefs(t.cmd.Replica)
	s.byHand = true
	e.mu.Unlock()
	hold, cancel := step.Uncancelled(ctx, s.conf, t.stopMode(), Instance{})
	defer cancel()
	began := time.Now()
	err := e.each(hold, rs, func(ctx context.Context, h replicaRef) error { return l.stop(ctx, h, t.stopMode(), t.cause, k) })
	k.Add("stop", time.Since(began))
	k.end(err)
	e.awaitLastWords(hold, rs)
	return err
}

// remove stops and removes a service's containers.
func (l *lane) remove(ctx context.Context, t *task) error {
	e, s := l.e, l.s
	if err := l.stopAll(ctx, t); err != nil {
		return err
	}
	e.mu.Lock()
	rs := s.replicaRefs(0)
	e.mu.Unlock()
	for _, h := range rs {
		if err := e.steps.Remove(context.WithoutCancel(ctx), l.unit(), h.in, t.cause, t.cmd.Volumes); err != nil {
			return err
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if s.leaving {
		s.gone = true
		delete(e.svcs, s.name)
		e.bump()
	}
	return nil
}
