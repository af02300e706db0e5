package tail

import (
	"context"
	"sync/atomic"
	"time"

	"bulkhead/engine/container"
	"bulkhead/engine/logs"
)

// logCursor is how far the log of one container is read, and what is known of its lives.
type logCursor struct {
	t       *Tailer
	replica Replica
	id      string
	// followedBefore says that the container was followed once, and another one
	// after it: of its earlier lives all was read.
	followedBefore bool

	// These need no lock: they are what every line needs, and what the loading of
	// older lines shares with the follower.
	dedupe  logs.Dedupe                     // its Fresh, Since and Reopened are the follower's
	count   atomic.Int64                    // lines that were read
	whole   atomic.Bool                     // nothing in the log is older than what was read, or wanted
	newest  atomic.Pointer[generationStart] // nil before the first life
	pending atomic.Bool                     // there are transitions

	// These are guarded by Tailer.mu.
	current     bool               // a replica has this container
	seen        container.Instance // as it was seen last
	generation  int                // of that life
	cause       string             // why it was replaced
	before      *logCursor         // what this one replaced, until the separator of that is written
	transitions []transition       // whose separators are to be written, in order
	endedLife   time.Time          // start of the last life whose end is known
	endedAt     time.Time          // when that was
	missed      *missedEnd         // the end of the life before, when nobody saw it; else nil
	seenEnd     time.Time          // end of the last life that was seen to have ended
	readLife    time.Time          // start of the last life whose log was read to its end
	loading     bool               // older lines are on their way
	closed      chan struct{}      // closed when the follower has written all that it had to
	changed     chan struct{}      // closed and replaced when something of this changes
}

// generationStart divides the lines of two lives of one container.
type generationStart struct {
	at         time.Time
	generation int // from at on; before it the one before
}

func newCursor(t *Tailer, r Replica, id string, before *logCursor) *logCursor {
	if t.o.Muted {
		before = nil // no separator is written, so nothing would let go of it
	}
	return &logCursor{
		t: t, replica: r, id: id, before: before,
		closed: make(chan struct{}), changed: make(chan struct{}),
	}
}

// wakeLocked makes those who await something of the cursor look again.
func (l *logCursor) wakeLocked() {
	close(l.changed)
	l.changed = make(chan struct{})
}

// await blocks until done, which is called with Tailer.mu held, and looks again
// at every change of the cursor.
func (l *logCursor) await(ctx context.Context, done func() bool) error {
	for {
		l.t.mu.Lock()
		ok, changed := done(), l.changed
		l.t.mu.Unlock()
		if ok {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// isClosed says that nobody follows the container any more. Callers hold Tailer.mu.
func (l *logCursor) isClosed() bool {
	select {
	case <-l.closed:
		return true
	default:
		return false
	}
}

// close ends the following of a container that is not the replica's any more. It
// returns false when the container has come back.
func (l *logCursor) close() bool {
	l.t.mu.Lock()
	defer l.t.mu.Unlock()
	if l.current {
		return false
	}
	close(l.closed)
	return true
}

// endBefore returns when the life before the one in which a container is seen
// ended, zero when there was none or it is not known: of a life that has ended,
// runtimes know that end alone, though they may report it earlier than its start
// when it was over before its start was noted.
func endBefore(in container.Instance) time.Time {
	if !runs(in) || !in.Finished.Before(in.Started) {
		return time.Time{}
	}
	return in.Finished
}

// endBefore returns when the life before the one in which the container is seen
// ended: as its runtime knows it, or, of one that has ended too, as it was seen.
func (l *logCursor) endBefore(in container.Instance) time.Time {
	if at := endBefore(in); !at.IsZero() {
		return at
	}
	l.t.mu.Lock()
	defer l.t.mu.Unlock()
	if l.seenEnd.After(in.Started) {
		return time.Time{} // that is the end of this one
	}
	return l.seenEnd
}

// noteRead notes that the log of a life that has ended was read to its end.
func (l *logCursor) noteRead(started time.Time) {
	l.t.mu.Lock()
	defer l.t.mu.Unlock()
	l.readLife = started
	l.wakeLocked()
}

// beginLocked notes the life in which the container is seen, a new one. A container's first lines
// may be stamped earlier than its start, so its generation starts where the life
// before ended, as far as that is known.
func (l *logCursor) beginLocked(b transition) {
	in := l.seen
	b.kind, b.generation, b.started = generationBegan, l.generation, in.Started
	before := endBefore(in)
	if !before.IsZero() && l.endedAt.Before(before) {
		l.endedAt = before
	}
	if b.at = l.endedAt; !b.at.IsZero() || l.before != nil {
		l.addLocked(b)
	}
	if s := l.newest.Load(); s != nil && s.generation == b.generation {
		return // known from the end of the life before
	}
	at := before.Add(time.Microsecond)
	if before.IsZero() && !in.Finished.IsZero() {
		at = in.Started.Add(-stampLead)
	}
	l.newest.Store(&generationStart{at: at, generation: b.generation})
}

// endLocked notes the end of the life in which the container was seen last, once.
func (l *logCursor) endLocked(e transition) {
	e.kind, e.generation, e.started = generationEnded, l.generation, l.seen.Started
	if e.started.Equal(l.endedLife) {
		return
	}
	l.endedLife, l.endedAt = e.started, e.at
	l.addLocked(e)
	// What is written from now on belongs to the life that comes next, also
	// before its start is seen.
	l.newest.Store(&generationStart{at: e.at.Add(time.Microsecond), generation: e.generation + 1})
}

// explainLocked takes in how the life before the one in which the container is
// seen ended, when that was missed.
func (l *logCursor) explainLocked(e End) {
	m := l.missed
	if m == nil || m.known || !e.At.After(m.began) {
		return
	}
	m.known, m.exit, m.oom, m.cause = true, e.ExitCode, e.OOM, e.Cause
	l.wakeLocked()
}

func (l *logCursor) addLocked(t transition) {
	if l.t.o.Muted {
		return
	}
	l.transitions = append(l.transitions, t)
	l.pending.Store(true)
}

// append writes a line that was read to the store.
func (l *logCursor) append(generation int, line logs.Line) {
	l.count.Add(1)
	r := l.replica
	l.t.o.Store.AppendCut(r.Service, r.Number, generation, line.Stream, line.Time, line.Text, line.Cut)
}

// generationOf returns the generation of a line. Before the first life of a
// container that is known there is no other.
func (l *logCursor) generationOf(t time.Time) int {
	s := l.newest.Load()
	if s == nil {
		return 0
	}
	if s.generation > 1 && t.Before(s.at) {
		return s.generation - 1
	}
	return s.generation
}
