package lane

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"bulkhead/engine/command"
	"bulkhead/engine/container"
	"bulkhead/engine/filesync"
	"bulkhead/engine/plan"
	"bulkhead/engine/project"
	"bulkhead/engine/state"
	"bulkhead/engine/step"
)

// batch carries out what changed files ask of a service. Whatever does not work leaves the running
// container alone, marks the paths as stale, and is tried again with the next save.
func (l *worker) batch(ctx context.Context, t *Task, w *plan.Work) error {
	l.q.withRetries(w)
	r := &batchRun{l: l, t: t, w: w, cause: w.Cause(l.p.Dir)}
	losses := l.p.State.Losses()
	err := r.carryOut(ctx)
	if err != nil && !r.copying && ctx.Err() == nil && !errors.Is(err, ErrAborted) && !l.q.mayPass(err, losses) {
		// What is only copied needs no image, and would be copied were it saved a moment later.
		l.q.Offer(w.TakeSyncs(l.conf))
	}
	if err != nil && (!errors.Is(err, ErrAborted) || ctx.Err() == nil) {
		l.m.Files.MarkStale(slices.Collect(maps.Keys(w.Paths))...)
		l.fail(err)
		if r.k == nil {
			r.open("sync")
		}
		r.k.End(err)
	}
	switch {
	case err == nil && r.again || l.q.mayPass(err, losses):
		l.q.RetryLater(w) // last: from here on the work may be another's
	case err == nil:
		l.q.resetRetries()
	}
	return err
}

// batchRun is one batch on its way through a lane.
type batchRun struct {
	l     *worker
	t     *Task
	w     *plan.Work
	cause string
	k     *state.Timing // nil until it is known that something is to be done
	again bool          // not all was copied, and the rest may be later
	// copying: what comes before it worked
	copying bool
}

// open begins the change, or corrects what it turned out to be.
func (r *batchRun) open(action string) {
	if r.k == nil {
		r.k = r.l.m.Change(action, r.w.Cause(r.l.p.Dir), slices.Sorted(maps.Keys(r.w.Paths)), r.w.At)
	} else {
		r.k.Action(action)
	}
}

func (r *batchRun) carryOut(ctx context.Context) error {
	l, w := r.l, r.w
	l.m.Fail(nil)
	if w.Lost {
		l.rescan(ctx, w)
	}
	if l.missing() {
		// The first up came to nothing; what was saved may have mended that.
		r.open("up")
		if _, err := r.converging(command.Up).carryOut(ctx); err != nil {
			return err
		}
		l.m.Files.ClearStale(w.Paths, w.Rebuild)
		l.p.Go("ready of "+l.name, r.k.EndWhenReady)
		return nil
	}
	if w.Prepare {
		r.open("prepare")
		if err := r.converging(Batch).prepare(ctx); err != nil {
			return err
		}
		// What prepare wrote is handled now; the notices of it find nothing left to do.
		l.rescan(ctx, w)
	}
	if w.Rebuild {
		r.open("rebuild")
		changed, err := r.converging(Batch).carryOut(ctx)
		if err != nil {
			return err
		}
		if changed {
			l.m.Files.ClearStale(w.Paths, w.Rebuild)
			l.p.Go("ready of "+l.name, r.k.EndWhenReady)
			return nil
		}
		// The image is what it was, so its containers stay, and get what else was saved.
		w.Rebuild = false
		l.m.Files.ClearStale(nil, true)
	}
	return r.sync(ctx)
}

// converging is the batch as a task of a verb that makes images and containers.
func (r *batchRun) converging(v command.Verb) *convergence {
	return r.l.converging(&Task{Verb: v, Cmd: r.t.Cmd, Cause: r.cause, asked: r.t.asked}, r.w, r.k)
}

// missing says whether a service that should run has no container.
func (l *worker) missing() bool { return l.conf.Replicas > 0 && len(l.m.Holders(0)) == 0 }

// rescan compares everything that a service's rules name with what was done last, and adds what differs to the work.
func (l *worker) rescan(ctx context.Context, w *plan.Work) {
	w.Lost = false
	for _, h := range l.m.Holders(0) {
		for i, paths := range l.p.Sync.Rescan(ctx, step.Target(l.conf, h.Instance)) {
			for _, f := range paths {
				w.AddSync(i, f)
			}
		}
	}
	if !l.conf.Built {
		return
	}
	if l.p.Sync.RebuildChanged(l.conf, l.unit().Image.ID) {
		w.Rebuild = true
	}
	if l.conf.Extra.Prepare != nil && l.p.Sync.Prepares.Needs(l.conf) {
		w.Prepare = true
	}
}

// compare looks at what containers lack, by replica.
func (r *batchRun) compare(
	ctx context.Context, rs []state.Holder,
) (diffs map[int]*filesync.Diff, lacks []plan.Lack) {
	diffs = map[int]*filesync.Diff{}
	for _, h := range rs {
		d := r.l.p.Sync.Compare(ctx, step.Target(r.l.conf, h.Instance), r.w.Sync)
		diffs[h.Number] = d
		lacks = append(lacks, plan.Lack{Replica: h.Number, Seen: h.Instance, Differs: d.Differs(),
			Rules: d.Rules()})
	}
	return diffs, lacks
}

// sync copies, and then restarts or runs what the rules ask for.
func (r *batchRun) sync(ctx context.Context) error {
	l, w := r.l, r.w
	r.copying = true
	rs := l.m.Holders(0)
	if len(rs) == 0 {
		return nil // the next container gets it all when it is made
	}
	diffs, lacks := r.compare(ctx, rs)
	steps := plan.DecideFiles(l.conf, lacks, w.Restart, r.cause)
	if len(steps) == 0 {
		if r.k != nil {
			r.k.End(nil)
		}
		l.m.Files.ClearStale(w.Paths, w.Rebuild)
		return nil
	}
	r.open(steps.FilesAction())
	l.m.Lane.SetDoing("syncing")
	if len(steps.Only(plan.Sync)) > 0 {
		r.k.Copying()
	}
	began := time.Now()
	notCopied, err := r.send(ctx, rs, diffs)
	if err != nil {
		return err
	}
	defer func() { l.m.Files.MarkStale(notCopied...) }() // after what was carried out is taken off the list
	if len(steps.Only(plan.Sync)) > 0 {
		r.k.Add("copy", time.Since(began))
	}
	if len(steps.Only(plan.Restart)) > 0 {
		l.m.Lane.SetDoing("restarting")
		if err := l.restartAll(ctx, rs, r.t.stopMode(), r.cause, r.k); err != nil {
			return err
		}
		l.restartDependents(l.name + " was restarted")
		l.m.Files.ClearStale(w.Paths, w.Rebuild)
		l.p.Go("ready of "+l.name, r.k.EndWhenReady)
		return nil
	}
	for _, st := range steps.Only(plan.Exec) {
		if err := l.runRuleExec(ctx, st.Rule, rs); err != nil {
			return err
		}
	}
	l.m.Files.ClearStale(w.Paths, w.Rebuild)
	r.k.End(nil)
	return nil
}

// send brings all containers what they lack, at the same time, and returns the files that could not be copied.
// Those that lack nothing are not left out, because what could not be read for them is among those files.
func (r *batchRun) send(
	ctx context.Context, rs []state.Holder, diffs map[int]*filesync.Diff,
) (notCopied []string, err error) {
	var mu sync.Mutex
	err = each(ctx, rs, func(ctx context.Context, h state.Holder) error {
		left, err := r.l.p.Sync.Send(ctx, step.Target(r.l.conf, h.Instance), diffs[h.Number])
		paths := r.l.q.WarnLeft(left)
		mu.Lock()
		defer mu.Unlock()
		r.again = r.again || slices.ContainsFunc(left, func(l filesync.LeftOut) bool { return l.Again })
		notCopied = append(notCopied, paths...)
		return err
	})
	return notCopied, err
}

// runRuleExec runs the command of a sync+exec rule in every running replica; its output stands in the service's log.
func (l *worker) runRuleExec(ctx context.Context, rule *project.Rule, rs []state.Holder) error {
	if rule.Exec == nil {
		return nil
	}
	l.m.Lane.SetDoing("running " + strings.Join(rule.Exec.Command, " "))
	for _, h := range rs {
		if h.Instance.State != container.StateRunning {
			continue
		}
		if err := l.p.Steps.RuleExec(ctx, l.unit(), h.Instance.ID, rule); err != nil {
			return err
		}
	}
	return nil
}
