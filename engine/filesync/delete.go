package filesync

import (
	"context"
	"errors"
	"maps"
	"path"
	"slices"

	"bulkhead/engine/container"
	"bulkhead/engine/project"
)

// deleteOrOwe carries out the deletions of a diff. Those that must wait until
// the container runs again are returned.
func (y *Syncer) deleteOrOwe(ctx context.Context, t Target, d *Diff) (owed []string, err error) {
	if len(d.deletes) == 0 {
		return nil, nil
	}
	all := slices.Sorted(maps.Keys(d.deletes))
	err = y.deleteAll(ctx, t, all, d.have)
	if errors.Is(err, container.ErrUnsupported) && y.stopped(ctx, t.ID) {
		return all, nil
	}
	if err != nil {
		return nil, container.WrapErr(err, "delete in %s", t.Service.Name)
	}
	return nil, nil
}

// stopped says whether a container does not run, so that what cannot be deleted
// now can be at its next start.
func (y *Syncer) stopped(ctx context.Context, id string) bool {
	in, err := y.rt.Inspect(ctx, id)
	return err == nil && in.State != container.StateRunning && in.State != container.StatePaused
}

// DeleteOwed carries out the deletions that a container still owes from when it
// did not run, unless it does not run again. gone is what the container really
// had until now: the paths on the host, by the index of the rule that put them
// there.
func (y *Syncer) DeleteOwed(ctx context.Context, t Target) (gone map[int][]string, err error) {
	owes := y.records.owes(t.ID)
	if len(owes) == 0 {
		return nil, nil
	}
	all := slices.Sorted(maps.Keys(owes))
	there, err := y.rt.Stat(ctx, t.ID, all)
	known := err == nil // else each counts as one that was there
	err = y.deleteAll(ctx, t, all, owes)
	if errors.Is(err, container.ErrUnsupported) && y.stopped(ctx, t.ID) {
		return nil, nil
	}
	if err != nil {
		return nil, container.WrapErr(err, "delete in %s", t.Service.Name)
	}
	y.records.change(t.ID, func(_, owes Manifest) {
		for _, at := range all {
			delete(owes, at)
		}
	})
	gone = map[int][]string{}
	for _, at := range all {
		if _, was := there[at]; known && !was {
			continue
		}
		if i, file := putBy(t.Service, at); i >= 0 {
			gone[i] = append(gone[i], file)
		}
	}
	return gone, nil
}

// putBy returns the index of the rule that put a path into the container, and
// the path on the host that it came from; -1 when there is no such rule any more.
func putBy(conf *project.Service, at string) (rule int, file string) {
	rule = -1
	for i := range conf.Rules {
		r := &conf.Rules[i]
		from, ok := origin(r, at)
		if !ok || !r.Action.Syncs() {
			continue
		}
		if rule < 0 || len(path.Clean(r.Target)) > len(path.Clean(conf.Rules[rule].Target)) {
			rule, file = i, from
		}
	}
	return rule, file
}

// deleteAll deletes paths in a container, each below the target of its rule.
// known is what is recorded of them, and of what is below them.
func (y *Syncer) deleteAll(ctx context.Context, t Target, paths []string, known Manifest) error {
	by := map[string][]string{}
	for _, at := range paths {
		if dir, ok := topOf(t.Service, at); ok {
			by[dir] = append(by[dir], at)
		}
	}
	r := y.resolver(ctx, t.ID, known)
	for _, dir := range slices.Sorted(maps.Keys(by)) {
		real, err := r.deletions(dir, by[dir])
		if err != nil {
			return err
		}
		by[dir] = real
	}
	for _, dir := range slices.Sorted(maps.Keys(by)) {
		if len(by[dir]) == 0 {
			continue
		}
		if err := y.rt.Delete(ctx, t.ID, dir, by[dir]); err != nil {
			return err
		}
	}
	return nil
}

// topOf returns the folder below which a path was put by a rule: the rule's
// target, or the one that the single file of a rule is in. ok is false when no
// rule puts anything there any more.
func topOf(conf *project.Service, at string) (dir string, ok bool) {
	for i := range conf.Rules {
		r := &conf.Rules[i]
		if !r.Action.Syncs() {
			continue
		}
		t := path.Clean(r.Target)
		if _, in := inside(t, at); in && len(t) > len(dir) {
			dir, ok = t, true
		}
		if at == target(r, r.Path) && !ok {
			dir, ok = path.Dir(at), true
		}
	}
	return dir, ok
}

// within lists the paths of a manifest below a folder.
func within(t Manifest, dir string) (all []string) {
	for at := range t {
		if _, ok := inside(dir, at); ok {
			all = append(all, at)
		}
	}
	return all
}
