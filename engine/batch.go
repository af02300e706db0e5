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

// laneBatch carries out what changed files ask of a service. Whatever does not work leaves the running container alone, marks the
// paths as stale, and is tried again with the next save.
func (e *Engine) laneBatch(ctx context.Context, s *service, t *task, w *plan.Work) error {
	cause := w.Cause(e.dir)
	var k *change
	open := func(action string) {
		if k == nil {
			k = e.begin(s, action, w.Cause(e.dir), slices.Sorted(maps.Keys(w.Paths)), w.At)
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
		e.fail(s, err)
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
		e.rescan(ctx, s, w)
	}
	e.mu.Lock()
	missing := !slices.ContainsFunc(s.sorted(), func(r *replica) bool { return r.inst.ID != "" }) && s.conf.Replicas > 0
	e.mu.Unlock()
	if missing {
		// The first up came to nothing; what was saved may have mended that.
		open("up")
		_, err := e.converge(ctx, s, &task{verb: VerbUp, cmd: t.cmd, cause: cause}, w, k)
		if err != nil {
			return give(err)
		}
		e.freshen(s, w)
		k.endReady()
		return nil
	}
	if w.Prepare {
		open("prepare")
		if err := e.prepare(ctx, s, w, k, cause, true); err != nil {
			return give(err)
		}
		// What prepare wrote is handled now; the notices of it find nothing left to do.
		e.rescan(ctx, s, w)
	}
	if w.Rebuild {
		open("rebuild")
		changed, err := e.converge(ctx, s, &task{verb: verbBatch, cmd: t.cmd, cause: cause, asked: t.asked}, w, k)
		if err != nil {
			return give(err)
		}
		if changed {
			e.freshen(s, w)
			k.endReady()
			return nil
		}
		// The image is what it was, so its containers stay, and get what else was saved.
		w.Rebuild = false
		e.freshen(s, &plan.Work{Rebuild: true})
	}
	return give(e.syncWork(ctx, s, w, t.stopMode(), cause, open, func() *change { return k }))
}

// rescan compares everything that a service's rules name with what was done last, and adds what differs to the work.
func (e *Engine) rescan(ctx context.Context, s *service, w *plan.Work) {
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
func (e *Engine) syncWork(ctx context.Context, s *service, w *plan.Work, m step.Mode, cause string, open func(string), k func() *change) error {
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
		e.freshen(s, w)
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
	e.doing(s, "syncing")
	began := time.Now()
	var mu sync.Mutex
	var notCopied []string
	if err := e.each(ctx, rs, func(ctx context.Context, h held) error {
		left, err := e.sync.Send(ctx, step.Target(s.conf, h.in), diffs[h.replica])
		paths := e.warnLeft(s, left)
		mu.Lock()
		defer mu.Unlock()
		notCopied = append(notCopied, paths...)
		return err
	}); err != nil {
		return err
	}
	defer func() { e.mark(s, notCopied) }() // after what was carried out is taken off the list
	if any {
		k().Add("copy", time.Since(began))
	}
	if restart {
		e.doing(s, "restarting")
		err := e.restartAll(ctx, s, rs, m, cause, k())
		if err != nil {
			return err
		}
		e.freshen(s, w)
		k().endReady()
		return nil
	}
	for _, i := range slices.Sorted(maps.Keys(execs)) {
		if err := e.runRuleExec(ctx, s, &s.conf.Rules[i], rs); err != nil {
			return err
		}
	}
	e.freshen(s, w)
	k().end(nil)
	return nil
}

// mark notes that the running code lacks what paths hold.
func (e *Engine) mark(s *service, paths []string) {
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
func (e *Engine) runRuleExec(ctx context.Context, s *service, rule *project.Rule, rs []held) error {
	if rule.Exec == nil {
		return nil
	}
	e.doing(s, "running "+strings.Join(rule.Exec.Command, " "))
	for _, h := range rs {
		if h.in.State != StateRunning {
			continue
		}
		out := e.lineWriter(s, h.in.ID)
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

// freshen takes paths that are carried out off the list of what the running code does not have.
func (e *Engine) freshen(s *service, w *plan.Work) {
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
