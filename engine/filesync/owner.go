package filesync

import (
	"io/fs"
	"path/filepath"

	"bulkhead/engine/project"
	"bulkhead/watch"
)

// ruled is a path on the host as one rule sees it.
type ruled struct {
	rule *project.Rule
	file string
}

// ruleOf returns the rule, of those from an index on, that a path of the container
// belongs to: the last one that puts something there, which is what stands there
// when all are copied in their order. It is nil when none does. The folder of a
// rule is not the rule's.
func (d *Diff) ruleOf(at string, from int) (r *project.Rule, file string, n FileStat) {
	for i := len(d.conf.Rules) - 1; i >= from; i-- {
		r := &d.conf.Rules[i]
		file, ok := d.claimed(r, at)
		if !ok {
			continue
		}
		n, kind, err := d.trees.lstat(r, file)
		if err == nil && kind == "" && (file != r.Path || !n.isDir()) {
			return r, file, n
		}
	}
	return nil, "", FileStat{}
}

// overruled says whether a path of the container is not a rule's because a later
// rule puts something there. Each rule alone would send its own at every look,
// and the container would have the one and the other in turn.
func (d *Diff) overruled(r *project.Rule, at string) bool {
	for i := range d.conf.Rules {
		if &d.conf.Rules[i] == r {
			by, _, _ := d.ruleOf(at, i+1)
			return by != nil
		}
	}
	return false
}

// claimed returns the path on the host that a rule may put at a path of the
// container; ok is false when it puts nothing there.
func (d *Diff) claimed(r *project.Rule, at string) (file string, ok bool) {
	if !r.Action.Syncs() {
		return "", false
	}
	file, ok = origin(r, at)
	return file, ok && r.Match(file) && !watch.Ephemeral(file) && !d.conf.Bound(file) &&
		!d.behindLink(r, file)
}

// source returns the path on the host that the rules put at a path of the
// container, "" when there is none.
func (d *Diff) source(at string) string {
	for i := range d.conf.Rules {
		r := &d.conf.Rules[i]
		if file, ok := d.claimed(r, at); ok && d.there(r, file) {
			return file
		}
	}
	return ""
}

// behindLink says whether a link stands on the way from a rule's folder to a
// path: then the path is not the rule's.
func (d *Diff) behindLink(r *project.Rule, file string) bool {
	dir := filepath.Dir(file)
	if dir == r.Path || !project.Within(r.Path, dir) {
		return false
	}
	key := ruled{r, dir}
	linked, known := d.links[key]
	if !known {
		n, _, err := d.trees.lstat(r, dir)
		linked = err == nil && n.mode()&fs.ModeSymlink != 0 || d.behindLink(r, dir)
		d.links[key] = linked
	}
	return linked
}
