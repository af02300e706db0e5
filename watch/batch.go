package watch

import "time"

// change is one changed path on its way into a batch.
type change struct {
	path        string // empty: notices were lost
	first, last time.Time
	sign        sign // of a git folder, instead of a path; its kind is signUnknown for all else
}

// waiting is what a batcher knows of a path that has not been handed out.
type waiting struct {
	first, last time.Time
	hot         bool
}

// batcher decides which changes belong together. It is pure: times come in
// with the calls.
//
// Changes are handed out together once all of them have been quiet. A path
// whose first change waited for the cap is handed out without quiet, and is
// called hot until it has been quiet once: a hot path no longer holds up
// others, so that a log file that is written all the time delays nothing but
// itself, and itself by the cap at most.
type batcher struct {
	quiet, limit time.Duration
	pending      map[string]waiting
	hot          map[string]time.Time // last notice of the paths that the cap cut off
}

func newBatcher(quiet, limit time.Duration) *batcher {
	return &batcher{quiet: quiet, limit: limit, pending: map[string]waiting{}, hot: map[string]time.Time{}}
}

// add notes a change, and returns when take must be called at the latest;
// earlier calls are harmless.
func (b *batcher) add(c change) time.Time {
	w, ok := b.pending[c.path]
	if !ok {
		w.first = c.first
		last, hot := b.hot[c.path]
		if hot && c.first.Sub(last) >= b.quiet {
			delete(b.hot, c.path)
			hot = false
		}
		w.hot = hot
	}
	if c.last.After(w.last) {
		w.last = c.last
	}
	b.pending[c.path] = w
	return earlier(w.last.Add(b.quiet), w.first.Add(b.limit))
}

// take returns the changes that are due at now, and when to call it again
// (zero when nothing is pending).
func (b *batcher) take(now time.Time) (due []change, next time.Time) {
	next = b.deadline()
	if next.IsZero() || now.Before(next) {
		return nil, next
	}
	for path, w := range b.pending {
		still := now.Sub(w.last) >= b.quiet
		if !still && now.Sub(w.first) < b.limit {
			continue
		}
		if still {
			delete(b.hot, path)
		} else {
			b.hot[path] = w.last
		}
		due = append(due, change{path: path, first: w.first, last: w.last})
		delete(b.pending, path)
	}
	for path, last := range b.hot {
		if _, ok := b.pending[path]; !ok && now.Sub(last) >= b.quiet {
			delete(b.hot, path)
		}
	}
	return due, b.deadline()
}

// deadline is when the next change is due: when the youngest that is not hot
// has been quiet, or the oldest of all reaches the cap.
func (b *batcher) deadline() time.Time {
	var oldest, youngest, youngestHot time.Time
	for _, w := range b.pending {
		if oldest.IsZero() || w.first.Before(oldest) {
			oldest = w.first
		}
		if w.hot {
			youngestHot = later(youngestHot, w.last)
		} else {
			youngest = later(youngest, w.last)
		}
	}
	if oldest.IsZero() {
		return time.Time{}
	}
	if youngest.IsZero() {
		youngest = youngestHot
	}
	return earlier(youngest.Add(b.quiet), oldest.Add(b.limit))
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
