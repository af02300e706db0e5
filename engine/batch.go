package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"bulkhead/engine/project"
)

// workFor says what a set of changed paths asks of one service: which of its rules match, and whether its prepare must run.
// It reads nothing but the rules.
func (e *Engine) workFor(s *service, paths []string) *work {
	w := newWork(time.Now())
	for _, p := range paths {
		if pr := s.conf.Extra.Prepare; pr != nil && under(p, pr.Watch) {
			w.prepare = true
			w.paths[p] = struct{}{}
		}
		for i := range s.conf.Rules {
			r := &s.conf.Rules[i]
			if !matches(s.conf, r, p) {
				continue
			}
			switch {
			case r.Action == project.Rebuild:
				w.rebuild = true
			case r.Action == project.Restart:
				w.restart = true
			case bound(s.conf, p):
				// The file is in the container already; what is left of the action is the restart or the command.
				switch r.Action {
				case project.SyncRestart:
					w.restart = true
				case project.SyncExec:
					w.addSync(i, p)
				default:
					continue
				}
			default:
				w.addSync(i, p)
			}
			w.paths[p] = struct{}{}
		}
	}
	return w
}

// matches says whether a changed path is a rule's. What a bind mount brings into the container anyway does not make the default rule
// rebuild; the Dockerfile does all the same.
func matches(conf *project.Service, r *project.Rule, path string) bool {
	if !r.Match(path) {
		return false
	}
	return !r.Default || filepath.Base(path) == filepath.Base(dockerfile(conf)) || !bound(conf, path)
}

// bound says whether a path is in the container through a bind mount.
func bound(conf *project.Service, path string) bool {
	for _, v := range conf.Config.Volumes {
		if v.Type == "bind" && under(path, []string{v.Source}) {
			return true
		}
	}
	return false
}

func (w *work) addSync(rule int, path string) {
	if w.sync[rule] == nil {
		w.sync[rule] = map[string]struct{}{}
	}
	w.sync[rule][path] = struct{}{}
}

// under says whether a path is one of roots, or lies below one.
func under(path string, roots []string) bool {
	for _, r := range roots {
		if path == r || strings.HasPrefix(path, strings.TrimSuffix(r, string(os.PathSeparator))+string(os.PathSeparator)) {
			return true
		}
	}
	return false
}

// laneBatch carries out what changed files ask of a service. Whatever does not work leaves the running container alone, marks the
// paths as stale, and is tried again with the next save.
func (e *Engine) laneBatch(ctx context.Context, s *service, t *task, w *work) error {
	cause := w.cause(e.dir)
	var k *change
	open := func(action string) {
		if k == nil {
			k = e.begin(s, action, w.cause(e.dir), slices.Sorted(maps.Keys(w.paths)), w.at)
		} else {
			k.action(action)
		}
	}
	give := func(err error) error {
		if err == nil || errors.Is(err, errAborted) && ctx.Err() != nil {
			return err
		}
		e.mu.Lock()
		maps.Copy(s.stale, w.paths)
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
	if w.lost {
		e.lookAtAll(ctx, s, w)
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
	if w.prepare {
		open("prepare")
		if err := e.prepare(ctx, s, w, k, cause, true); err != nil {
			return give(err)
		}
		// What prepare wrote is handled now; the notices of it find nothing left to do.
		e.lookAtAll(ctx, s, w)
	}
	if w.rebuild {
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
		w.rebuild = false
		e.freshen(s, &work{rebuild: true})
	}
	return give(e.syncWork(ctx, s, w, t.stopMode(), cause, open, func() *change { return k }))
}

// lookAtAll compares everything that a service's rules name with what was done last, and adds what differs to the work.
func (e *Engine) lookAtAll(ctx context.Context, s *service, w *work) {
	w.lost = false
	e.mu.Lock()
	rs := s.held(0)
	imageID := ""
	if s.image != nil {
		imageID = s.image.ID
	}
	e.mu.Unlock()
	for _, h := range rs {
		if !syncs(s.conf) {
			break
		}
		have := e.holds(ctx, s, h.in.ID, h.in.ImageID)
		for i := range s.conf.Rules {
			r := &s.conf.Rules[i]
			if !copies(r) {
				continue
			}
			p := newParcel(s.conf, have)
			p.addAll(r)
			p.tidy()
			for _, f := range p.paths() {
				w.addSync(i, f)
				w.paths[f] = struct{}{}
			}
			e.keep(h.in.ID, p)
		}
	}
	if !s.conf.Built {
		return
	}
	if note, ok := e.store.image(s.name, imageID); ok && note.Rebuild != rebuildPrint(s.conf) {
		w.rebuild = true
	}
	if pr := s.conf.Extra.Prepare; pr != nil && e.store.prepared(s.name) != preparePrint(pr) {
		w.prepare = true
	}
}

// syncWork copies, and then restarts or runs what the rules ask for.
func (e *Engine) syncWork(ctx context.Context, s *service, w *work, m stopMode, cause string, open func(string), k func() *change) error {
	e.mu.Lock()
	rs := s.held(0)
	e.mu.Unlock()
	if len(rs) == 0 {
		return nil // the next container gets it all when it is made
	}
	restart, execs := w.restart, map[int]bool{}
	parcels := make([]*parcel, len(rs))
	any := false
	for n, h := range rs {
		p := newParcel(s.conf, e.holds(ctx, s, h.in.ID, h.in.ImageID))
		parcels[n] = p
		for i, paths := range w.sync {
			rule := &s.conf.Rules[i]
			before, mounts := p.size(), false
			for _, f := range slices.Sorted(maps.Keys(paths)) {
				if bound(s.conf, f) {
					mounts = true
					continue
				}
				p.add(rule, f)
			}
			p.addNoted(rule)
			if p.size() == before && !mounts {
				continue
			}
			any = any || p.size() > before
			restart = restart || rule.Action == project.SyncRestart
			if rule.Action == project.SyncExec {
				execs[i] = true
			}
		}
		p.tidy()
		e.keep(h.in.ID, p)
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
	index := map[*replica]*parcel{}
	for i, h := range rs {
		index[h.replica] = parcels[i]
	}
	var mu sync.Mutex
	var unread []string
	if err := e.each(ctx, rs, func(ctx context.Context, h held) error {
		left, err := e.send(ctx, s, h.in.ID, index[h.replica])
		mu.Lock()
		defer mu.Unlock()
		unread = append(unread, left...)
		return err
	}); err != nil {
		return err
	}
	defer func() { e.mark(s, unread) }() // after what was carried out is taken off the list
	if any {
		k().add("copy", time.Since(began))
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
			Env: environ(rule.Exec.Environment), Stdout: out, Stderr: out})
		out.flush()
		if err != nil {
			return say(err, "sync+exec in %s", s.name)
		}
		if code != 0 {
			return fmt.Errorf("sync+exec in %s: %q exited with %d; its output stands in the log", s.name, strings.Join(rule.Exec.Command, " "), code)
		}
	}
	return nil
}

// freshen takes paths that are carried out off the list of what the running code does not have.
func (e *Engine) freshen(s *service, w *work) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for p := range w.paths {
		delete(s.stale, p)
	}
	if w.rebuild {
		clear(s.stale)
	}
	s.err, s.remedy = "", ""
	e.settle(s)
}
