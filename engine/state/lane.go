package state

import (
	"bulkhead/engine/condition"
	"bulkhead/engine/container"
	"bulkhead/engine/project"
)

// Lane is what the lane of a service is at. It is a part of its Member, under the same lock; its methods
// may be called from any goroutine.
type Lane struct {
	s        *Member
	doing    string
	moves    bool    // its task stops, starts or replaces the service on purpose
	hookErrs []error // pre_stop hooks that failed during its task

	calledOff bool // see Service.CalledOff
}

// SetDoing shows what the lane is at in words.
func (la *Lane) SetDoing(text string) {
	s := la.s
	s.st.mu.Lock()
	defer s.st.mu.Unlock()
	if la.doing != text {
		la.doing = text
		s.st.bump()
	}
}

// CallOff notes that what was to make the service run was ended before it did.
func (la *Lane) CallOff() {
	s := la.s
	s.st.mu.Lock()
	defer s.st.mu.Unlock()
	la.calledOff = true
	s.st.bump()
}

// Set notes what the lane is at.
func (la *Lane) Set(l condition.Lane) {
	s := la.s
	s.st.mu.Lock()
	defer s.st.mu.Unlock()
	if l != s.c.Lane {
		s.c.Lane = l
		s.update()
	}
}

// Begin notes that the lane begins a task: with moves one that moves the service on purpose, and with
// conf one with which a changed configuration takes effect.
func (la *Lane) Begin(l condition.Lane, moves bool, conf *project.Service) {
	s := la.s
	s.st.mu.Lock()
	defer s.st.mu.Unlock()
	s.c.Lane, la.moves = l, moves
	if conf != nil {
		s.c.Conf = conf
	}
	s.st.bump()
}

// Ending says what the end of a task means for its service.
type Ending struct {
	First   bool // it was the first up
	Aside   bool // it was to bring the service nowhere
	Follows bool // where it worked, that does not mend what failed before: it may follow that by itself
	// where it worked, that mends what failed before only if the service runs: there may have been
	// nothing to do
	Files bool
}

// End notes that the lane's task has ended with err, and returns what that comes to: pre_stop hooks
// that failed in it are a part of it.
func (la *Lane) End(l condition.Lane, e Ending, err error) error {
	s := la.s
	s.st.mu.Lock()
	defer s.st.mu.Unlock()
	if len(la.hookErrs) > 0 {
		err = container.Join(append([]error{err}, la.hookErrs...)...)
		la.hookErrs = nil
	}
	switch {
	case e.Aside:
	case err != nil:
		s.c.Failed = err
	case e.Files && s.c.Failed != nil && !s.upLocked():
		s.failLocked(s.c.Failed)
	case !e.Follows:
		s.c.Failed = nil
	}
	s.c.Lane, la.doing, la.moves, s.c.WaitsFor = l, "", false, nil
	s.c.Settled = s.c.Settled || e.First
	s.update()
	return err
}

// upLocked says whether the service runs, or has done what it was to do. Callers hold mu.
func (s *Member) upLocked() bool {
	return s.c.Conf.Replicas == 0 || s.c.Completed() || s.c.Count((*condition.Replica).Live) > 0
}

// change is what the lane is about to bring; nil when it is at nothing that moves the service. What the
// restart policy starts later, while a change waits to be ready, is none of it. Callers hold mu.
func (la *Lane) change() *Change {
	if len(la.s.changes) == 0 || !la.moves {
		return nil
	}
	if c := la.s.changes[len(la.s.changes)-1]; c.Ended.IsZero() {
		return c
	}
	return nil
}
