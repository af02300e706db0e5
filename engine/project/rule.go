package project

import (
	"path/filepath"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"
)

// Action is what a rule does with a changed path.
type Action int

// The actions of develop.watch.
const (
	Unknown     Action = iota
	Rebuild            // build the image, swap
	Restart            // restart the container
	Sync               // copy into the running container
	SyncRestart        // copy, then restart
	SyncExec           // copy, then run Exec in the container
)

// Rule is one entry of develop.watch, or a default rule: rebuild when the build context changes.
type Rule struct {
	Action      Action
	Path        string             // absolute file or folder
	Target      string             // path in the container; "" for Rebuild and Restart
	Ignore      []string           // .dockerignore patterns, relative to Path
	Include     []string           // the same; empty: everything
	InitialSync bool               // copy all of Path when the container starts
	Exec        *types.ServiceHook // only for SyncExec
	Default     bool               // made by bulkhead

	filter *filter // what Match needs beyond the fields above; nil for a Rule that Load did not make
}

// actionNames are compose's spellings, by Action.
func actionNames() []string {
	return []string{"unknown", "rebuild", "restart", "sync", "sync+restart", "sync+exec"}
}

// String returns the Compose spelling.
func (a Action) String() string {
	if names := actionNames(); a >= 0 && int(a) < len(names) {
		return names[a]
	}
	return "unknown"
}

// Syncs says whether the action copies files into the container.
func (a Action) Syncs() bool { return a == Sync || a == SyncRestart || a == SyncExec }

// Match says whether a change of the absolute path is this rule's. A path may exist or not; all in a .git folder below
// Path is nobody's. Whether the path belongs to an editor's temporary file is the watcher's matter.
func (r *Rule) Match(path string) bool { return r.matches(r.use(), filepath.Clean(path)) }

// matches is Match by the text of the path alone.
func (r *Rule) matches(f *filter, path string) bool {
	if r.Default && f.always[path] {
		return true
	}
	rel, ok := below(r.Path, path)
	if !ok || inGit(rel) {
		return false
	}
	if r.Default && slices.ContainsFunc(f.written, func(w string) bool { _, in := below(w, path); return in }) {
		return false
	}
	if len(r.Include) > 0 && !f.include.match(path) || f.ignore.match(path) {
		return false
	}
	return f.always[path] || !f.context.match(path)
}

// Ignored says whether a watcher may skip the absolute path: nothing that Match accepts is at it or, for a folder,
// below it. It may say false for a folder in which nothing matches.
func (r *Rule) Ignored(path string, dir bool) bool {
	path = filepath.Clean(path)
	f := r.use()
	if !dir {
		return !r.matches(f, path)
	}
	if _, ok := below(path, r.Path); ok {
		return false // Path itself, or a folder on the way to it
	}
	for a := range f.always {
		if _, ok := below(path, a); ok && r.Default {
			return false
		}
	}
	rel, ok := below(r.Path, path)
	if !ok || inGit(rel) {
		return true
	}
	if r.Default && slices.ContainsFunc(f.written, func(w string) bool { _, in := below(w, path); return in }) {
		return true
	}
	if f.ignore.covers(path) {
		return true
	}
	for a := range f.always {
		if _, ok := below(path, a); ok {
			return false
		}
	}
	return f.context.covers(path)
}

// use returns the rule's filter, and a passing one for a Rule that Load did not make.
func (r *Rule) use() *filter {
	if r.filter != nil {
		return r.filter
	}
	f := &filter{}
	// patterns of a hand-made rule that are no patterns match nothing
	f.include, _ = compile(r.Path, r.Include)
	f.ignore, _ = compile(r.Path, r.Ignore)
	return f
}

// inGit says whether a relative path has a .git folder on it, or is one.
func inGit(rel string) bool { return slices.Contains(strings.Split(rel, "/"), ".git") }
