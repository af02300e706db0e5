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

// batch carries out what changed files ask of a service. Whatever does not work leaves the running container alone, marks the
// paths as stale, and is tried again with the next save.
func (l *lane) batch(ctx context.Context, t *task, w *plan.Work) error {
	e, s := l.e, l.s
	cause := w.Cause(e.dir)
	var k *change
	open := func(action string) {
		if k == nil {
			k = l.begin(action, w.Cause(e.dir), slices.Sorted(maps.Keys(w.Paths)), w.At)
		} else {
			k.action(action)
		}
	}
	give := func(err error) error {
		if err == nil || errors.Is(err, errAborted) && ctx.Err() != nil {
			return err
		}
		e.mu.Lock()
		maps.Copy(s.stale, w.Paths)
		e.mu.Unlock()
		l.fail(err)
		if k == nil {
			open("sync")
		}
		k.end(err)
		return err
	}
	e.mu.Lock()
	s.err, s.remedy = "", ""
	e.mu.Unlock()
	if w.Lost {
		l.rescan(ctx, w)
	}
	e.mu.Lock()
	missing := !slices.ContainsFunc(s.sorted(), func(r *replica) bool { return r.inst.ID != "" }) && s.conf.Replicas > 0
	e.mu.Unlock()
	if missing {
		// The first up came to nothing; what was saved may have mended that.
		open("up")
		_, err := l.converge(ctx, &task{verb: VerbUp, cmd: t.cmd, cause: cause}, w, k)
		if err != nil {
			return give(err)
		}
		l.clearStale(w)
		k.endReady()
		return nil
	}
	if w.Prepare {
		open("prepare")
		if err := l.prepare(ctx, w, k, cause, true); err != nil {
			return give(err)
		}
		// What prepare wrote is handled now; the notices of it find nothing left to do.
		l.rescan(ctx, w)
	}
	if w.Rebuild {
		open("rebuild")
		changed, err := l.converge(ctx, &task{verb: verbBatch, cmd: t.cmd, cause: cause, asked: t.asked}, w, k)
		if err != nil {
			return give(err)
		}
		if changed {
			l.clearStale(w)
			k.endReady()
			return nil
		}
		// The image is what it was, so its containers stay, and get what else was saved.
		w.Rebuild = false
		l.clearStale(&plan.Work{Rebuild: true})
	}
	return give(l.syncWork(ctx, w, t.stopMode(), cause, open, func() *change { return k }))
}

// rescan compares everything that a service's rules name with what was done last, and adds what differs to the work.
func (l *lane) rescan(ctx context.Context, w *plan.Work) {
	e, s := l.e, l.s
	w.Lost = false
	e.mu.Lock()
	rs := s.held(0)
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

// syncWork copies, and then restarts or runs what the rules ask for.
func (l *lane) syncWork(ctx context.Context, w *plan.Work, m step.Mode, cause string, open func(string), k func() *change) error {
	e, s := l.e, l.s
	e.mu.Lock()
	rs := s.held(0)
	e.mu.Unlock()
	if len(rs) == 0 {
		return nil // the next container gets it all when it is made
	}
	restart, execs := w.Restart, map[int]bool{}
	diffs, any := map[*replica]*filesync.Diff{}, false
	for _, h := range rs {
		d := e.sync.Compare(ctx, step.Target(s.conf, h.in), w.Sync)
		diffs[h.replica] = d
		any = any || d.Differs()
		for _, i := range d.Rules() {
			restart = restart || s.conf.Rules[i].Action == project.SyncRestart
			if s.conf.Rules[i].Action == project.SyncExec {
				execs[i] = true
			}
		}
	}
	switch {
	case !any && !restart && len(execs) == 0:
		if k() != nil {
			k().end(nil)
		}
		l.clearStale(w)
		return nil
	case !any && restart:
		open("restart")
	case restart:
		open("sync+restart")
	case len(execs) > 0:
		open("sync+exec")
	default:
		open("sync")
	}
	l.show("syncing")
	began := time.Now()
	var mu sync.Mutex
	var notCopied []string
	if err := e.each(ctx, rs, func(ctx context.Context, h held) error {
		left, err := e.sync.Send(ctx, step.Target(s.conf, h.in), diffs[h.replica])
		paths := l.warnLeft(left)
		mu.Lock()
		defer mu.Unlock()
		notCopied = append(notCopied, paths...)
		return err
	}); err != nil {
		return err
	}
	defer func() { l.mark(notCopied) }() // after what was carried out is taken off the list
	if any {
		k().Add("copy", time.Since(began))
	}
	if restart {
		l.show("restarting")
		err := l.restartAll(ctx, rs, m, cause, k())
		if err != nil {
			return err
		}
		l.clearStale(w)
		k().endReady()
		return nil
	}
	for _, i := range slices.Sorted(maps.Keys(execs)) {
		if err := l.runRuleExec(ctx, &s.conf.Rules[i], rs); err != nil {
			return err
		}
	}
	l.clearStale(w)
	k().end(nil)
	return nil
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
func (l *lane) runRuleExec(ctx context.Context, rule *project.Rule, rs []held) error {
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
			return say(err, "sync+exec in %s", s.name)
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
	e.settle(s)
}
