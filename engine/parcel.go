package engine

import (
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

// origin is where a path in the container comes from by a rule; ok is false when the rule puts nothing there.
func origin(r *project.Rule, at string) (file string, ok bool) {
	if at == target(r, r.Path) {
		return r.Path, true
	}
	rel, ok := inside(path.Clean(r.Target), at)
	return filepath.Join(r.Path, filepath.FromSlash(rel)), ok
}

// inside gives at relative to a folder of the container; ok is false when it does not lie below it.
func inside(dir, at string) (rel string, ok bool) {
	rel, ok = strings.CutPrefix(at, strings.TrimSuffix(dir, "/")+"/")
	return rel, ok && rel != ""
}

// item is one thing that a container is to get.
type item struct {
	file string // on the host
	note fileNote
	top  string // the target of its rule: nothing is written outside of it
}

// parcel is what is to be done to the files of a container, by path there: what differs. It is made for one state of the container's
// table; renewed and forgotten are what becomes of that table beyond what is sent and deleted.
type parcel struct {
	conf      *project.Service
	have      table
	files     map[string]item
	deletes   map[string]string // to the path on the host
	renewed   table
	forgotten []string
	blind     []string        // paths on the host that could not be looked at
	links     map[string]bool // folders on the host that have been looked at: whether they are links, or behind one
	// folders are what was reported and is a folder, by rule and path in the container. What the container has below them is compared in
	// one go, by addNoted: a look for each folder by itself would cost their number times the size of the table.
	folders map[*project.Rule]map[string]bool
}

func newParcel(conf *project.Service, have table) *parcel {
	return &parcel{
		conf: conf, have: have, files: map[string]item{}, deletes: map[string]string{}, renewed: table{}, links: map[string]bool{},
		folders: map[*project.Rule]map[string]bool{},
	}
}

// behind says whether a link stands on the way from a rule's folder to a path: then the path is not the rule's.
func (p *parcel) behind(r *project.Rule, file string) bool {
	dir := filepath.Dir(file)
	if dir == r.Path || !under(dir, []string{r.Path}) {
		return false
	}
	linked, known := p.links[dir]
	if !known {
		fi, err := os.Lstat(dir)
		linked = err == nil && fi.Mode()&fs.ModeSymlink != 0 || p.behind(r, dir)
		p.links[dir] = linked
	}
	return linked
}

func (p *parcel) empty() bool { return len(p.files) == 0 && len(p.deletes) == 0 }

func (p *parcel) size() int { return len(p.files) + len(p.deletes) }

// paths lists what is sent or deleted by path on the host.
func (p *parcel) paths() []string {
	out := slices.Collect(maps.Values(p.deletes))
	for _, it := range p.files {
		out = append(out, it.file)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// add looks at one path that a rule copies, and takes it in when the container has something else. A path that is gone stands for all
// that was below it, and one that is a folder may be another folder than it was: addNoted compares what was below it.
func (p *parcel) add(r *project.Rule, file string) {
	if bound(p.conf, file) {
		return
	}
	n, ok, err := lookFor(r, file)
	switch {
	case p.behind(r, file):
		p.remove(r, file)
	case err != nil && !gone(err):
		p.blind = append(p.blind, file)
	case err != nil:
		p.remove(r, file)
	case ok && n.isDir():
		p.addFolder(r, file, n)
	case ok:
		p.compare(r, file, n)
	}
}

// addFolder compares a folder itself, and remembers it for addNoted. The folder of a rule is not the rule's.
func (p *parcel) addFolder(r *project.Rule, file string, n fileNote) {
	at := target(r, file)
	if file == r.Path {
		at = path.Clean(r.Target)
	} else {
		p.compare(r, file, n)
	}
	if p.folders[r] == nil {
		p.folders[r] = map[string]bool{}
	}
	p.folders[r][at] = true
}

// addNoted compares everything that the container has below the folders that were added for a rule. What is new in a folder is reported
// by itself, but what went with the folder that it replaced may not be.
func (p *parcel) addNoted(r *project.Rule) {
	folders := p.folders[r]
	delete(p.folders, r)
	if len(folders) == 0 {
		return
	}
	whole := folders[path.Clean(r.Target)]
	for at := range p.have {
		in := whole
		if !in {
			ancestors(at, func(dir string) bool { in = folders[dir]; return !in })
		}
		if !in {
			continue
		}
		file, ok := origin(r, at)
		if !ok || file == r.Path || bound(p.conf, file) || !r.Match(file) || watch.Ephemeral(file) {
			continue
		}
		n, ok, err := look(file)
		switch {
		case err != nil && !gone(err):
			p.blind = append(p.blind, file)
		case err != nil, p.behind(r, file):
			p.deletes[at] = file
		case ok:
			p.compare(r, file, n)
		}
	}
}

// addAll compares everything below a rule with what the container has.
func (p *parcel) addAll(r *project.Rule) {
	disk, blind := scanRule(r)
	for file, n := range disk {
		if !bound(p.conf, file) {
			p.compare(r, file, n)
		}
	}
	p.blind = append(p.blind, blind...)
	for at := range p.have {
		file, ok := origin(r, at)
		if !ok || bound(p.conf, file) || !r.Match(file) || watch.Ephemeral(file) || under(file, blind) {
			continue
		}
		if _, still := disk[file]; !still && (!there(r, file) || p.behind(r, file)) {
			p.deletes[at] = file
		}
	}
}

// there says whether a path of a rule exists, or may exist.
func there(r *project.Rule, file string) bool {
	_, _, err := lookFor(r, file)
	return err == nil || !gone(err)
}

func (p *parcel) compare(r *project.Rule, file string, n fileNote) {
	at := target(r, file)
	if have, ok := p.have[at]; ok {
		same, kept := n.same(file, have)
		if same {
			if kept != have {
				p.renewed[at] = kept
			}
			return
		}
	}
	p.files[at] = item{file: file, note: n, top: top(r, file)}
}

// top is the folder of the container that a rule fills, or the one file.
func top(r *project.Rule, file string) string {
	if file == r.Path {
		return target(r, file)
	}
	return path.Clean(r.Target)
}

// remove takes in that a path of a rule is gone. What the container was never given is left there. A folder goes with everything in it,
// but the folder of the rule stays: what else its target has in it is not the rule's.
func (p *parcel) remove(r *project.Rule, file string) {
	at := target(r, file)
	if file == r.Path && !p.one(at) {
		at = path.Clean(r.Target)
	} else if _, ok := p.have[at]; ok {
		p.deletes[at] = file
	}
	for below := range p.have {
		if _, ok := inside(at, below); ok {
			if from, ok := origin(r, below); ok && r.Match(from) {
				p.deletes[below] = from
			}
		}
	}
}

// one says whether what the container has at a path is a single file.
func (p *parcel) one(at string) bool {
	n, ok := p.have[at]
	return ok && !n.isDir()
}

// tidy settles what a parcel's parts say of each other. It is called once, after the last add.
func (p *parcel) tidy() {
	for r := range p.folders {
		p.addNoted(r)
	}
	p.keepOthers()
	replaced := false
	busy := map[string]bool{} // folders in which something stays, or comes
	for at, it := range p.files {
		ancestors(at, func(dir string) bool { busy[dir] = true; return true })
		had, ok := p.have[at]
		replaced = replaced || !it.note.isDir() && (!ok || had.isDir())
	}
	if replaced {
		for at := range p.have {
			// It went with the folder that something else has taken the place of.
			if p.lost(at) {
				p.forgotten = append(p.forgotten, at)
				delete(p.deletes, at)
			}
		}
	}
	folders := false
	for at := range p.deletes {
		folders = folders || p.have[at].isDir()
	}
	if !folders {
		return
	}
	for at := range p.have {
		if _, goes := p.deletes[at]; !goes {
			ancestors(at, func(dir string) bool { busy[dir] = true; return true })
		}
	}
	for at := range p.deletes {
		if p.have[at].isDir() && (busy[at] || p.mounted(at)) {
			p.forgotten = append(p.forgotten, at)
		}
		// What is in a folder goes with it.
		ancestors(at, func(dir string) bool {
			if _, goes := p.deletes[dir]; goes && !busy[dir] && !p.mounted(dir) {
				p.forgotten = append(p.forgotten, at)
				return false
			}
			return true
		})
	}
	for _, at := range p.forgotten {
		delete(p.deletes, at)
	}
}

// keepOthers takes out the deletions of what is sent, and sends instead of deleting what another rule puts there.
func (p *parcel) keepOthers() {
	for at := range p.deletes {
		if _, sent := p.files[at]; sent {
			delete(p.deletes, at)
			continue
		}
		for i := range p.conf.Rules {
			r := &p.conf.Rules[i]
			file, ok := origin(r, at)
			if !ok || !copies(r) || !r.Match(file) || bound(p.conf, file) || p.behind(r, file) {
				continue
			}
			if n, ok, err := lookFor(r, file); ok && err == nil {
				p.files[at] = item{file: file, note: n, top: top(r, file)}
				delete(p.deletes, at)
				break
			}
		}
	}
}

// lost says whether a parcel puts something that is no folder in the place of one that a path lies in.
func (p *parcel) lost(at string) bool {
	lost := false
	ancestors(at, func(dir string) bool {
		it, ok := p.files[dir]
		lost = ok && !it.note.isDir()
		return !lost
	})
	return lost
}

// ancestors calls f for the folders that a path of the container lies in, nearest first, as long as it says so.
func ancestors(at string, f func(dir string) bool) {
	for dir := path.Dir(at); dir != "/" && dir != "."; dir = path.Dir(dir) {
		if !f(dir) {
			return
		}
	}
}

// mounted says whether a volume is mounted at or below a path of the container: such a folder must not be replaced or removed.
func (p *parcel) mounted(at string) bool {
	for _, v := range p.conf.Config.Volumes {
		if _, ok := inside(at, path.Clean(v.Target)); ok || path.Clean(v.Target) == at {
			return true
		}
	}
	return false
}
