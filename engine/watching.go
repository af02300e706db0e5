package engine

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"time"

	"bulkhead/engine/plan"
	"bulkhead/engine/project"
	"bulkhead/watch"
)

// startWatching watches the files of all rules, of all prepare commands, and the Compose files themselves.
func (e *Engine) startWatching() error {
	files, err := watch.New(watch.Options{})
	if err != nil {
		return err
	}
	e.files = files
	files.SetRoots(e.roots())
	e.launch("watch", files.Run)
	e.launch("batches", func(ctx context.Context) error { return e.followFiles(ctx, files) })
	e.launch("watching", func(ctx context.Context) error {
		select {
		case <-files.Ready():
			e.noteWatching()
		case <-ctx.Done():
		}
		return nil
	})
	return nil
}

// followFiles takes what the watcher sends until ctx ends.
func (e *Engine) followFiles(ctx context.Context, files *watch.Watcher) error {
	notices, holds := files.Notices(), files.Holds()
	for {
		select {
		case b, ok := <-files.Batches():
			if !ok {
				return nil
			}
			e.takeBatch(ctx, b)
		case n, ok := <-notices:
			if !ok {
				notices = nil
				continue
			}
			text := n.Text
			if n.Remedy != "" {
				text += "; " + n.Remedy
			}
			e.mu.Lock()
			e.watching.Notices = append(e.watching.Notices, text)
			e.record(Record{Kind: "notice", Notice: "watch", Text: text})
			e.mu.Unlock()
		case h, ok := <-holds:
			if !ok {
				holds = nil
				continue
			}
			e.mu.Lock()
			e.watching.Held = h.By
			e.bump()
			e.mu.Unlock()
		case <-ctx.Done():
			return nil
		}
	}
}

// noteWatching notes that notices of files come in from now on.
func (e *Engine) noteWatching() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.watching.On = true
	watched := 0
	for _, s := range e.svcs {
		if len(s.conf.Rules) > 0 || s.conf.Extra.Prepare != nil {
			watched++
		}
	}
	e.record(Record{Kind: "notice", Notice: "watching", Text: "watching: files of " + count(watched)})
}

// roots lists what must be watched.
func (e *Engine) roots() []watch.Root {
	p := e.project()
	var out []watch.Root
	for _, s := range p.Services {
		for i := range s.Rules {
			r := &s.Rules[i]
			out = append(out, watch.Root{Path: r.Path, Ignore: func(path string, dir bool) bool {
				return watch.Ephemeral(filepath.Base(path)) || r.Ignored(path, dir)
			}})
		}
		if s.Extra.Prepare == nil {
			continue
		}
		for _, root := range s.Extra.Prepare.Watch {
			out = append(out, watch.Root{Path: root, Ignore: func(path string, dir bool) bool {
				return watch.Ephemeral(filepath.Base(path)) || dir && filepath.Base(path) == ".git"
			}})
		}
	}
	if e.opts.Load != nil {
		for _, f := range p.Inputs {
			out = append(out, watch.Root{Path: f})
		}
	}
	return out
}

// takeBatch hands a batch to the lanes of the services whose rules match.
func (e *Engine) takeBatch(ctx context.Context, b watch.Batch) {
	if e.opts.Ignore != nil {
		b.Paths = slices.DeleteFunc(slices.Clone(b.Paths), e.opts.Ignore)
		if len(b.Paths) == 0 && !b.Lost {
			return
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(b.Paths) > 0 {
		e.watching.LastPath, e.watching.LastAt = b.Paths[len(b.Paths)-1], b.Last
	}
	if b.Lost {
		e.record(Record{Kind: "notice", Notice: "watch", Text: "file notices were lost; looking at everything again"})
	}
	if e.opts.Load != nil && (b.Lost || slices.ContainsFunc(b.Paths, func(p string) bool { return slices.Contains(e.p.Inputs, p) })) {
		e.launch("reload", func(ctx context.Context) error { e.reloadFile(ctx); return nil })
	}
	works := map[*service]*plan.Work{}
	for _, s := range e.svcs {
		w := plan.WorkFor(s.conf, b.Paths, b.First)
		w.Lost, w.Git = b.Lost, b.Git
		if b.Git.Name != "" {
			w.At = b.Last // what git itself took is nobody's slowness
		}
		if !w.Empty() {
			works[s] = w
		}
	}
	if r := e.summary(works, b.Git); !b.Lost && (len(works) > 0 && b.Git.Name != "" || len(works) > 1 && len(r.Paths) > 1) {
		e.record(r)
	}
	for _, name := range slices.Sorted(maps.Keys(e.svcs)) {
		s := e.svcs[name]
		w := works[s]
		if w == nil {
			continue
		}
		if !e.automatic(s) {
			maps.Copy(s.stale, w.Paths)
			if len(w.Paths) > 0 {
				e.record(Record{Kind: "watch", Service: s.name, Action: "stale", Paths: slices.Sorted(maps.Keys(w.Paths)), Cause: w.Cause(e.dir),
					What: fmt.Sprintf("stale (watch is %s)", s.mode), Text: fmt.Sprintf("%s: stale, %s (watch is %s)", s.name, w.Cause(e.dir), s.mode)})
			}
			continue
		}
		s.offer(w)
	}
	e.bump()
}

// automatic says whether changes of a service's files are carried out without being asked. Callers hold mu.
func (e *Engine) automatic(s *service) bool {
	return s.mode == project.Auto && e.watching.Mode != project.Off && e.watching.Mode != project.Manual
}

// summary is the record of what one batch leads to. Callers hold mu.
func (e *Engine) summary(works map[*service]*plan.Work, git watch.Operation) Record {
	files := map[string]struct{}{}
	var actions []plan.ServiceAction
	for s, w := range works {
		maps.Copy(files, w.Paths)
		a := plan.ServiceAction{Service: s.name, Action: w.Action(s.conf)}
		if !e.automatic(s) {
			a.Action = plan.MarkStale
		}
		actions = append(actions, a)
	}
	return Record{Kind: "plan", Text: plan.Summary(len(files), actions), Paths: slices.Sorted(maps.Keys(files)), Cause: git.String()}
}

// reloadFile loads the Compose files again after one of them was saved, and shows the difference.
// Nothing is applied before the user says so, and a file that does not load changes nothing.
func (e *Engine) reloadFile(ctx context.Context) {
	p, err := e.opts.Load(ctx)
	e.mu.Lock()
	defer e.mu.Unlock()
	if err != nil {
		if e.reload == nil || e.reload.Err != firstLine(err) {
			e.reload, e.loaded = &Reload{At: time.Now(), Err: firstLine(err)}, nil
			e.record(Record{Kind: "notice", Notice: "reload", Err: firstLine(err), Text: "the Compose file does not load, nothing changes: " + firstLine(err)})
		}
		return
	}
	changes := project.Diff(e.p, p)
	if len(changes) == 0 {
		if e.reload != nil {
			e.reload, e.loaded = nil, nil
			e.bump()
		}
		return
	}
	e.reload, e.loaded = &Reload{At: time.Now(), Changes: changes}, p
	for _, c := range changes {
		e.record(Record{Kind: "notice", Notice: "reload", Service: c.Service, What: "the Compose file changed: " + c.Kind.String(),
			Text: fmt.Sprintf("the Compose file changed: %s: %s", c.Service, c.Kind)})
	}
}
