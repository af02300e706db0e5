package watch

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"
)

// linuxDisk is what streams look up, on the disk of this system.
var linuxDisk = disk{
	lstat: func(path string) (fs.FileInfo, time.Time, error) {
		info, err := os.Lstat(path)
		if err != nil {
			return nil, time.Time{}, err
		}
		return info, time.Unix(info.Sys().(*syscall.Stat_t).Ctim.Unix()), nil
	},
	names: func(dir string) (names []string, err error) {
		entries, err := os.ReadDir(dir)
		for _, e := range entries {
			names = append(names, e.Name())
		}
		return names, err
	},
}

// events makes up what FSEvents would tell of a folder: it looks at all of it
// every few milliseconds and tells the differences in FSEvents' manner. Flags
// of a path pile up, a moved folder is told of without its content, and a
// stream begins with what happened since the given number.
type events struct {
	top string

	mu    sync.Mutex
	seen  map[string]stamp
	flags map[string]uint32
	log   []rawEvent
	more  chan struct{} // closed and replaced when the log grows
}

func madeUp(t testing.TB, top string) *events {
	e := &events{top: top, seen: map[string]stamp{}, flags: map[string]uint32{}, more: make(chan struct{})}
	e.look()
	e.log = nil
	quit, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(3 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-quit:
				return
			case <-tick.C:
				e.look()
			}
		}
	}()
	t.Cleanup(func() { close(quit); <-ended })
	return e
}

func (e *events) look() {
	e.mu.Lock()
	defer e.mu.Unlock()
	now, order := e.snapshot()
	ids := map[fileID]bool{}
	for _, s := range now {
		ids[s.id] = true
	}
	old := map[fileID]bool{}
	for _, s := range e.seen {
		old[s.id] = true
	}
	// Where each was and is: what moved by itself did not move with a folder that it is in now.
	was, is := parents(e.seen), parents(now)
	n := len(e.log)
	tell := func(path string, flags uint32) {
		e.flags[path] |= flags
		e.log = append(e.log, rawEvent{path, e.flags[path], uint64(len(e.log)) + 1})
	}
	for path, before := range e.seen {
		if s, ok := now[path]; ok && s.id == before.id {
			continue
		}
		switch up := e.seen[filepath.Dir(path)]; {
		case up != stamp{} && is[before.id] == up.id && now[filepath.Dir(path)].id != up.id:
			// It went with the folder, which is told of.
		case ids[before.id]:
			tell(path, flagRenamed)
		default:
			tell(path, flagRemoved)
		}
	}
	for _, path := range order {
		s := now[path]
		before, ok := e.seen[path]
		up := now[filepath.Dir(path)]
		switch {
		case ok && s == before:
		case (!ok || s.id != before.id) && old[s.id] && was[s.id] == up.id &&
			e.seen[filepath.Dir(path)].id != up.id:
			// It came with the folder.
		case !ok && old[s.id], ok && s.id != before.id && old[s.id]:
			tell(path, flagRenamed)
		case !ok, s.id != before.id:
			tell(path, flagCreated)
		case s.time != before.time && s.size == before.size:
			tell(path, flagInodeMeta|flagModified)
		case s.time != before.time || s.size != before.size:
			tell(path, flagModified)
		default:
			tell(path, flagInodeMeta)
		}
	}
	e.seen = now
	if len(e.log) > n {
		close(e.more)
		e.more = make(chan struct{})
	}
}

// snapshot returns all that is below the top, and its paths in order, as it stood at one moment. A
// folder that moves during a walk is passed by at both of its places; two walks in a row that find
// everything where the other did had nothing move between them.
func (e *events) snapshot() (all map[string]stamp, order []string) {
	for all, order = e.walk(); ; {
		again, next := e.walk()
		if slices.Equal(order, next) && !slices.ContainsFunc(next, func(p string) bool {
			return again[p].id != all[p].id
		}) {
			return again, next
		}
		all, order = again, next
	}
}

func (e *events) walk() (all map[string]stamp, order []string) {
	all = map[string]stamp{}
	// What goes while it is looked at is missing in the next walk too.
	_ = filepath.WalkDir(e.top, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil
		}
		if info, err := d.Info(); err == nil {
			all[path] = inFolder(info)
			order = append(order, path)
		}
		return nil
	})
	return all, order
}

// parents are the folders that things are in.
func parents(all map[string]stamp) map[fileID]fileID {
	out := make(map[fileID]fileID, len(all))
	for path, s := range all {
		if up, ok := all[filepath.Dir(path)]; ok {
			out[s.id] = up.id
		}
	}
	return out
}

func (e *events) latest() uint64 {
	e.look()
	e.mu.Lock()
	defer e.mu.Unlock()
	return uint64(len(e.log))
}

func (e *events) open(paths []string, since uint64, out chan<- []rawEvent) (stop func(), err error) {
	quit, ended := make(chan struct{}), make(chan struct{})
	tops := map[string]struct{}{}
	for _, p := range paths {
		tops[p] = struct{}{}
	}
	go func() {
		defer close(ended)
		for {
			e.mu.Lock()
			fresh, more := e.log[since:], e.more
			e.mu.Unlock()
			since += uint64(len(fresh))
			var raw []rawEvent
			for _, r := range fresh {
				if covers(tops, r.path) {
					raw = append(raw, r)
				}
			}
			if len(raw) > 0 {
				select {
				case out <- append(raw, rawEvent{flags: flagHistoryDone}):
				case <-quit:
					return
				}
			}
			select {
			case <-more:
			case <-quit:
				return
			}
		}
	}()
	return func() { close(quit); <-ended }, nil
}
