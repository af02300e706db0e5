package watch

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// The flags of FSEvents, by the numbers of CoreServices' FSEvents.h. They stand
// here, and not with the calls, so that their meaning is tested on every system.
const (
	flagMustScan      = 0x1 // look at all below: notices became one
	flagUserDropped   = 0x2
	flagKernelDropped = 0x4
	flagWrapped       = 0x8  // numbers begin again
	flagHistoryDone   = 0x10 // the end of what happened before the stream; its path says nothing
	flagRootChanged   = 0x20 // a folder on the way to a path of the stream
	flagMount         = 0x40
	flagUnmount       = 0x80
	flagCreated       = 0x100
	flagRemoved       = 0x200
	flagInodeMeta     = 0x400 // times, permissions
	flagRenamed       = 0x800 // to this name, or away from it
	flagModified      = 0x1000
	flagFinderInfo    = 0x2000
	flagOwner         = 0x4000
	flagXattr         = 0x8000
)

// rawEvent is one event of FSEvents: what happened to a path since the last
// event about it, and sometimes what happened before, all in one.
type rawEvent struct {
	path  string
	flags uint32
	id    uint64 // grows with every event of the system; zero when it is about a stream
}

// source is what streams need of FSEvents.
type source interface {
	// latest is the number of the system's last event.
	latest() uint64
	// open starts a stream of all that happens below paths, also of what
	// happened after the event since. stop returns when nothing more is sent.
	open(paths []string, since uint64, out chan<- []rawEvent) (stop func(), err error)
}

// disk is what streams look up, because flags tell what was and not what is.
type disk struct {
	// lstat also returns when the file or its name was changed last, zero when
	// nobody knows.
	lstat func(path string) (fs.FileInfo, time.Time, error)
	names func(dir string) ([]string, error)
}

// streams is the kernel on a system that watches trees and not folders: one
// stream covers all folders that were added. It starts again when another tree
// is added, with what happened meanwhile.
type streams struct {
	src  source
	disk disk
	raw  chan []rawEvent
	done chan struct{}

	turn  sync.Mutex // held while streams start and stop; the reader never takes it
	tops  map[string]struct{}
	dirty bool
	since uint64 // where the stream begins; when dirty, where the next one does
	stop  func() // nil when there is no stream
	ended bool

	mu    sync.Mutex
	bases []string // tops, for the reader
	last  uint64   // event
	added map[string]*addition
}

// clockSlack is how far the times of a file system may lag behind the clock.
const clockSlack = 20 * time.Millisecond

// addition is a folder that was added.
type addition struct {
	id    fileID
	at    time.Time
	files map[string]stamp // those in it that had an event
	// it was seen to be gone, and the keeper is told: it removes the folder when it comes to that
	gone bool
}

func newStreams(src source, d disk) *streams {
	return &streams{
		src: src, disk: d, raw: make(chan []rawEvent), done: make(chan struct{}),
		tops: map[string]struct{}{}, added: map[string]*addition{},
	}
}

func (s *streams) add(dir string) error {
	info, _, err := s.disk.lstat(dir)
	if err != nil {
		return err
	}
	id, _ := idOf(info)
	s.turn.Lock()
	defer s.turn.Unlock()
	if !covers(s.tops, dir) {
		s.change()
		s.tops[dir] = struct{}{}
	}
	s.mu.Lock()
	s.added[dir] = &addition{id: id, at: time.Now(), files: map[string]stamp{}}
	s.mu.Unlock()
	return nil
}

func (s *streams) remove(dir string) error {
	s.turn.Lock()
	defer s.turn.Unlock()
	s.mu.Lock()
	delete(s.added, dir)
	s.mu.Unlock()
	if _, top := s.tops[dir]; top {
		s.change()
		delete(s.tops, dir)
	}
	return nil
}

// change notes that there must be another stream. Callers hold turn.
func (s *streams) change() {
	if s.dirty {
		return
	}
	s.dirty = true
	if s.stop == nil {
		s.since = s.src.latest()
		return
	}
	// What the running stream has not handed over yet must not go with it.
	s.mu.Lock()
	s.since = max(s.since, s.last)
	s.mu.Unlock()
}

func (s *streams) flush() error {
	s.turn.Lock()
	defer s.turn.Unlock()
	if !s.dirty || s.ended {
		return nil
	}
	s.dirty = false
	s.mu.Lock()
	s.tops = topsOf(s.added)
	s.bases = slices.Sorted(maps.Keys(s.tops))
	paths := s.bases
	s.mu.Unlock()
	var stop func()
	if len(paths) > 0 {
		var err error
		if stop, err = s.src.open(paths, s.since, s.raw); err != nil {
			return err
		}
	}
	if s.stop != nil {
		s.stop() // after the new one began: what both tell of is one change
	}
	s.stop = stop
	return nil
}

func (s *streams) close() error {
	s.turn.Lock()
	if s.stop != nil {
		s.stop()
	}
	s.stop, s.ended = nil, true
	s.turn.Unlock()
	close(s.done)
	return nil
}

func (s *streams) trees() bool { return true }

func (s *streams) read(in *inbox) error {
	for {
		select {
		case raw := <-s.raw:
			now := time.Now()
			for _, e := range s.translate(raw) {
				e.first, e.last = now, now
				in.post(e)
			}
		case <-s.done:
			return nil
		}
	}
}

// covers says whether dir is one of tops, or lies below one.
func covers(tops map[string]struct{}, dir string) bool {
	for {
		if _, ok := tops[dir]; ok {
			return true
		}
		up := filepath.Dir(dir)
		if up == dir {
			return false
		}
		dir = up
	}
}

// topsOf leaves out the folders that lie below another one.
func topsOf(added map[string]*addition) map[string]struct{} {
	tops := map[string]struct{}{}
	for _, dir := range slices.Sorted(maps.Keys(added)) { // what is above comes first
		if !covers(tops, dir) {
			tops[dir] = struct{}{}
		}
	}
	return tops
}

// translate turns what FSEvents tells into what the keeper hears: about names
// in folders that were added, with what the disk says of them now.
func (s *streams) translate(raw []rawEvent) (out []event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	names := map[string][]string{} // of folders; all of raw happened before any of it is listed
	for _, r := range raw {
		s.last = max(s.last, r.id)
		path := s.spelled(r.path)
		switch {
		case r.flags&flagWrapped != 0:
			s.last = r.id
			out = append(out, event{op: opLost})
			continue
		case r.flags&flagHistoryDone != 0:
			continue
		case r.flags&(flagUserDropped|flagKernelDropped) != 0, r.flags&flagMustScan != 0 && s.concerns(path):
			out = append(out, event{op: opLost})
			continue
		case r.flags&flagMustScan != 0:
			continue // all below is ignored
		case r.flags&flagRootChanged != 0:
			out = append(out, event{path: path, op: opGone})
			continue
		}
		if s.added[filepath.Dir(path)] == nil && s.added[path] == nil {
			continue // in a folder that is ignored
		}
		if o := s.resolve(path, r.flags, names); o != 0 {
			out = append(out, event{path: path, op: o})
		}
	}
	return out
}

// spelled returns the path of an event as the keeper knows it. FSEvents may name
// a file below the volume that holds it, and returns names as they stand on the
// disk, where the user may have written a root in other cases.
func (s *streams) spelled(path string) string {
	// A path that is relative to its device begins with no slash.
	path = filepath.Join(string(filepath.Separator), path)
	spellings := []string{path, strings.TrimPrefix(path, "/System/Volumes/Data"), "/private" + path}
	for _, p := range spellings {
		for _, top := range s.bases {
			if _, ok := below(top, p); ok {
				return p
			}
		}
	}
	for _, p := range spellings {
		for _, top := range s.bases {
			if n := len(top); len(p) >= n && strings.EqualFold(p[:n], top) &&
				(len(p) == n || os.IsPathSeparator(p[n])) {
				return top + p[n:]
			}
		}
	}
	return path
}

// concerns says whether a folder was added that is dir, or lies below it.
func (s *streams) concerns(dir string) bool {
	for a := range s.added {
		if _, ok := below(dir, a); ok {
			return true
		}
	}
	return false
}

// resolve says what happened to a path. Flags pile up (a file that was made,
// written and removed has all three, in no order), and may be from before the
// stream, so that they only say where to look.
func (s *streams) resolve(path string, flags uint32, names map[string][]string) op {
	info, changed, err := s.disk.lstat(path)
	if err == nil && flags&(flagRenamed|flagRemoved) != 0 && !s.standsAs(path, names) {
		err = fs.ErrNotExist // only in other cases
	}
	parent, self := s.added[filepath.Dir(path)], s.added[path]
	var before stamp
	known := false
	if parent != nil {
		before, known = parent.files[path]
		delete(parent.files, path)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if self != nil {
			self.gone = true
		}
		return opGone
	case err != nil:
		return opAttrib // no permission to look at it: nothing can be said
	case self != nil:
		if id, _ := idOf(info); self.gone || !info.IsDir() || id != self.id ||
			flags&(flagMount|flagUnmount) != 0 {
			return opGone | opCreate
		}
		return opAttrib // what is in it has events of its own
	case info.IsDir() && flags&(flagCreated|flagRenamed|flagRemoved|flagMount|flagUnmount) != 0:
		return opCreate
	case info.IsDir():
		return opAttrib
	}
	now := stampOf(info)
	parent.files[path] = now
	switch {
	case known && now == before:
		return 0 // an older flag, or an attribute that is no change
	case known && now.id != before.id:
		return opCreate
	case known && (now.time != before.time || now.size != before.size):
		return opWrite
	case known:
		return opAttrib
	case flags&flagRenamed == 0 && !changed.IsZero() && changed.Before(parent.at.Add(-clockSlack)):
		return 0 // from before the folder was added
	case flags&(flagCreated|flagRenamed|flagRemoved) != 0:
		return opCreate
	case flags&flagModified != 0:
		return opWrite
	}
	return opAttrib
}

// standsAs says whether a name that can be looked up is spelled so in its
// folder: where cases are one, a file that was renamed from readme to README
// is found by both. A name that is written in other Unicode than it is stored
// in has no such twin, and counts as there.
func (s *streams) standsAs(path string, names map[string][]string) bool {
	dir, base := filepath.Dir(path), filepath.Base(path)
	all, ok := names[dir]
	if !ok {
		var err error
		if all, err = s.disk.names(dir); err != nil {
			return true
		}
		names[dir] = all
	}
	return slices.Contains(all, base) || !slices.ContainsFunc(all, func(n string) bool {
		return strings.EqualFold(n, base)
	})
}
