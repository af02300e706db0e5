package memory

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	"bulkhead/engine/container"
)

// keptEvents is how many events are kept for those who ask from an earlier time on:
// as many as Docker's engine keeps.
const keptEvents = 256

// feed hands events to those who follow them.
type feed struct {
	mu          sync.Mutex
	kept        []container.Event
	projects    []string // of kept
	subscribers map[*subscriber]struct{}
	lose        func(container.Event) bool
}

// subscriber is one who follows events.
type subscriber struct {
	project string
	waiting []container.Event
	wake    chan struct{} // capacity 1
	cut     bool
}

// LoseEvents has events disappear for which lose returns true, for everybody and
// for ever. nil: none is lost from now on.
func (f *feed) LoseEvents(lose func(container.Event) bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lose = lose
}

// CutEvents ends all streams of events, as when a connection breaks.
func (f *feed) CutEvents() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for s := range f.subscribers {
		s.cut = true
		s.nudge()
	}
}

func (s *subscriber) nudge() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// emit sends an event of a container. Callers hold mu.
func (e *engine) emit(b *box, ev container.Event) {
	ev.Time, ev.ID, ev.Service, ev.Name = e.now(), b.in.ID, b.in.Service, b.in.Name
	ev.Replica, _ = strconv.Atoi(b.in.Number) // 0 for one that has no number
	f := e.feed
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.lose != nil && f.lose(ev) {
		return
	}
	f.kept, f.projects = append(f.kept, ev), append(f.projects, b.project)
	if len(f.kept) > 2*keptEvents {
		f.kept, f.projects = append([]container.Event(nil), f.kept[keptEvents:]...),
			append([]string(nil), f.projects[keptEvents:]...)
	}
	for s := range f.subscribers {
		if s.project == b.project {
			s.waiting = append(s.waiting, ev)
			s.nudge()
		}
	}
}

// now is the time, later with each call: under a virtual clock much happens at one
// moment, and events and lines are ordered by time. Callers hold mu.
func (e *engine) now() time.Time {
	t := time.Now()
	if !t.After(e.clock) {
		t = e.clock.Add(time.Microsecond)
	}
	e.clock = t
	return t
}

// Events implements container.Runtime.
func (e *engine) Events(
	ctx context.Context, project string, since time.Time, emit func(container.Event),
) error {
	if err := e.faults.enter(ctx, "Events", ""); err != nil {
		return err
	}
	s := &subscriber{project: project, wake: make(chan struct{}, 1)}
	f := e.feed
	f.mu.Lock()
	for i, ev := range f.kept {
		if f.projects[i] == project && !since.IsZero() && !ev.Time.Before(since) {
			s.waiting = append(s.waiting, ev)
		}
	}
	f.subscribers[s] = struct{}{}
	f.mu.Unlock()
	s.nudge()
	defer func() {
		f.mu.Lock()
		delete(f.subscribers, s)
		f.mu.Unlock()
	}()
	what := "follow the events of " + project
	for {
		select {
		case <-s.wake:
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", what, ctx.Err())
		case <-e.closed:
			return fmt.Errorf("%s: %w", what, errCut)
		}
		f.mu.Lock()
		now, cut := s.waiting, s.cut
		s.waiting = nil
		f.mu.Unlock()
		if cut {
			return fmt.Errorf("%s: %w", what, errCut)
		}
		for _, ev := range now {
			emit(ev)
		}
	}
}
