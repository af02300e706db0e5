package tail

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"bulkhead/engine/container"
	"bulkhead/engine/logs"
)

// olderPage is how many lines of a container are loaded at a time.
const olderPage = 1000

// Older is what LoadOlder did.
type Older struct {
	Lines int  // loaded
	More  bool // there may be more to load
	Full  bool // there is more, and no room for it in the store
}

// OlderError is why older lines of a service were not read.
type OlderError struct {
	Service string
	Err     error
}

func (e *OlderError) Error() string {
	return container.WrapErr(e.Err, "read older lines of %s", e.Service).Error()
}

func (e *OlderError) Unwrap() error { return e.Err }

// LoadOlder reads a page of older lines of the named services (nil: all) into the
// store, where a container's log goes back further than what was read of it and
// that begins at or after from: whoever scrolls up asks with the time of the
// first line that is seen. It returns what it did also with an error, which joins
// an OlderError for each service that has one.
func (t *Tailer) LoadOlder(ctx context.Context, services []string, from time.Time) (Older, error) {
	var out Older
	var errs []error
	for _, l := range t.takeForLoading(services, from) {
		n, full, err := l.loadOlder(ctx)
		out.Lines += n
		out.Full = out.Full || full
		out.More = out.More || n > 0 && !full && l.hasOlder(from)
		if err != nil && !errors.Is(err, container.ErrNotFound) {
			errs = append(errs, &OlderError{Service: l.replica.Service, Err: err})
		}
		t.mu.Lock()
		l.loading = false
		t.mu.Unlock()
	}
	if out.Lines > 0 {
		t.o.Changed()
	}
	return out, errors.Join(errs...)
}

// takeForLoading lists the logs that have something older to load, in the order
// of their names, and marks them.
func (t *Tailer) takeForLoading(services []string, from time.Time) []*logCursor {
	t.mu.Lock()
	defer t.mu.Unlock()
	var out []*logCursor
	for r, l := range t.slots {
		wanted := services == nil || slices.Contains(services, r.Service)
		if wanted && l.current && !l.loading && l.hasOlder(from) {
			l.loading = true
			out = append(out, l)
		}
	}
	slices.SortFunc(out, func(a, b *logCursor) int {
		if c := strings.Compare(a.replica.Service, b.replica.Service); c != 0 {
			return c
		}
		return a.replica.Number - b.replica.Number
	})
	return out
}

// hasOlder says whether there may be something older than what was read, which
// begins at or after a time.
func (l *logCursor) hasOlder(from time.Time) bool {
	at, ok := l.dedupe.Oldest()
	return ok && !l.whole.Load() && !at.Before(from)
}

// loadOlder loads one page from before what was read.
func (l *logCursor) loadOlder(ctx context.Context) (n int, full bool, err error) {
	store, service := l.t.o.Store, l.replica.Service
	if store.Room(service) == 0 {
		return 0, true, nil
	}
	page, whole, err := l.readOlder(ctx)
	if errors.Is(err, container.ErrUnsupported) {
		l.whole.Store(true) // there is no log; its follower has reported that
		return 0, false, nil
	}
	if err != nil {
		return 0, false, err
	}
	// The newest of them first, until the room is used up: what is missing then
	// is the oldest. A ring is filled in chunks, of which a part stays empty.
	room, first := store.Room(service)*2/3, len(page)
	for first > 0 && room >= int64(len(page[first-1].Text))+logs.LineOverhead {
		first--
		room -= int64(len(page[first].Text)) + logs.LineOverhead
	}
	for _, line := range page[first:] {
		l.dedupe.AddOlder(line)
		l.append(l.generationOf(line.Time), line)
	}
	if first == 0 && whole {
		l.whole.Store(true)
	}
	return len(page) - first, first > 0, nil
}

// readOlder reads the lines before what was read, an olderPage at most; whole
// says that there are none before them. An engine counts a tail from the end of
// the log, which goes on growing, in fragments of long lines: the tail is made
// longer until it reaches back far enough, or no further than before.
func (l *logCursor) readOlder(ctx context.Context) (page []logs.Line, whole bool, err error) {
	oldest, _ := l.dedupe.Oldest()
	until := oldest.Add(logs.StampJitter)
	var begins time.Time // of the tail before, and its lines
	var lines int
	for tail := int(l.count.Load()) + 2*olderPage; ; tail *= 2 {
		var fresh []logs.Line
		var first time.Time
		n, fragment, trimmed := 0, false, false
		older := l.dedupe.Older()
		o := container.LogOptions{Tail: tail, Until: until}
		err := l.t.o.Runtime.Logs(ctx, l.id, o, func(read container.Line) {
			line := LineOf(read)
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
		whole = n > 0 && n == lines && first.Equal(begins) // several lines may have the first one's time
		if fragment && !whole && !trimmed {
			fresh = fresh[1:]
		}
		if len(fresh) >= olderPage || whole {
			cut := max(len(fresh)-olderPage, 0)
			return fresh[cut:], whole && cut == 0 && !trimmed, nil
		}
		begins, lines = first, n
		if n == 0 && tail > 1<<24 {
			return nil, true, nil // an engine that cannot tell what is older
		}
	}
}
