package filesync

import (
	"context"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"bulkhead/engine/container"
)

// maxStats is for how many files of one diff a container is asked whether a
// link stands in their place, besides those that are known to be links. Through
// the engine each is a request, and for a container that does not run a mount:
// more would take longer than the copy.
const maxStats = 200

// resolver finds out how paths of a container are reached. Links of the image
// are followed as long as they stay in the target of the rule, and are never
// replaced; a link that stands where something was put is not the image's.
type resolver struct {
	stat  func(paths []string) (map[string]container.Entry, error)
	have  Manifest
	asked map[string]bool
	there map[string]container.Entry

	// folders that are not written in, and why; only where something is to be written
	unreachable map[string]string
}

func (y *Syncer) resolver(ctx context.Context, id string, have Manifest) *resolver {
	stat := func(paths []string) (map[string]container.Entry, error) { return y.rt.Stat(ctx, id, paths) }
	return &resolver{stat: stat, have: have, asked: map[string]bool{}, there: map[string]container.Entry{}}
}

// look asks what stands at paths, once for each.
func (r *resolver) look(paths ...string) error {
	paths = slices.DeleteFunc(paths, func(at string) bool { return r.asked[at] })
	if len(paths) == 0 {
		return nil
	}
	slices.Sort(paths)
	there, err := r.stat(slices.Compact(paths))
	if err != nil {
		return err
	}
	maps.Copy(r.there, there)
	for _, at := range paths {
		r.asked[at] = true
	}
	return nil
}

// survey asks what pack needs to know of a diff's files, in two requests: where
// a folder is missing there is nothing in it.
func (r *resolver) survey(d *Diff) error {
	var dirs, files []string
	for at, it := range d.files {
		dirs = append(dirs, it.top)
		if it.stat.isDir() {
			dirs = append(dirs, at)
		}
		between(it.top, at, func(dir string) { dirs = append(dirs, dir) })
	}
	if err := r.look(dirs...); err != nil {
		return err
	}
	var links []string
	for at, it := range d.files {
		_, stands := r.there[path.Dir(at)]
		switch n := d.have[at]; {
		case it.stat.isDir() || n.Seen:
		case n.mode()&fs.ModeSymlink != 0:
			links = append(links, at)
		case stands || at == it.top:
			files = append(files, at)
		}
	}
	slices.Sort(files)
	return r.look(append(links, files[:min(len(files), maxStats)]...)...)
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
func (r *resolver) link(at string) (e container.Entry, ok bool) {
	e = r.there[at]
	return e, e.Mode&fs.ModeSymlink != 0 && !r.have[at].Seen
}

// destination says where an item is written, or why it is not.
func (r *resolver) destination(d *Diff, at string, it item) (to string, why refusal, err error) {
	if why := r.atTop(at, it); why.refuses() {
		return "", why, nil
	}
	// A link of the host takes the place of what stands there.
	to, why, err = r.follow(it.top, at, it.stat.mode()&fs.ModeSymlink == 0)
	if err != nil || why.refuses() {
		return "", why, err
	}
	for dir, why := range r.unreachable {
		if _, in := inside(dir, to); in {
			return "", byOther("%s %s", to, why), nil
		}
	}
	if to == at {
		return to, refusal{}, nil
	}
	if err := r.look(to); err != nil {
		return "", refusal{}, err
	}
	switch stands, ok := r.there[to]; {
	case ok && stands.Mode.IsDir() != it.stat.isDir():
		return "", byLink("%s lies behind a link at %s in the container, which is not of its kind; "+
			"name another target", at, to), nil
	case !it.stat.isDir():
		if other := d.source(to); other != "" {
			return "", byLink("%s lies behind a link at %s in the container, where %s goes; "+
				"name another target", at, to, other), nil
		}
	}
	return to, refusal{}, nil
}

// atTop says why an item is not written because of what stands at the target of
// its rule.
func (r *resolver) atTop(at string, it item) refusal {
	stands, ok := r.there[it.top]
	_, linked := r.link(it.top)
	switch {
	case ok && at != it.top && stands.Mode&fs.ModeSymlink != 0, at == it.top && linked &&
		it.stat.mode().IsRegular():
		return byLink("the target %s is a link to %s in the container; name that as the target",
			it.top, stands.Link)
	case ok && at != it.top && !stands.Mode.IsDir():
		return byOther("the target %s is a file in the container; name a folder as the target", it.top)
	case ok && at == it.top && stands.Mode.IsDir():
		return byOther("the target %s is a folder in the container; write %s/ to put the file into it",
			at, at)
	}
	return refusal{}
}

// follow finds where a path below a target is, by the image's links on the way
// to it, and with last by one at its end. why says that they lead out of the
// target, or to nothing that has room for it.
func (r *resolver) follow(top, at string, last bool) (to string, why refusal, err error) {
	rel, below := inside(top, at)
	if !below {
		return at, refusal{}, nil // the one file of a rule, which is its own target
	}
	cur, rest, hops := top, elements(rel), 0
	for len(rest) > 0 {
		cur, rest = path.Join(cur, rest[0]), rest[1:]
		// Whether a file stands in its own place was asked before, or is not
		// worth the question.
		if len(rest) > 0 || hops > 0 {
			if err := r.look(cur); err != nil {
				return "", refusal{}, err
			}
		}
		e, ok := r.link(cur)
		if stands, there := r.there[cur]; hops > 0 && len(rest) > 0 && !ok && there && !stands.Mode.IsDir() {
			return "", byLink("%s lies behind a link to %s in the container, which is not a folder; "+
				"name another target", at, cur), nil
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
			return "", byLink("%s is a link to %s in the container, outside of the target %s; "+
				"name %s as the target of a rule of its own", cur, e.Link, top, to), nil
		}
		cur, rest = top, append(elements(rel), rest...)
	}
	return cur, refusal{}, nil
}

func elements(rel string) []string {
	if rel == "" {
		return nil
	}
	return strings.Split(rel, "/")
}

// folders adds the folders that an entry needs: those that are missing, and
// those whose place something else has that was put there, or that the
// container put into the place of what was.
func (r *resolver) folders(u *upload, en entry, top string) error {
	to := en.dest()
	var way []string
	between(top, to, func(dir string) { way = append(way, dir) })
	if to != top {
		way = append(way, top)
	}
	if err := r.look(slices.Clone(way)...); err != nil {
		return err
	}
	for _, dir := range way {
		stands, ok := r.there[dir]
		_, in := u.diff.files[dir]
		switch n, known := u.diff.have[dir]; {
		case ok && stands.Mode.IsDir():
			if known && !n.Seen && !in && en.to == "" {
				n.Seen = true
				u.sent[dir] = n
			}
		case !in:
			u.dirs[dir] = entry{
				at: dir, uid: en.uid, gid: en.gid, below: en.below,
				stat: FileStat{Mode: uint32(fs.ModeDir | 0o755), At: time.Now().UnixNano()},
			}
			u.replace = u.replace || ok
		case ok:
			u.replace = true
		}
	}
	return nil
}

// deletions says what is to be deleted for paths below a target, so that no
// link of the image stands on the way to it. What links lead out of the target
// was never put there; and of a folder that is a link, what was put behind it
// goes, and the link stays.
func (r *resolver) deletions(top string, paths []string) ([]string, error) {
	var ask []string
	for _, at := range paths {
		between(top, at, func(dir string) { ask = append(ask, dir) })
		if n := r.have[at]; !n.mode().IsRegular() || n.Size < 0 {
			ask = append(ask, at)
		}
	}
	if err := r.look(ask...); err != nil {
		return nil, err
	}
	var all []string
	add := func(at string) error {
		to, why, err := r.follow(top, at, false)
		if err == nil && !why.refuses() {
			all = append(all, to)
		}
		return err
	}
	for _, at := range paths {
		if n := r.have[at]; n.Size < 0 && !n.isDir() && r.there[at].Mode.IsDir() {
			continue // it did not get there: the folder is the container's own
		}
		if _, linked := r.link(at); !linked || r.have[at].mode().IsRegular() {
			if err := add(at); err != nil {
				return nil, err
			}
			continue
		}
		for _, below := range within(r.have, at) {
			if r.have[below].isDir() {
				continue // it may be the image's
			}
			if err := add(below); err != nil {
				return nil, err
			}
		}
	}
	return all, nil
}
