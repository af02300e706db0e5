package filesync

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"bulkhead/engine/project"
	"bulkhead/watch"
)

// target is where a rule puts a path.
func target(r *project.Rule, file string) string {
	rel, err := filepath.Rel(r.Path, file)
	if err != nil || rel == "." {
		if strings.HasSuffix(r.Target, "/") && !folder(r.Path) {
			return path.Join(r.Target, filepath.Base(file))
		}
		return path.Clean(r.Target)
	}
	return path.Join(r.Target, filepath.ToSlash(rel))
}

func folder(file string) bool {
	fi, err := os.Stat(file)
	return err == nil && fi.IsDir()
}

// origin is where a path in the container comes from by a rule; ok is false
// when the rule puts nothing there.
func origin(r *project.Rule, at string) (file string, ok bool) {
	if at == target(r, r.Path) {
		return r.Path, true
	}
	rel, ok := inside(path.Clean(r.Target), at)
	return filepath.Join(r.Path, filepath.FromSlash(rel)), ok
}

// inside returns at relative to a folder of the container; ok is false when it
// does not lie below it.
func inside(dir, at string) (rel string, ok bool) {
	rel, ok = strings.CutPrefix(at, strings.TrimSuffix(dir, "/")+"/")
	return rel, ok && rel != ""
}

// item is one thing that a container is to get.
type item struct {
	file string // on the host
	rule *project.Rule
	stat FileStat
	top  string // the target of its rule: nothing is written outside of it
}

// Diff is what is to be done to the files of a container, by path there: what
// differs. It is made for one state of the container's manifest; renewed,
// forgotten and replaced are what becomes of that manifest beyond what is sent
// and deleted.
type Diff struct {
	conf       *project.Service
	have       Manifest
	files      map[string]item
	deletes    map[string]string // to the path on the host
	renewed    Manifest
	forgotten  []string
	replaced   map[string]string // what goes with a folder, to what takes the folder's place once it is sent
	trees      *trees
	unreadable map[string]string // paths on the host that could not be looked at: see whyNot
	odd        map[string]string // what is neither file, folder nor link on the host: its kind
	links      map[string]bool   // folders on the host: whether they are links, or behind one
	// folders are what was reported and is a folder, by rule and path in the
	// container. What the container has below them is compared in one go, by
	// addNoted: a look for each folder by itself would cost their number times
	// the size of the manifest.
	folders map[*project.Rule]map[string]bool

	rules   []int // see Rules
	differs bool  // see Differs
}

func newDiff(conf *project.Service, have Manifest) *Diff {
	return &Diff{
		conf: conf, have: have, files: map[string]item{}, deletes: map[string]string{},
		renewed: Manifest{}, links: map[string]bool{}, trees: newTrees(conf),
		unreadable: map[string]string{}, odd: map[string]string{},
		folders: map[*project.Rule]map[string]bool{}, replaced: map[string]string{},
	}
}

// diffAll compares all sync rules with what a container has.
func diffAll(conf *project.Service, have Manifest) *Diff {
	d := newDiff(conf, have)
	for i := range conf.Rules {
		if r := &conf.Rules[i]; r.Action.Syncs() {
			d.addAll(r)
		}
	}
	d.finish()
	return d
}

// behindLink says whether a link stands on the way from a rule's folder to a
// path: then the path is not the rule's.
func (d *Diff) behindLink(r *project.Rule, file string) bool {
	dir := filepath.Dir(file)
	if dir == r.Path || !project.Within(r.Path, dir) {
		return false
	}
	linked, known := d.links[dir]
	if !known {
		n, _, err := d.trees.lstat(r, dir)
		linked = err == nil && n.mode()&fs.ModeSymlink != 0 || d.behindLink(r, dir)
		d.links[dir] = linked
	}
	return linked
}

// Differs says whether something is to be sent or deleted for the paths that
// were compared.
func (d *Diff) Differs() bool { return d.differs }

// Rules returns the indexes, in order, of the rules that have something to act
// on: a difference, or a path that is in the container already through a bind
// mount.
func (d *Diff) Rules() []int { return d.rules }

func (d *Diff) empty() bool { return len(d.files) == 0 && len(d.deletes) == 0 }

func (d *Diff) size() int { return len(d.files) + len(d.deletes) }

// paths lists what is sent or deleted by path on the host.
func (d *Diff) paths() []string {
	out := slices.Collect(maps.Values(d.deletes))
	for _, it := range d.files {
		out = append(out, it.file)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// add looks at one path that a rule copies, and takes it in when the container
// has something else. A path that is gone stands for all that was below it, and
// one that is a folder may be another folder than it was: addNoted compares
// what was below it.
func (d *Diff) add(r *project.Rule, file string) {
	if d.conf.Bound(file) {
		return
	}
	n, kind, err := d.trees.lstat(r, file)
	switch {
	case err == nil && kind != "":
		d.odd[file] = kind
	case d.behindLink(r, file):
		d.remove(r, file)
	case err != nil && !gone(err):
		d.unread(r, file, err)
	case err != nil:
		d.remove(r, file)
	case n.isDir():
		d.addFolder(r, file, n)
	default:
		d.compare(r, file, n)
	}
}

// unread takes in that a path of a rule cannot be looked at. Where that is the
// whole rule's matter, it is said of the rule's path.
func (d *Diff) unread(r *project.Rule, file string, err error) {
	if why := whyNot(err); why != "" {
		d.unreadable[r.Path] = why
	} else {
		d.unreadable[file] = ""
	}
}

// addFolder compares a folder itself, and remembers it for addNoted. The folder
// of a rule is not the rule's.
func (d *Diff) addFolder(r *project.Rule, file string, n FileStat) {
	at := target(r, file)
	if file == r.Path {
		at = path.Clean(r.Target)
	} else {
		d.compare(r, file, n)
	}
	if d.folders[r] == nil {
		d.folders[r] = map[string]bool{}
	}
	d.folders[r][at] = true
}

// addNoted compares everything that the container has below the folders that
// were added for a rule. What is new in a folder is reported by itself, but
// what went with the folder that it replaced may not be.
func (d *Diff) addNoted(r *project.Rule) {
	folders := d.folders[r]
	delete(d.folders, r)
	if len(folders) == 0 {
		return
	}
	whole := folders[path.Clean(r.Target)]
	for at := range d.have {
		in := whole
		if !in {
			ancestors(at, func(dir string) bool { in = folders[dir]; return !in })
		}
		if !in {
			continue
		}
		file, ok := origin(r, at)
		if !ok || file == r.Path || d.conf.Bound(file) || !r.Match(file) || watch.Ephemeral(file) {
			continue
		}
		n, kind, err := d.trees.lstat(r, file)
		switch {
		case err == nil && kind != "":
			d.odd[file] = kind
		case d.behindLink(r, file):
			d.deletes[at] = file
		case err != nil && !gone(err):
			d.unread(r, file, err)
		case err != nil:
			d.deletes[at] = file
		default:
			d.compare(r, file, n)
		}
	}
}

// addAll compares everything below a rule with what the container has.
func (d *Diff) addAll(r *project.Rule) {
	l := d.trees.scanRule(r)
	for file, n := range l.files {
		if !d.conf.Bound(file) {
			d.compare(r, file, n)
		}
	}
	maps.Copy(d.unreadable, l.unreadable)
	maps.Copy(d.odd, l.odd)
	hidden := func(file string) bool {
		for dir := range l.unreadable {
			if project.Within(dir, file) {
				return true
			}
		}
		return false
	}
	for at := range d.have {
		file, ok := origin(r, at)
		if !ok || d.conf.Bound(file) || !r.Match(file) || watch.Ephemeral(file) || hidden(file) {
			continue
		}
		if _, still := l.files[file]; !still && (!d.there(r, file) || d.behindLink(r, file)) {
			d.deletes[at] = file
		}
	}
}

// there says whether a path of a rule exists, or may exist.
func (d *Diff) there(r *project.Rule, file string) bool {
	_, _, err := d.trees.lstat(r, file)
	return err == nil || !gone(err)
}

// maxPath is the longest path that is written in a container, in bytes. The
// kernel takes 4,095, and what is written beside a file first has a longer name.
const maxPath = 4000

// tooDeep takes in that a path is too long for the container: one line for all
// that lies in the same folder, and what lies deeper goes without one.
func (d *Diff) tooDeep(file, at string) {
	if dir := filepath.Dir(file); len(path.Dir(at)) <= maxPath {
		d.unreadable[dir] = fmt.Sprintf("what lies in %s is nested too deeply for a container, so it is not copied",
			brief(project.Relative(d.conf.Dir, dir)))
	}
}

// brief cuts a path to what a line has room for.
func brief(file string) string {
	const most = 240
	if len(file) <= most {
		return file
	}
	return strings.ToValidUTF8(file[:most], "") + "…"
}

func (d *Diff) compare(r *project.Rule, file string, n FileStat) {
	at := target(r, file)
	if len(at) > maxPath {
		d.tooDeep(file, at)
		return
	}
	if have, ok := d.have[at]; ok {
		tr, err := d.trees.of(r.Path)
		if err != nil {
			return // it went away since it was looked at
		}
		same, kept := n.same(tr, file, have)
		if same {
			if kept != have {
				d.renewed[at] = kept
			}
			return
		}
	}
	d.files[at] = item{file: file, rule: r, stat: n, top: top(r, file)}
}

// top is the folder of the container that a rule fills, or the one file.
func top(r *project.Rule, file string) string {
	if file == r.Path {
		return target(r, file)
	}
	return path.Clean(r.Target)
}

// remove takes in that a path of a rule is gone. What the container never got
// is left there. A folder goes with everything in it, but the folder of the
// rule stays: what else its target has in it is not the rule's.
func (d *Diff) remove(r *project.Rule, file string) {
	at := target(r, file)
	if file == r.Path && !d.isFile(at) {
		at = path.Clean(r.Target)
	} else if _, ok := d.have[at]; ok {
		d.deletes[at] = file
	}
	for below := range d.have {
		if _, ok := inside(at, below); ok {
			if from, ok := origin(r, below); ok && r.Match(from) {
				d.deletes[below] = from
			}
		}
	}
}

// isFile says whether what the container has at a path is a single file.
func (d *Diff) isFile(at string) bool {
	n, ok := d.have[at]
	return ok && !n.isDir()
}

// finish resolves what a diff's parts say of each other. It is called once,
// after the last add.
func (d *Diff) finish() {
	defer d.trees.close()
	for r := range d.folders {
		d.addNoted(r)
	}
	d.keepOthers()
	replaces := false
	busy := map[string]bool{} // folders in which something stays, or comes
	for at, it := range d.files {
		ancestors(at, func(dir string) bool { busy[dir] = true; return true })
		had, ok := d.have[at]
		replaces = replaces || !it.stat.isDir() && (!ok || had.isDir())
	}
	if replaces {
		for at := range d.have {
			// It goes with the folder that something else takes the place of.
			if by := d.replacedBy(at); by != "" {
				d.replaced[at] = by
				delete(d.deletes, at)
			}
		}
	}
	folders := false
	for at := range d.deletes {
		folders = folders || d.have[at].isDir()
	}
	if !folders {
		return
	}
	for at := range d.have {
		if _, goes := d.deletes[at]; !goes {
			ancestors(at, func(dir string) bool { busy[dir] = true; return true })
		}
	}
	for at := range d.deletes {
		if d.have[at].isDir() && (busy[at] || d.mounted(at)) {
			d.forgotten = append(d.forgotten, at)
		}
		// What is in a folder goes with it.
		ancestors(at, func(dir string) bool {
			if _, goes := d.deletes[dir]; goes && !busy[dir] && !d.mounted(dir) {
				d.forgotten = append(d.forgotten, at)
				return false
			}
			return true
		})
	}
	for _, at := range d.forgotten {
		delete(d.deletes, at)
	}
}

// keepOthers takes out the deletions of what is sent, and sends instead of
// deleting what another rule puts there.
func (d *Diff) keepOthers() {
	for at := range d.deletes {
		if _, sent := d.files[at]; sent {
			delete(d.deletes, at)
			continue
		}
		for i := range d.conf.Rules {
			r := &d.conf.Rules[i]
			file, ok := d.claimed(r, at)
			if !ok {
				continue
			}
			if n, kind, err := d.trees.lstat(r, file); kind == "" && err == nil {
				d.files[at] = item{file: file, rule: r, stat: n, top: top(r, file)}
				delete(d.deletes, at)
				break
			}
		}
	}
}

// claimed returns the path on the host that a rule may put at a path of the
// container; ok is false when it puts nothing there.
func (d *Diff) claimed(r *project.Rule, at string) (file string, ok bool) {
	file, ok = origin(r, at)
	return file, ok && r.Action.Syncs() && r.Match(file) && !d.conf.Bound(file) && !d.behindLink(r, file)
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

// replacedBy returns what a diff puts, and is not a folder, in the place of one
// that a path lies in; "" when there is none.
func (d *Diff) replacedBy(at string) (by string) {
	ancestors(at, func(dir string) bool {
		if it, ok := d.files[dir]; ok && !it.stat.isDir() {
			by = dir
		}
		return by == ""
	})
	return by
}

// ancestors calls f for the folders that a path of the container lies in,
// nearest first, as long as it returns true.
func ancestors(at string, f func(dir string) bool) {
	for dir := path.Dir(at); dir != "/" && dir != "."; dir = path.Dir(dir) {
		if !f(dir) {
			return
		}
	}
}

// mounted says whether a volume is mounted at or below a path of the container:
// such a folder must not be replaced or removed.
func (d *Diff) mounted(at string) bool {
	for _, v := range d.conf.Config.Volumes {
		if _, ok := inside(at, path.Clean(v.Target)); ok || path.Clean(v.Target) == at {
			return true
		}
	}
	return false
}
