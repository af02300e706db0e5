package engine

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"bulkhead/engine/project"
)

// looked is for how many files of one parcel a container is asked whether a link stands in their place, besides those that are known to be
// links. Through the engine each is a request, and for a container that does not run a mount: more would take longer than the copy.
const looked = 200

// pack finds out what stands in a parcel's way in the container, and makes the list of what is sent.
func (e *Engine) pack(ctx context.Context, s *service, id string, p *parcel, l *load) error {
	w := e.ways(ctx, id, p.have)
	if err := w.survey(p); err != nil {
		return say(err, "copy into %s", s.name)
	}
	dirs := map[string]entry{}
	for at, it := range p.files {
		to, why, err := w.place(p, at, it)
		if err != nil {
			return say(err, "copy into %s", s.name)
		}
		if why != "" {
			l.refuse(it, "%s", why)
			continue
		}
		_, known := p.have[at]
		if it.note.isDir() && w.there[to].Mode.IsDir() && (!known || to != at) {
			n := it.note // the container has made it for itself, and keeps it as it is
			n.Seen = to == at
			l.sent[at] = n
			continue
		}
		en := entry{at: at, file: it.file, note: it.note}
		if to != at {
			en.to = to
		}
		if en.uid, en.gid, err = e.ownerFor(ctx, s, id, it.top, it.file); err != nil {
			return say(err, "copy into %s", s.name)
		}
		if had := p.have[at]; had.isDir() != it.note.isDir() && had != (fileNote{}) && to == at {
			if p.mounted(at) {
				l.refuse(it, "a volume is mounted at or below %s, which is no longer a folder here; take the volume away", at)
				continue
			}
			l.replace = true
		}
		l.entries = append(l.entries, en)
		if err := w.folders(p, l, en, it.top, dirs); err != nil {
			return say(err, "copy into %s", s.name)
		}
	}
	l.entries = slices.AppendSeq(l.entries, maps.Values(dirs))
	slices.SortFunc(l.entries, func(a, b entry) int { return strings.Compare(a.dest(), b.dest()) })
	if l.replace {
		return e.guardFolders(ctx, s, id, p, l)
	}
	return nil
}

// inMemory says whether a path of the container lies in a tmpfs.
func inMemory(conf *project.Service, at string) bool {
	var all []string
	for _, t := range conf.Config.Tmpfs {
		where, _, _ := strings.Cut(t, ":")
		all = append(all, where)
	}
	for _, v := range conf.Config.Volumes {
		if v.Type == "tmpfs" {
			all = append(all, v.Target)
		}
	}
	return slices.ContainsFunc(all, func(dir string) bool { _, in := inside(path.Clean(dir), at); return in })
}

// guardFolders takes files out of the stream that would take the place of folders which did not come from here.
func (e *Engine) guardFolders(ctx context.Context, s *service, id string, p *parcel, l *load) error {
	var files []string
	for _, en := range l.entries {
		if !en.note.isDir() && !p.have[en.at].isDir() {
			files = append(files, en.dest())
		}
	}
	there, err := e.rt.Stat(ctx, id, files)
	if err != nil {
		return say(err, "copy into %s", s.name)
	}
	l.entries = slices.DeleteFunc(l.entries, func(en entry) bool {
		to := en.dest()
		if en.note.isDir() || p.have[en.at].isDir() || !there[to].Mode.IsDir() {
			return false
		}
		delete(l.sent, en.at)
		l.refuse(p.files[en.at], "%s is a folder there, with files that are not from here; remove it in the container, or rebuild", to)
		return true
	})
	return nil
}

// ways finds out how paths of a container are reached. Links of the image are followed as long as they stay in the target of the rule, and
// are never replaced; a link that stands where something was put is not the image's.
type ways struct {
	stat  func(paths []string) (map[string]Entry, error)
	have  table
	asked map[string]bool
	there map[string]Entry
}

func (e *Engine) ways(ctx context.Context, id string, have table) *ways {
	stat := func(paths []string) (map[string]Entry, error) { return e.rt.Stat(ctx, id, paths) }
	return &ways{stat: stat, have: have, asked: map[string]bool{}, there: map[string]Entry{}}
}

// look asks what stands at paths, once each.
func (w *ways) look(paths ...string) error {
	paths = slices.DeleteFunc(paths, func(at string) bool { return w.asked[at] })
	if len(paths) == 0 {
		return nil
	}
	slices.Sort(paths)
	there, err := w.stat(slices.Compact(paths))
	if err != nil {
		return err
	}
	maps.Copy(w.there, there)
	for _, at := range paths {
		w.asked[at] = true
	}
	return nil
}

// survey asks what pack needs to know of a parcel's files, in two goes: where a folder is missing there is nothing in it.
func (w *ways) survey(p *parcel) error {
	var dirs, files []string
	for at, it := range p.files {
		dirs = append(dirs, it.top)
		if it.note.isDir() {
			dirs = append(dirs, at)
		}
		between(it.top, at, func(dir string) { dirs = append(dirs, dir) })
	}
	if err := w.look(dirs...); err != nil {
		return err
	}
	var links []string
	for at, it := range p.files {
		_, stands := w.there[path.Dir(at)]
		switch n := p.have[at]; {
		case it.note.isDir() || n.Seen:
		case n.mode()&fs.ModeSymlink != 0:
			links = append(links, at)
		case stands || at == it.top:
			files = append(files, at)
		}
	}
	slices.Sort(files)
	return w.look(append(links, files[:min(len(files), looked)]...)...)
}

// between calls f for the folders on the way from a target to what is put below it.
func between(top, at string, f func(dir string)) {
	if at == top {
		return
	}
	ancestors(at, func(dir string) bool {
		if dir != top {
			f(dir)
		}
		return dir != top
	})
}

// link returns the image's link at a path; ok is false when there is none.
func (w *ways) link(at string) (e Entry, ok bool) {
	e = w.there[at]
	return e, e.Mode&fs.ModeSymlink != 0 && !w.have[at].Seen
}

// place says where an item is written, or why it is not.
func (w *ways) place(p *parcel, at string, it item) (to, why string, err error) {
	stands, ok := w.there[it.top]
	_, linked := w.link(it.top)
	switch {
	case ok && at != it.top && stands.Mode&fs.ModeSymlink != 0, at == it.top && linked && it.note.mode().IsRegular():
		return "", fmt.Sprintf("the target %s is a link to %s in the container; name that as the target", it.top, stands.Link), nil
	case ok && at != it.top && !stands.Mode.IsDir():
		return "", fmt.Sprintf("the target %s is a file in the container; name a folder as the target", it.top), nil
	case ok && at == it.top && stands.Mode.IsDir():
		return "", fmt.Sprintf("the target %s is a folder in the container; write %s/ to put the file into it", at, at), nil
	}
	// A link of the host takes the place of what stands there.
	to, why, err = w.follow(it.top, at, it.note.mode()&fs.ModeSymlink == 0)
	if err != nil || why != "" {
		return "", why, err
	}
	if inMemory(p.conf, to) {
		return "", fmt.Sprintf("%s lies in a tmpfs, which copies through the engine do not reach; mount a volume there instead", to), nil
	}
	if to == at {
		return to, "", nil
	}
	if err := w.look(to); err != nil {
		return "", "", err
	}
	switch stands, ok := w.there[to]; {
	case ok && stands.Mode.IsDir() != it.note.isDir():
		return "", fmt.Sprintf("%s lies behind a link at %s in the container, which is not of its kind; name another target", at, to), nil
	case !it.note.isDir():
		if other := p.source(to); other != "" {
			return "", fmt.Sprintf("%s lies behind a link at %s in the container, where %s goes; name another target", at, to, other), nil
		}
	}
	return to, "", nil
}

// source is the path on the host that the rules put at a path of the container, "" when there is none.
func (p *parcel) source(at string) string {
	for i := range p.conf.Rules {
		r := &p.conf.Rules[i]
		if file, ok := origin(r, at); ok && copies(r) && r.Match(file) && !bound(p.conf, file) && !p.behind(r, file) && there(r, file) {
			return file
		}
	}
	return ""
}

// follow finds where a path below a target is, by the image's links on the way to it, and with last by one at its end. why says that they
// lead out of the target, or to nothing that has room for it.
func (w *ways) follow(top, at string, last bool) (to, why string, err error) {
	rel, below := inside(top, at)
	if !below {
		return at, "", nil // the one file of a rule, which is its own target
	}
	cur, rest, hops := top, elements(rel), 0
	for len(rest) > 0 {
		cur, rest = path.Join(cur, rest[0]), rest[1:]
		// Whether a file stands in its own place was asked before, or is not worth the question.
		if len(rest) > 0 || hops > 0 {
			if err := w.look(cur); err != nil {
				return "", "", err
			}
		}
		e, ok := w.link(cur)
		if stands, there := w.there[cur]; hops > 0 && len(rest) > 0 && !ok && there && !stands.Mode.IsDir() {
			return "", fmt.Sprintf("%s lies behind a link to %s in the container, which is not a folder; name another target", at, cur), nil
		}
		if !ok || len(rest) == 0 && !last {
			continue
		}
		to := e.Link
		if !path.IsAbs(to) {
			to = path.Join(path.Dir(cur), to)
		}
		to = path.Clean(to)
		rel, in := inside(top, to)
		if to == top {
			rel, in = "", true
		}
		if hops++; !in || hops > 40 { // as many links as Linux follows
			return "", fmt.Sprintf("%s is a link to %s in the container, outside of the target %s; name %s as the target of a rule of its own", cur, e.Link, top, to), nil
		}
		cur, rest = top, append(elements(rel), rest...)
	}
	return cur, "", nil
}

func elements(rel string) []string {
	if rel == "" {
		return nil
	}
	return strings.Split(rel, "/")
}

// folders adds the folders that an entry needs: those that are missing, and those whose place something else has that was put there, or
// that the container put into the place of what was.
func (w *ways) folders(p *parcel, l *load, en entry, top string, dirs map[string]entry) error {
	to := en.dest()
	var way []string
	between(top, to, func(dir string) { way = append(way, dir) })
	if to != top {
		way = append(way, top)
	}
	if err := w.look(slices.Clone(way)...); err != nil {
		return err
	}
	for _, dir := range way {
		stands, ok := w.there[dir]
		_, in := p.files[dir]
		switch n, known := p.have[dir]; {
		case ok && stands.Mode.IsDir():
			if known && !n.Seen && !in && en.to == "" {
				n.Seen = true
				l.sent[dir] = n
			}
		case !in:
			dirs[dir] = entry{at: dir, note: fileNote{Mode: uint32(fs.ModeDir | 0o755)}, uid: en.uid, gid: en.gid}
			l.replace = l.replace || ok
		case ok:
			l.replace = true
		}
	}
	return nil
}

// deletions says what is to be deleted for paths below a target, so that no link of the image stands on the way to it. What links lead out of
// the target was never put there; and of a folder that is a link, what was put behind it goes, and the link stays.
func (w *ways) deletions(top string, paths []string) ([]string, error) {
	var ask []string
	for _, at := range paths {
		between(top, at, func(dir string) { ask = append(ask, dir) })
		if n := w.have[at]; !n.mode().IsRegular() {
			ask = append(ask, at)
		}
	}
	if err := w.look(ask...); err != nil {
		return nil, err
	}
	var all []string
	add := func(at string) error {
		to, why, err := w.follow(top, at, false)
		if err == nil && why == "" {
			all = append(all, to)
		}
		return err
	}
	for _, at := range paths {
		if _, linked := w.link(at); !linked || w.have[at].mode().IsRegular() {
			if err := add(at); err != nil {
				return nil, err
			}
			continue
		}
		for _, below := range within(w.have, at) {
			if w.have[below].isDir() {
				continue // it may be the image's
			}
			if err := add(below); err != nil {
				return nil, err
			}
		}
	}
	return all, nil
}
