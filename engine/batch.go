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
	"bulkhead/engine/filesync"
	"bulkhead/engine/plan"
	"bulkhead/engine/project"
	"bulkhead/engine/step"
)

// batch carries out what changed files ask of a service. Whatever does not work leaves the running
// container alone, marks the paths as stale, and is tried again with the next save.
func (l *lane) batch(ctx context.Context, t *task, w *plan.Work) error {
	r := &batchRun{l: l, t: t, w: w, cause: w.Cause(l.e.dir)}
	err := r.carryOut(ctx)
	if err == nil || errors.Is(err, errAborted) && ctx.Err() != nil {
		return err
	}
	l.mark(slices.Collect(maps.Keys(w.Paths)))
	l.fail(err)
	if r.k == nil {
		r.open("sync")
	}
	r.k.end(err)
	return err
}

// batchRun is one batch on its way through a lane.
type batchRun struct {
	l     *lane
	t     *task
	w     *plan.Work
	cause string
	k     *change // nil until it is known that something is to be done
}

// open begins the change, or corrects what it turned out to be.
func (r *batchRun) open(action string) {
	if r.k == nil {
		r.k = r.l.begin(action, r.w.Cause(r.l.e.dir), slices.Sorted(maps.Keys(r.w.Paths)), r.w.At)
	} else {
		r.k.action(action)
	}
}

func (r *batchRun) carryOut(ctx context.Context) error {
	l, w := r.l, r.w
	l.e.mu.Lock()
	l.s.err, l.s.remedy = "", ""
	l.e.mu.Unlock()
	if w.Lost {
		l.rescan(ctx, w)
	}
	if l.missing() {
		// The first up came to nothing; what was saved may have mended that.
		r.open("up")
		if _, err := l.converge(ctx, &task{verb: VerbUp, cmd: r.t.cmd, cause: r.cause}, w, r.k); err != nil {
			return err
		}
		l.clearStale(w)
		r.k.endReady()
		return nil
	}
	if w.Prepare {
		r.open("prepare")
		if err := l.prepare(ctx, w, r.k, r.cause, true); err != nil {
			return err
		}
		// What prepare wrote is handled now; the notices of it find nothing left to do.
		l.rescan(ctx, w)
	}
	if w.Rebuild {
		r.open("rebuild")
		changed, err := l.converge(ctx, &task{verb: verbBatch, cmd: r.t.cmd, cause: r.cause, asked: r.t.asked}, w, r.k)
		if err != nil {
			return err
		}
		if changed {
			l.clearStale(w)
			r.k.endReady()
			return nil
		}
		// The image is what it was, so its containers stay, and get what else was saved.
		w.Rebuild = false
		l.clearStale(&plan.Work{Rebuild: true})
	}
	return r.sync(ctx)
}

// missing says whether a service that should run has no container.
func (l *lane) missing() bool {
	l.e.mu.Lock()
	defer l.e.mu.Unlock()
	return l.s.conf.Replicas > 0 && !slices.ContainsFunc(l.s.sorted(), func(r *replica) bool { return r.inst.ID != "" })
}

// rescan compares everything that a service's rules name with what was done last, and adds what differs to the work.
func (l *lane) rescan(ctx context.Context, w *plan.Work) {
	e, s := l.e, l.s
	w.Lost = false
	e.mu.Lock()
	rs := s.replicaRefs(0)
	imageID := ""
	if s.image != nil {
		imageID = s.image.ID
	}
	e.mu.Unlock()
	for _, h := range rs {
		for i, paths := range e.sync.Rescan(ctx, step.Target(s.conf, h.in)) {
			for _, f := range paths {
				w.AddSync(i, f)
			}
		}
	}
	if !s.conf.Built {
		return
	}
	if e.sync.RebuildChanged(s.conf, imageID) {
		w.Rebuild = true
	}
	if pr := s.conf.Extra.Prepare; pr != nil && e.sync.Prepared(s.name) != filesync.PrepareFingerprint(pr) {
		w.Prepare = true
	}
}

// syncPlan is what the containers of a service lack of the files that changed, and what follows from it.
type syncPlan struct {
	diffs   map[*replica]*filesync.Diff
	differs bool
	restart bool
	execs   []int // indexes of the rules whose command is to run
}

// compare looks at what containers lack.
func (r *batchRun) compare(ctx context.Context, rs []replicaRef) syncPlan {
	conf := r.l.s.conf
	p := syncPlan{diffs: map[*replica]*filesync.Diff{}, restart: r.w.Restart}
	execs := map[int]bool{}
	for _, h := range rs {
		d := r.l.e.sync.Compare(ctx, step.Target(conf, h.in), r.w.Sync)
		p.diffs[h.replica] = d
		p.differs = p.differs || d.Differs()
		for _, i := range d.Rules() {
			p.restart = p.restart || conf.Rules[i].Action == project.SyncRestart
			if conf.Rules[i].Action == project.SyncExec {
				execs[i] = true
			}
		}
	}
	p.execs = slices.Sorted(maps.Keys(execs))
	return p
}

// action names what is going to be done, "" for nothing.
func (p syncPlan) action() string {
	switch {
	case !p.differs && !p.restart && len(p.execs) == 0:
		return ""
	case !p.differs && p.restart:
		return "restart"
	case p.restart:
		return "sync+restart"
	case len(p.execs) > 0:
		return "sync+exec"
	}
	return "sync"
}

// sync copies, and then restarts or runs what the rules ask for.
func (r *batchRun) sync(ctx context.Context) error {
	l, w := r.l, r.w
	l.e.mu.Lock()
	rs := l.s.replicaRefs(0)
	l.e.mu.Unlock()
	if len(rs) == 0 {
		return nil // the next container gets it all when it is made
	}
	p := r.compare(ctx, rs)
	action := p.action()
	if action == "" {
		if r.k != nil {
			r.k.end(nil)
		}
		l.clearStale(w)
		return nil
	}
	r.open(action)
	l.show("syncing")
	began := time.Now()
	notCopied, err := r.send(ctx, rs, p)
	if err != nil {
		return err
	}
	defer func() { l.mark(notCopied) }() // after what was carried out is taken off the list
	if p.differs {
		r.k.Add("copy", time.Since(began))
	}
	if p.restart {
		l.show("restarting")
		if err := l.restartAll(ctx, rs, r.t.stopMode(), r.cause, r.k); err != nil {
			return err
		}
		l.clearStale(w)
		r.k.endReady()
		return nil
	}
	for _, i := range p.execs {
		if err := l.runRuleExec(ctx, &l.s.conf.Rules[i], rs); err != nil {
			return err
		}
	}
	l.clearStale(w)
	r.k.end(nil)
	return nil
}

// send brings all containers what they lack, at the same time, and returns the files that could not be copied.
func (r *batchRun) send(ctx context.Context, rs []replicaRef, p syncPlan) (notCopied []string, err error) {
	var mu sync.Mutex
	err = r.l.e.each(ctx, rs, func(ctx context.Context, h replicaRef) error {
		left, err := r.l.e.sync.Send(ctx, step.Target(r.l.s.conf, h.in), p.diffs[h.replica])
		paths := r.l.warnLeft(left)
		mu.Lock()
		defer mu.Unlock()
		notCopied = append(notCopied, paths...)
		return err
	})
	return notCopied, err
}

// mark notes that the running code lacks what paths hold.
func (l *lane) mark(paths []string) {
	e, s := l.e, l.s
	if len(paths) == 0 {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, p := range paths {
		s.stale[p] = struct{}{}
	}
	e.bump()
}

// runRuleExec runs the command of a sync+exec rule in every running replica; its output stands in the service's log.
func (l *lane) runRuleExec(ctx context.Context, rule *project.Rule, rs []replicaRef) error {
	e, s := l.e, l.s
	if rule.Exec == nil {
		return nil
	}
	l.show("running " + strings.Join(rule.Exec.Command, " "))
	for _, h := range rs {
		if h.in.State != StateRunning {
			continue
		}
		out := l.lineWriter(h.in.ID)
		code, err := e.rt.Exec(ctx, h.in.ID, ExecOptions{Cmd: rule.Exec.Command, User: rule.Exec.User, Dir: rule.Exec.WorkingDir, Privileged: rule.Exec.Privileged,
			Env: step.Environ(rule.Exec.Environment), Stdout: out, Stderr: out})
		out.Flush()
		if err != nil {
			return wrapErr(err, "sync+exec in %s", s.name)
		}
		if code != 0 {
			return container.WithRemedy(fmt.Errorf("sync+exec in %s: %q exited with %d", s.name, strings.Join(rule.Exec.Command, " "), code), "its output stands in the log")
		}
	}
	return nil
}

// clearStale takes paths that are carried out off the list of what the running code does not have.
func (l *lane) clearStale(w *plan.Work) {
	e, s := l.e, l.s
	e.mu.Lock()
	defer e.mu.Unlock()
	for p := range w.Paths {
		delete(s.stale, p)
	}
	if w.Rebuild {
		clear(s.stale)
	}
	s.err, s.remedy = "", ""
	e.updateState(s)
}
