package filesync

import (
	"cmp"
	"errors"
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
	// instead is the path on the host, of another rule, that is gone and that this
	// takes the place of; "" when there was none.
	instead string
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
	unreadable map[string]error  // paths on the host that could not be looked at, and why
	odd        map[string]string // what is neither file, folder nor link on the host: its kind
	links      map[ruled]bool    // whether a folder of a rule is a link, or behind one
	// folders are what was reported and is a folder, by rule and path in the
	// container, and vanished what is gone and may have been one. What the
	// container has below them is compared in one go, by addNoted: a look for
	// each by itself would cost their number times the size of the manifest.
	folders, vanished noted

	rules   []int // see Rules
	differs bool  // see Differs
}

// noted are paths of the container, by rule.
type noted map[*project.Rule]map[string]bool

func (n noted) add(r *project.Rule, at string) {
	if n[r] == nil {
		n[r] = map[string]bool{}
	}
	n[r][at] = true
}

func newDiff(conf *project.Service, have Manifest) *Diff {
	return &Diff{
		conf: conf, have: have, files: map[string]item{}, deletes: map[string]string{},
		renewed: Manifest{}, links: map[ruled]bool{}, trees: newTrees(conf),
		unreadable: map[string]error{}, odd: map[string]string{},
		folders: noted{}, vanished: noted{}, replaced: map[string]string{},
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

// Differs says whether something is to be sent or deleted for the paths that
// were compared.
func (d *Diff) Differs() bool { return d.differs }

// Rules returns the indexes, in order, of the rules that have something to act
// on: a difference, or a path that is in the container already through a bind
// mount.
func (d *Diff) Rules() []int { return d.rules }

func (d *Diff) empty() bool { return len(d.files) == 0 && len(d.deletes) == 0 }

func (d *Diff) size() int { return len(d.files) + len(d.deletes) }

// paths lists what is sent or deleted by path on the host; of what takes the
// place of something that is gone, that.
func (d *Diff) paths() []string {
	out := slices.Collect(maps.Values(d.deletes))
	for _, it := range d.files {
		out = append(out, cmp.Or(it.instead, it.file))
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
// whole rule's matter, and not one that mending the path's permissions ends, it is
// said of the rule's path.
func (d *Diff) unread(r *project.Rule, file string, err error) {
	if _, whole := d.trees.of(r.Path); whole != nil && !errors.Is(whole, fs.ErrPermission) {
		file, err = r.Path, whole
	}
	d.unreadable[file] = err
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
	d.folders.add(r, at)
}

// addNoted compares everything that the container has below the folders that
// were added for a rule, and drops what it has below those that are gone. What is
// new in a folder is reported by itself, but what went with the folder that it
// replaced may not be.
func (d *Diff) addNoted(r *project.Rule) {
	folders, vanished := d.folders[r], d.vanished[r]
	delete(d.folders, r)
	delete(d.vanished, r)
	if len(folders)+len(vanished) == 0 {
		return
	}
	whole := path.Clean(r.Target)
	for at := range d.have {
		in, went := folders[whole], vanished[whole] && at != whole
		ancestors(at, func(dir string) bool {
			in, went = in || folders[dir], went || vanished[dir]
			return !went
		})
		if !in && !went {
			continue
		}
		file, ok := origin(r, at)
		if !ok || file == r.Path || d.conf.Bound(file) || !r.Match(file) || watch.Ephemeral(file) {
			continue
		}
		if went {
			d.drop(r, at, file)
			continue
		}
		n, kind, err := d.trees.lstat(r, file)
		switch {
		case err == nil && kind != "":
			d.odd[file] = kind
		case d.behindLink(r, file):
			d.drop(r, at, file)
		case err != nil && !gone(err):
			d.unread(r, file, err)
		case err != nil:
			d.drop(r, at, file)
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
			d.drop(r, at, file)
		}
	}
}

// there says whether a path of a rule exists, or may exist.
func (d *Diff) there(r *project.Rule, file string) bool {
	_, _, err := d.trees.lstat(r, file)
	return err == nil || !gone(err)
}

// drop takes in that the container has at a path what a rule does not put there
// any more. What a later rule puts there is that rule's matter.
func (d *Diff) drop(r *project.Rule, at, file string) {
	if !d.overruled(r, at) {
		d.deletes[at] = file
	}
}

// errTooDeep is why a folder is not looked at whose files have too long a path in the container.
var errTooDeep = errors.New("nested too deeply")

// maxPath is the longest path that is written in a container, in bytes. The
// kernel takes 4,095, and what is written beside a file first has a longer name.
const maxPath = 4000

// tooDeep takes in that a path is too long for the container: one line for all
// that lies in the same folder, and what lies deeper goes without one.
func (d *Diff) tooDeep(file, at string) {
	if dir := filepath.Dir(file); len(path.Dir(at)) <= maxPath {
		d.unreadable[dir] = errTooDeep
	}
}

// compare takes in what a rule puts somewhere when the container has something
// else there.
func (d *Diff) compare(r *project.Rule, file string, n FileStat) {
	at := target(r, file)
	switch {
	case d.overruled(r, at):
		return
	case len(at) > maxPath:
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
			// An earlier rule's was to go there, before this one's appeared.
			delete(d.files, at)
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
		d.drop(r, at, file)
	}
	d.vanished.add(r, at)
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
	for _, n := range []noted{d.folders, d.vanished} {
		for r := range n {
			d.addNoted(r)
		}
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

// keepOthers takes out the deletions of what is sent, and compares instead of
// deleting what another rule puts there.
func (d *Diff) keepOthers() {
	for at, was := range d.deletes {
		if _, sent := d.files[at]; sent {
			delete(d.deletes, at)
			continue
		}
		r, file, n := d.ruleOf(at, 0)
		if r == nil {
			continue
		}
		delete(d.deletes, at)
		d.compare(r, file, n)
		if it, sent := d.files[at]; sent {
			it.instead = was
			d.files[at] = it
		}
	}
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
