package state

import (
	"maps"

	"bulkhead/engine/project"
)

// Files is what the running code of a service owes to files that changed. It is a part of its Member,
// under the same lock; its methods may be called from any goroutine.
type Files struct {
	s          *Member
	mode       project.WatchMode
	pending    map[string]struct{} // paths of batches that the lane has not begun to carry out
	stale      map[string]struct{} // paths that the running code does not have
	unbuilt    bool                // the last build failed: up tries it again
	unapplied  bool                // its containers are not what the project wants, since that failed: up tries it again
	unprepared bool                // the last prepare failed: up runs it again
}

func newFiles(s *Member, mode project.WatchMode) Files {
	return Files{s: s, mode: mode, pending: map[string]struct{}{}, stale: map[string]struct{}{}}
}

// Pending notes paths that wait for the lane.
func (f *Files) Pending(paths map[string]struct{}) {
	f.s.st.mu.Lock()
	defer f.s.st.mu.Unlock()
	maps.Copy(f.pending, paths)
	f.s.st.bump()
}

// Taken notes that the lane has begun to carry out what was pending.
func (f *Files) Taken() {
	f.s.st.mu.Lock()
	defer f.s.st.mu.Unlock()
	clear(f.pending)
}

// MarkStale notes paths that the running code does not have.
func (f *Files) MarkStale(paths ...string) {
	f.s.st.mu.Lock()
	defer f.s.st.mu.Unlock()
	for _, p := range paths {
		f.stale[p] = struct{}{}
	}
	if len(paths) > 0 {
		f.s.st.bump()
	}
}

// ClearStale takes paths that are carried out off the list of what the running code does not have, or with all
// everything, and what was wrong with the service with them.
func (f *Files) ClearStale(paths map[string]struct{}, all bool) {
	f.s.st.mu.Lock()
	defer f.s.st.mu.Unlock()
	for p := range paths {
		delete(f.stale, p)
	}
	if all {
		clear(f.stale)
	}
	f.s.failLocked(nil)
	f.s.update()
}

// SetUnbuilt notes whether the last build failed.
func (f *Files) SetUnbuilt(failed bool) {
	f.s.st.mu.Lock()
	defer f.s.st.mu.Unlock()
	f.unbuilt = failed
}

// SetUnapplied notes whether the service could not be brought where the project wants it.
func (f *Files) SetUnapplied(failed bool) {
	f.s.st.mu.Lock()
	defer f.s.st.mu.Unlock()
	f.unapplied = failed
	f.s.st.bump()
}

// SetUnprepared notes whether the last prepare failed.
func (f *Files) SetUnprepared(failed bool) {
	f.s.st.mu.Lock()
	defer f.s.st.mu.Unlock()
	f.unprepared = failed
}

// Unprepared says whether the last prepare failed.
func (f *Files) Unprepared() bool {
	f.s.st.mu.Lock()
	defer f.s.st.mu.Unlock()
	return f.unprepared
}

// Automatic says whether changes of the service's files are carried out without being asked: its own
// mode and that of the whole project are so.
func (f *Files) Automatic() bool {
	f.s.st.mu.Lock()
	defer f.s.st.mu.Unlock()
	return f.automatic()
}

// automatic is Automatic for callers that hold the State's lock.
func (f *Files) automatic() bool {
	all := f.s.st.Watching.status.Mode
	return f.mode == project.Auto && all != project.Off && all != project.Manual
}

// Mode is how the service's own files are watched, whatever is so for the whole project.
func (f *Files) Mode() project.WatchMode {
	f.s.st.mu.Lock()
	defer f.s.st.mu.Unlock()
	return f.mode
}
