package state

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"bulkhead/engine/project"
)

// Watching is how the watching of files goes, and whose changes are carried out. It is a part of the
// State, under the same lock; its methods may be called from any goroutine.
type Watching struct {
	st     *State
	status WatchStatus
}

// On notes that notices of files come in from now on.
func (w *Watching) On() {
	st := w.st
	st.mu.Lock()
	defer st.mu.Unlock()
	w.status.On = true
	watched := 0
	for _, s := range st.known {
		if len(s.Conf.Rules) > 0 || s.Conf.Extra.Prepare != nil {
			watched++
		}
	}
	st.record(Record{Kind: "notice", Notice: "watching", Text: "watching: files of " + Count(watched)})
}

// Notice keeps a line about the watching of files: a limit, a remedy.
func (w *Watching) Notice(text string) {
	st := w.st
	st.mu.Lock()
	defer st.mu.Unlock()
	w.status.Notices = append(w.status.Notices, text)
	st.record(Record{Kind: "notice", Notice: "watch", Text: text})
}

// Held notes who changes many files at this moment, "" when nobody does any more.
func (w *Watching) Held(by string) {
	st := w.st
	st.mu.Lock()
	defer st.mu.Unlock()
	w.status.Held = by
	st.bump()
}

// Changed notes the last file of a batch.
func (w *Watching) Changed(last string, at time.Time) {
	st := w.st
	st.mu.Lock()
	defer st.mu.Unlock()
	w.status.LastPath, w.status.LastAt = last, at
	st.bump()
}

// SetMode sets the watch mode of services, or without any of the whole project. It returns what those
// of the services which are watched automatically from now on lack.
func (w *Watching) SetMode(services []string, mode project.WatchMode, cause string) map[string][]string {
	st := w.st
	st.mu.Lock()
	defer st.mu.Unlock()
	what := "all services"
	named := services
	if len(services) == 0 {
		w.status.Mode = mode
		named = st.known.Names()
	} else {
		what = strings.Join(services, ", ")
	}
	now := fmt.Sprintf("watch of %s is %s", what, mode)
	st.record(Record{Kind: "watch", Action: "mode", Cause: cause, What: now,
		Text: fmt.Sprintf("%s (%s)", now, cause)})
	lacks := map[string][]string{}
	for _, name := range named {
		s := st.services[name]
		if s == nil {
			continue
		}
		if len(services) > 0 {
			s.Files.mode = mode
		}
		if mode == project.Auto && s.Files.automatic() && len(s.Files.stale) > 0 {
			lacks[name] = slices.Sorted(maps.Keys(s.Files.stale))
		}
	}
	return lacks
}
