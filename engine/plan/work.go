package plan

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"bulkhead/engine/project"
	"bulkhead/watch"
)

// Work is what changed files ask of one service; that of several batches may
// be merged. Make it with NewWork or WorkFor. One goroutine at a time may use
// it.
type Work struct {
	At      time.Time           // when the first notice came
	Paths   map[string]struct{} // all of them, absolute
	Prepare bool
	Rebuild bool
	Restart bool
	Sync    map[int]map[string]struct{} // paths by index of the rule
	Lost    bool                        // notices were lost: look at everything
	Git     watch.Operation             // what git did; its name is empty when the files were just saved
}

// NewWork returns a Work that asks for nothing yet.
func NewWork(at time.Time) *Work {
	return &Work{At: at, Paths: map[string]struct{}{}, Sync: map[int]map[string]struct{}{}}
}

// WorkFor says what a set of changed paths asks of a service: which of its
// rules match, and whether its prepare must run. It reads nothing but the
// rules.
func WorkFor(conf *project.Service, paths []string, at time.Time) *Work {
	w := NewWork(at)
	for _, p := range paths {
		if pr := conf.Extra.Prepare; pr != nil && slices.ContainsFunc(pr.Watch,
			func(root string) bool { return project.Within(root, p) }) {
			w.Prepare = true
			w.Paths[p] = struct{}{}
		}
		for i := range conf.Rules {
			r := &conf.Rules[i]
			if !conf.Claims(r, p) {
				continue
			}
			switch {
			case r.Action == project.Rebuild:
				w.Rebuild = true
			case r.Action == project.Restart:
				w.Restart = true
			case conf.Bound(p):
				// The file is in the container already; what is left of the action is the restart or the command.
				switch r.Action {
				case project.SyncRestart:
					w.Restart = true
				case project.SyncExec:
					w.AddSync(i, p)
				default:
					continue
				}
			default:
				w.AddSync(i, p)
			}
			w.Paths[p] = struct{}{}
		}
	}
	return w
}

// AddSync adds a path that the rule of this index copies.
func (w *Work) AddSync(rule int, path string) {
	if w.Sync[rule] == nil {
		w.Sync[rule] = map[string]struct{}{}
	}
	w.Sync[rule][path] = struct{}{}
	w.Paths[path] = struct{}{}
}

// Merge adds what another Work asks for.
func (w *Work) Merge(o *Work) {
	if o.At.Before(w.At) {
		w.At = o.At
	}
	if o.Git.Name != "" {
		w.Git = o.Git
	}
	maps.Copy(w.Paths, o.Paths)
	w.Prepare, w.Rebuild = w.Prepare || o.Prepare, w.Rebuild || o.Rebuild
	w.Restart, w.Lost = w.Restart || o.Restart, w.Lost || o.Lost
	for i, paths := range o.Sync {
		if w.Sync[i] == nil {
			w.Sync[i] = map[string]struct{}{}
		}
		maps.Copy(w.Sync[i], paths)
	}
}

// TakeSyncs takes out of the work what asks for no image: copies and restarts, with the paths that ask
// for nothing else.
func (w *Work) TakeSyncs(conf *project.Service) *Work {
	rest := NewWork(w.At)
	rest.Git, rest.Sync, rest.Restart = w.Git, w.Sync, w.Restart
	w.Sync, w.Restart = map[int]map[string]struct{}{}, false
	for p := range w.Paths {
		if alone := WorkFor(conf, []string{p}, w.At); !alone.Prepare && !alone.Rebuild {
			rest.Paths[p] = struct{}{}
			delete(w.Paths, p)
		}
	}
	return rest
}

// Empty says whether there is nothing to do.
func (w *Work) Empty() bool {
	return !w.Prepare && !w.Rebuild && !w.Restart && !w.Lost && len(w.Sync) == 0
}

// Cause says what happened in words: "orders/main.go saved", "27 files saved",
// "git checkout: 27 files". dir is the project folder.
func (w *Work) Cause(dir string) string {
	if w.Git.Name != "" {
		return w.Git.Name + ": " + FileCount(len(w.Paths))
	}
	names := slices.Sorted(maps.Keys(w.Paths))
	switch len(names) {
	case 0:
		return "files changed"
	case 1:
		return project.Relative(dir, names[0]) + " saved"
	}
	return fmt.Sprintf("%d files saved", len(names))
}

// Action says what the work is going to be as far as its rules say: the lane
// may find that a file is in the container already. It is one of actions.
func (w *Work) Action(conf *project.Service) string {
	has := func(a project.Action) bool {
		for i := range w.Sync {
			if conf.Rules[i].Action == a {
				return true
			}
		}
		return false
	}
	switch {
	case w.Prepare:
		return "prepare"
	case w.Rebuild:
		return "rebuild"
	case len(w.Sync) == 0:
		return "restart"
	case w.Restart || has(project.SyncRestart):
		return "sync+restart"
	case has(project.SyncExec):
		return "sync+exec"
	}
	return "sync"
}

// MarkStale is the action for a service that is not watched automatically.
const MarkStale = "mark stale"

// actions are all that a batch can ask of a service, the most costly first.
var actions = []string{"prepare", "rebuild", "restart", "sync+restart", "sync+exec", "sync", MarkStale}

// ServiceAction is what one batch asks of one service.
type ServiceAction struct {
	Service string
	Action  string // one of actions
}

// Summary returns what a batch leads to in one line: "27 files: rebuild api,
// sync web and worker".
func Summary(files int, asked []ServiceAction) string {
	var parts []string
	for _, action := range actions {
		var who []string
		for _, a := range asked {
			if a.Action == action {
				who = append(who, a.Service)
			}
		}
		slices.Sort(who)
		if n := len(who); n > 1 {
			who = []string{strings.Join(who[:n-1], ", ") + " and " + who[n-1]}
		}
		if len(who) > 0 {
			parts = append(parts, action+" "+who[0])
		}
	}
	return FileCount(files) + ": " + strings.Join(parts, ", ")
}

// FileCount writes a number of files.
func FileCount(n int) string {
	if n == 1 {
		return "1 file"
	}
	return fmt.Sprintf("%d files", n)
}
