package engine

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"

	"bulkhead/engine/lane"
	"bulkhead/engine/plan"
	"bulkhead/engine/project"
	"bulkhead/watch"
)

// watching hands what changes on disk to the lanes, and has changed Compose files loaded again.
type watching struct {
	p      *lane.Parts
	reload *reloader
	ignore func(path string) bool // which files never count as changed; nil: none
	times  watch.Options
	files  *watch.Watcher // nil without watching
}

// start watches the files of all rules, of all prepare commands, and the Compose files themselves.
func (fw *watching) start() error {
	files, err := watch.New(fw.times)
	if err != nil {
		return err
	}
	fw.files = files
	fw.setRoots()
	fw.p.Go("watch", files.Run)
	fw.p.Go("batches", func(ctx context.Context) error { return fw.follow(ctx, files) })
	fw.p.Go("watching", func(ctx context.Context) error {
		select {
		case <-files.Ready():
			fw.p.State.Watching.On()
		case <-ctx.Done():
		}
		return nil
	})
	return nil
}

// setRoots watches what the project names by now.
func (fw *watching) setRoots() {
	if fw.files != nil {
		fw.files.SetRoots(roots(fw.p.State.Project(), fw.reload.load != nil))
	}
}

// follow takes what the watcher sends until ctx ends.
func (fw *watching) follow(ctx context.Context, files *watch.Watcher) error {
	notices, holds := files.Notices(), files.Holds()
	for {
		select {
		case b, ok := <-files.Batches():
			if !ok {
				return nil
			}
			fw.take(ctx, b)
		case n, ok := <-notices:
			if !ok {
				notices = nil
				continue
			}
			text := n.Text
			if n.Remedy != "" {
				text += "; " + n.Remedy
			}
			fw.p.State.Watching.Notice(text)
		case h, ok := <-holds:
			if !ok {
				holds = nil
				continue
			}
			fw.p.State.Watching.Held(h.By)
		case <-ctx.Done():
			return nil
		}
	}
}

// roots lists what must be watched of a project; with inputs its own files too.
func roots(p *project.Project, inputs bool) []watch.Root {
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
	if inputs {
		for _, f := range p.Inputs {
			out = append(out, watch.Root{Path: f})
		}
	}
	return out
}

// take hands a batch to the lanes of the services whose rules match.
func (fw *watching) take(ctx context.Context, b watch.Batch) {
	if fw.ignore != nil {
		b.Paths = slices.DeleteFunc(slices.Clone(b.Paths), fw.ignore)
		if len(b.Paths) == 0 && !b.Lost {
			return
		}
	}
	if len(b.Paths) > 0 {
		fw.p.State.Watching.Changed(b.Paths[len(b.Paths)-1], b.Last)
	}
	if b.Lost {
		fw.p.State.Record(Record{
			Kind: "notice", Notice: "watch", Text: "file notices were lost; looking at everything again",
		})
	}
	inputs := fw.p.State.Project().Inputs
	if fw.reload.load != nil && (b.Lost || slices.ContainsFunc(b.Paths, func(p string) bool { return slices.Contains(inputs, p) })) {
		fw.p.Go("reload", func(ctx context.Context) error { fw.reload.look(ctx); return nil })
	}
	works := map[*lane.Lane]*plan.Work{}
	for _, l := range fw.p.Lanes.List() {
		w := plan.WorkFor(l.M.Conf(), b.Paths, b.First)
		w.Lost, w.Git = b.Lost, b.Git
		if b.Git.Name != "" {
			w.At = b.Last // what git itself took is nobody's slowness
		}
		if !w.Empty() {
			works[l] = w
		}
	}
	if r := fw.summary(works, b.Git); !b.Lost && (len(works) > 0 && b.Git.Name != "" || len(works) > 1 &&
		len(r.Paths) > 1) {
		fw.p.State.Record(r)
	}
	for l, w := range works {
		if l.M.Files.Automatic() {
			l.Offer(w)
			continue
		}
		paths := slices.Sorted(maps.Keys(w.Paths))
		l.M.Files.MarkStale(paths...)
		if len(paths) > 0 {
			mode, cause := l.M.Files.Mode(), w.Cause(fw.p.Dir)
			fw.p.State.Record(Record{Kind: "watch", Service: l.Name, Action: "stale", Paths: paths, Cause: cause,
				What: fmt.Sprintf("stale (watch is %s)", mode), Text: fmt.Sprintf("%s: stale, %s (watch is %s)", l.Name, cause, mode)})
		}
	}
}

// summary is the record of what one batch leads to.
func (fw *watching) summary(works map[*lane.Lane]*plan.Work, git watch.Operation) Record {
	files := map[string]struct{}{}
	var actions []plan.ServiceAction
	for l, w := range works {
		maps.Copy(files, w.Paths)
		a := plan.ServiceAction{Service: l.Name, Action: w.Action(l.M.Conf())}
		if !l.M.Files.Automatic() {
			a.Action = plan.MarkStale
		}
		actions = append(actions, a)
	}
	return Record{
		Kind: "plan", Text: plan.Summary(len(files), actions), Paths: slices.Sorted(maps.Keys(files)), Cause: git.String(),
	}
}
