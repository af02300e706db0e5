// Package tail reads the log of every container of a project over all its lives:
// from the first line or from a tail, on after a cut, with no line lost and none
// twice, with separators where one generation ends and the next begins, and older
// pages on request. It owns how far each log is read and which generation a line
// belongs to, and writes lines and separators to the log store. It never decides
// what runs, and asks no caller for state: the engine, the only caller, says what
// it sees of containers ([Tailer.Observe], [Tailer.Ended], [Tailer.Forget]).
package tail

import (
	"context"
	"sync"
	"time"

	"bulkhead/engine/container"
	"bulkhead/engine/logs"
)

// Runtime is what a Tailer needs of a runtime.
type Runtime interface {
	Inspect(ctx context.Context, id string) (container.Instance, error)
	Logs(ctx context.Context, id string, o container.LogOptions, emit func(container.Line)) error
	container.Attacher
}

// Options are the parts and wishes of a Tailer. All but Muted must be set.
type Options struct {
	Runtime Runtime
	Store   *logs.Store
	Last    int       // lines of the past to read of containers that ran before Began; 0: none
	Began   time.Time // when the program began
	Muted   bool      // read no logs and write no separators
	// Go runs f in the background until it returns, and ends its context when the
	// program ends.
	Go func(name string, f func(context.Context) error)
	// Changed is called after lines or separators were written: often, and from
	// any goroutine.
	Changed func()
	// Notify is called with what people should know about the reading of a log,
	// from any goroutine.
	Notify func(Notice)
}

// Replica names a container slot.
type Replica struct {
	Service string
	Number  int
}

// Tailer follows the logs of a project's containers. Its methods may be called
// from any goroutine. Those that take no context return at once, so they may be
// called with a lock held; only Go is called from within them.
type Tailer struct {
	o Options

	mu      sync.Mutex             // guards the maps, and what logCursor says it guards
	slots   map[Replica]*logCursor // of the container that a replica has, or had last
	cursors map[string]*logCursor  // by container id; replaced ones until their end is seen
}

// New returns a Tailer that follows nothing yet.
func New(o Options) *Tailer {
	return &Tailer{o: o, slots: map[Replica]*logCursor{}, cursors: map[string]*logCursor{}}
}

// Sighting is a replica's container as it was just seen.
type Sighting struct {
	Replica    Replica
	Instance   container.Instance
	Generation int    // of the replica, with this life counted
	Cause      string // of what changed; "" when nobody knows
	Beside     bool   // of another container than before: that one goes on running meanwhile
}

// Observe says what a replica's container looks like now. Another container than
// before takes that one's place; another start is a new generation. The log is
// followed from the first sighting until the container is replaced or gone.
func (t *Tailer) Observe(s Sighting) {
	t.mu.Lock()
	in := s.Instance
	l, other, start := t.slots[s.Replica], false, false
	if l == nil || !l.current || l.id != in.ID {
		other = true
		l, start = t.replaceLocked(s)
	}
	newLife := lived(in) && !in.Started.Equal(l.seen.Started)
	switch {
	case newLife:
		if l.seen.State == container.StateExited {
			// Its end is known from the first sighting, unless it was seen since.
			l.seenEnd = l.seen.Finished
			l.endLocked(transition{at: l.seen.Finished, exit: l.seen.ExitCode, oom: l.seen.OOM})
		} else if lived(l.seen) {
			// The end in between was missed: the connection was gone, or whoever looked
			// was faster than the event, which says how it ended.
			at := endBefore(in)
			if at.IsZero() {
				at = in.Started
			}
			l.missed = &missedEnd{began: l.seen.Started}
			l.endLocked(transition{at: at, missed: l.missed, cause: s.Cause})
		}
		goesOn := !other && lived(l.seen) && l.seen.Since().Equal(in.Since()) // its program alone was restarted
		l.seen, l.generation = in, s.Generation
		l.beginLocked(transition{beside: s.Beside, cause: s.Cause})
		if goesOn && !t.o.Muted {
			t.o.Go("separators of "+s.Replica.Service, l.writeInPlace)
		}
	case in.State == container.StateExited && !other:
		l.endLocked(transition{at: in.Finished, exit: in.ExitCode, oom: in.OOM, cause: s.Cause})
	}
	l.seen, l.generation = in, s.Generation
	l.wakeLocked()
	t.mu.Unlock()
	if start && !t.o.Muted {
		t.o.Go("logs of "+s.Replica.Service, l.follow)
	}
}

// replaceLocked makes a container the one that a replica has; start says that
// nobody follows it. A container that was replaced comes back when the one after
// it came to nothing.
func (t *Tailer) replaceLocked(s Sighting) (l *logCursor, start bool) {
	old := t.slots[s.Replica]
	replaced := old != nil && old.current
	if replaced {
		old.current, old.cause = false, s.Cause
		if old.seen.Started.Equal(old.endedLife) {
			delete(t.cursors, old.id)
		}
		old.wakeLocked()
	}
	l = t.cursors[s.Instance.ID]
	switch {
	case l == nil:
		l, start = newCursor(t, s.Replica, s.Instance.ID, old), true
		l.followedBefore = replaced && s.Instance.Created.Before(old.seen.Created)
	case l.isClosed():
		l.closed, start = make(chan struct{}), true
	}
	l.current = true
	t.slots[s.Replica], t.cursors[l.id] = l, l
	return l, start
}

// Generation returns the generation of a life that was seen before: of a
// container that was replaced and whose end was not seen.
func (t *Tailer) Generation(life container.Identity) (generation int, known bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	l := t.cursors[life.ID]
	if l == nil || !l.seen.Started.Equal(life.Started) {
		return 0, false
	}
	return l.generation, true
}

// End is how a life ended.
type End struct {
	At       time.Time
	ExitCode int
	OOM      bool
	Cause    string // of a container that was replaced, what replaced it counts
}

// Ended says that the life in which a container was seen last has ended, or the
// one before; it is not needed where Observe sees it. Ends that are known and
// those of lives before these change nothing.
func (t *Tailer) Ended(id string, e End) {
	t.mu.Lock()
	defer t.mu.Unlock()
	l := t.cursors[id]
	switch {
	case l == nil:
		return
	case !e.At.After(l.seen.Started):
		l.explainLocked(e)
		return
	}
	if !l.current {
		e.Cause = l.cause
		delete(t.cursors, id)
	}
	l.endLocked(transition{at: e.At, exit: e.ExitCode, oom: e.OOM, cause: e.Cause})
	l.wakeLocked()
}

// Forget says that a container is gone.
func (t *Tailer) Forget(id string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if l := t.cursors[id]; l != nil {
		delete(t.cursors, id)
		l.current = false
		l.wakeLocked()
	}
}

// ForgetReplica says that a slot is not wanted any more. One of the same name
// that is made later has nothing before it.
func (t *Tailer) ForgetReplica(r Replica) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.slots, r)
}

// Retain forgets the replaced containers that are not there any more; it is for
// when their ends may have been missed.
func (t *Tailer) Retain(there func(id string) bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for id, l := range t.cursors {
		if !l.current && !there(id) {
			delete(t.cursors, id)
		}
	}
}

// AwaitLastWords waits until the logs of lives that were ended are read to their
// end, or until ctx ends.
func (t *Tailer) AwaitLastWords(ctx context.Context, lives []container.Identity) {
	if t.o.Muted {
		return
	}
	for _, life := range lives {
		t.mu.Lock()
		l := t.cursors[life.ID]
		t.mu.Unlock()
		if l == nil {
			continue
		}
		if l.await(ctx, func() bool { return !l.current || !l.readLife.Before(life.Started) }) != nil {
			return
		}
	}
}

// SystemLines returns a function whose lines stand in a service's log as
// bulkhead's own, among those of the life that a container has now: for what a
// command in it prints.
func (t *Tailer) SystemLines(service, id string) func(line []byte) {
	t.mu.Lock()
	number, generation := 1, 0
	if l := t.cursors[id]; l != nil && l.current {
		number, generation = l.replica.Number, l.generation
	}
	t.mu.Unlock()
	return func(line []byte) {
		t.o.Store.Append(service, number, generation, logs.System, time.Now(), line)
		t.o.Changed()
	}
}

// LineOf is a line of a container as the log store has it, without whose it is.
func LineOf(l container.Line) logs.Line {
	out := logs.Line{Time: l.Time, Text: l.Text, Cut: l.Cut}
	switch l.Stream {
	case container.Stdout:
		out.Stream = logs.Stdout
	case container.Stderr:
		out.Stream = logs.Stderr
	}
	return out
}
