package engine

import (
	"context"
	"errors"
	"slices"
	"time"

	"bulkhead/engine/logs"
)

// olderPage is how many lines of a container are loaded at a time.
const olderPage = 1000

// Older says what LoadOlder did.
type Older struct {
	Lines int  // loaded
	More  bool // there may be more to load
	Full  bool // there is more, and no room for it in the store
}

// LoadOlder reads a page of older lines of the named services (nil: all) into the store, where a container's log goes back further than
// what was read of it and that begins at or after from: who scrolls up asks with the time of the first line that is seen. It gives what
// it did also with an error.
func (e *Engine) LoadOlder(ctx context.Context, services []string, from time.Time) (Older, error) {
	type slot struct {
		s *service
		n int
		l *lives
	}
	var slots []slot
	e.mu.Lock()
	for _, s := range e.svcs {
		if services != nil && !slices.Contains(services, s.name) {
			continue
		}
		for _, r := range s.sorted() {
			if l := r.lives; l != nil && l.id == r.inst.ID && !l.loading && l.begins(from) {
				l.loading = true
				slots = append(slots, slot{s, r.number, l})
			}
		}
	}
	e.mu.Unlock()
	var out Older
	var errs []error
	for _, x := range slots {
		n, full, err := e.loadBefore(ctx, x.s, x.n, x.l)
		out.Lines += n
		out.Full = out.Full || full
		out.More = out.More || n > 0 && !full && x.l.begins(from)
		if err != nil && !errors.Is(err, ErrNotFound) {
			errs = append(errs, say(err, "read older lines of %s", x.s.name))
		}
		e.mu.Lock()
		x.l.loading = false
		e.mu.Unlock()
	}
	if out.Lines > 0 {
		e.bell.ring()
	}
	return out, errors.Join(errs...)
}

// begins says whether there may be something older than what was read, which begins at or after a time.
func (l *lives) begins(from time.Time) bool {
	at, ok := l.dedupe.Oldest()
	return ok && !l.whole.Load() && !at.Before(from)
}

// loadBefore loads one page from before what was read of a container.
func (e *Engine) loadBefore(ctx context.Context, s *service, number int, l *lives) (n int, full bool, err error) {
	if e.opts.Logs.Room(s.name) == 0 {
		return 0, true, nil
	}
	page, whole, err := e.pageBefore(ctx, l)
	if errors.Is(err, ErrUnsupported) {
		l.whole.Store(true) // there is no log; its follower has said so
		return 0, false, nil
	}
	if err != nil {
		return 0, false, err
	}
	// The newest of them first, until the room is used up: what is missing then is the oldest.
	// A ring is filled in chunks, of which a part stays empty.
	room, first := e.opts.Logs.Room(s.name)*2/3, len(page)
	for first > 0 && room >= int64(len(page[first-1].Text))+logs.LineOverhead {
		first--
		room -= int64(len(page[first].Text)) + logs.LineOverhead
	}
	for _, line := range page[first:] {
		l.dedupe.AddOlder(line)
		l.count.Add(1)
		e.opts.Logs.AppendCut(s.name, number, l.of(line.Time), line.Stream, line.Time, line.Text, line.Cut)
	}
	if first == 0 && whole {
		l.whole.Store(true)
	}
	return len(page) - first, first > 0, nil
}

// pageBefore reads the lines before what was read of a container, an olderPage at most; whole says that there are none before them. An
// engine counts a tail from the end of the log, which goes on growing, in fragments of long lines: the tail is made longer until it
// reaches back far enough, or no further than before.
func (e *Engine) pageBefore(ctx context.Context, l *lives) (page []logs.Line, whole bool, err error) {
	oldest, _ := l.dedupe.Oldest()
	until := oldest.Add(logs.StampJitter)
	var begins time.Time // of the tail before
	for tail := int(l.count.Load()) + 2*olderPage; ; tail *= 2 {
		var fresh []logs.Line
		var first time.Time
		n, fragment, trimmed := 0, false, false
		older := l.dedupe.Older()
		err := e.rt.Logs(ctx, l.id, LogOptions{Tail: tail, Until: until}, func(line logs.Line) {
			if n++; n == 1 {
				first = line.Time
			}
			if !older(line) {
				return
			}
			fragment = fragment || n == 1 // the tail may begin inside of a long line
			line.Text = slices.Clone(line.Text)
			if fresh = append(fresh, line); len(fresh) > 4*olderPage {
				fresh, trimmed = append(fresh[:0], fresh[len(fresh)-2*olderPage:]...), true
			}
		})
		if err != nil {
			return nil, false, err
		}
		whole = n > 0 && first.Equal(begins)
		if fragment && !whole && !trimmed {
			fresh = fresh[1:]
		}
		if len(fresh) >= olderPage || whole {
			cut := max(len(fresh)-olderPage, 0)
			return fresh[cut:], whole && cut == 0 && !trimmed, nil
		}
		begins = first
		if n == 0 && tail > 1<<24 {
			return nil, true, nil // an engine that cannot tell what is older
		}
	}
}
