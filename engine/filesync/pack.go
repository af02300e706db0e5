package filesync

import (
	"context"
	"maps"
	"path"
	"slices"
	"strings"

	"bulkhead/engine/project"
)

// pack finds out what stands in the way of a diff in the container, and lists
// what is sent.
func (y *Syncer) pack(ctx context.Context, t Target, d *Diff) (*upload, error) {
	u := &upload{diff: d, sent: Manifest{}, dirs: map[string]entry{}, trees: d.trees,
		unreadable: maps.Clone(d.unreadable)}
	if d.empty() {
		return u, nil
	}
	r := y.resolver(ctx, t.ID, d.have)
	r.unreachable = y.rt.Unreachable(&t.Service.Config)
	if err := r.survey(d); err != nil {
		return nil, err
	}
	for at, it := range d.files {
		if err := y.packItem(ctx, t, u, r, at, it); err != nil {
			return nil, err
		}
	}
	for _, en := range u.dirs {
		u.entries = append(u.entries, en)
	}
	slices.SortFunc(u.entries, func(a, b entry) int { return strings.Compare(a.dest(), b.dest()) })
	if u.replace {
		return u, y.guardFolders(ctx, t, u)
	}
	return u, nil
}

// packItem lists one item and the folders that it needs, or refuses it.
func (y *Syncer) packItem(ctx context.Context, t Target, u *upload, r *resolver, at string, it item) error {
	d := u.diff
	if !t.Running && emptied(t.Service, at) {
		u.later = append(u.later, it.file) // what is written there now is gone at the start
		return nil
	}
	to, why, err := r.destination(d, at, it)
	if err != nil {
		return err
	}
	if why.refuses() {
		u.refuse(it, why)
		return nil
	}
	_, known := d.have[at]
	if it.stat.isDir() && r.there[to].Mode.IsDir() && (!known || to != at) {
		n := it.stat // the container has made it for itself, and keeps it as it is
		n.Seen = to == at
		u.sent[at] = n
		return nil
	}
	en := entry{at: at, file: it.file, rule: it.rule, stat: it.stat, below: it.top}
	if at == it.top && !it.stat.isDir() {
		en.below = path.Dir(at) // the one file of a rule
	}
	if to != at {
		en.to = to
	}
	if en.uid, en.gid, err = y.ownerFor(ctx, t, d.trees, it); err != nil {
		return err
	}
	if had := d.have[at]; had.isDir() != it.stat.isDir() && had != (FileStat{}) && to == at {
		if d.mounted(at) {
			u.refuse(it, byOther("a volume is mounted at or below %s, which is no longer a folder here; "+
				"take the volume away", at))
			return nil
		}
		u.replace = true
	}
	u.entries = append(u.entries, en)
	return r.folders(u, en, it.top)
}

// emptied says whether a path of the container lies in a volume that is empty at
// each start.
func emptied(conf *project.Service, at string) bool {
	return slices.ContainsFunc(conf.Emptied, func(dir string) bool {
		_, in := inside(path.Clean(dir), at)
		return in || path.Clean(dir) == at
	})
}

// guardFolders takes files out of the stream that would take the place of
// folders which did not come from here.
func (y *Syncer) guardFolders(ctx context.Context, t Target, u *upload) error {
	d := u.diff
	var files []string
	for _, en := range u.entries {
		if !en.stat.isDir() && !d.have[en.at].isDir() {
			files = append(files, en.dest())
		}
	}
	there, err := y.rt.Stat(ctx, t.ID, files)
	if err != nil {
		return err
	}
	u.entries = slices.DeleteFunc(u.entries, func(en entry) bool {
		to := en.dest()
		if en.stat.isDir() || d.have[en.at].isDir() || !there[to].Mode.IsDir() {
			return false
		}
		delete(u.sent, en.at)
		u.refuse(d.files[en.at], byOther("%s is a folder there, with files that are not from here; "+
			"remove it in the container, or rebuild", to))
		return true
	})
	return nil
}
