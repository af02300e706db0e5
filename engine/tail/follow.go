package tail

import (
	"context"
	"errors"
	"time"

	"bulkhead/engine/container"
	"bulkhead/engine/logs"
)

const (
	shortPause = 50 * time.Millisecond // before a log that was cut is opened again, doubled up to patience
	longRead   = 5 * time.Second       // after which a cut is a new one
)

// follower keeps one container's lines coming.
type follower struct {
	*logCursor
	read       time.Time // start of the life that was read last
	tail       int       // lines of the past to read the next time; negative: all
	attachOnly bool      // there is no log to read: only what is written while somebody listens is seen
	unread     int       // tries in a row to read what is left of a life that is over
	readOn     bool      // what was read last was cut
	finished   bool      // the end of the life that was read last is written, or will not be seen
	pause      time.Duration
}

// follow keeps a container's lines coming over all its lives, until it is
// replaced or gone. A life that began while this program ran is read from its
// first line; of a container that ran before, the tail is read.
func (l *logCursor) follow(ctx context.Context) error {
	f := &follower{logCursor: l, tail: -1, pause: shortPause}
	for first := true; f.next(ctx, first); first = false {
	}
	return nil
}

// next reads one life, or what is left of it after a cut. It returns false when
// there is nothing more to follow.
func (f *follower) next(ctx context.Context, first bool) bool {
	in, current, err := f.awaitLife(ctx)
	if err != nil {
		return false
	}
	if !current {
		if !f.finished {
			f.writeEnds(ctx)
		}
		return !f.close()
	}
	f.read = in.Started
	if first && f.t.o.Last == 0 && in.State == container.StateExited && in.Started.Before(f.t.o.Began) {
		f.finished = true
		return true // what it wrote before is not wanted
	}
	opened := time.Now()
	err = f.readLog(ctx, in, f.since(in, first))
	switch {
	case ctx.Err() != nil:
		return false
	case err != nil && f.hasMore(ctx, in, err):
		// The stream was cut and the life was not, or it ended with words that were not read.
		f.read, f.readOn = time.Time{}, true
		return f.pauseAfterCut(ctx, opened, err)
	case in.State == container.StateExited && !f.attachOnly && !f.readOn:
		f.finished = true // it had ended before it was read, so its end is not going to be seen
		f.noteRead(in.Started)
	default:
		f.finished = f.writeEnds(ctx)
	}
	f.readOn, f.unread = false, 0
	return true
}

// awaitLife waits until there is something to read. current is false when a
// replica does not have the container any more.
func (f *follower) awaitLife(ctx context.Context) (in container.Instance, current bool, err error) {
	err = f.await(ctx, func() bool {
		in, current = f.seen, f.current
		if !current || f.attachOnly || in.LogDriver == "none" {
			return true // what it writes is seen only by those who listen beforehand
		}
		return lived(in) && (!in.Started.Equal(f.read) || runs(in))
	})
	return in, current, err
}

// since decides from where a life is read, and sets tail.
func (f *follower) since(in container.Instance, first bool) time.Time {
	began := f.t.o.Began
	since := f.dedupe.Since() // goes on where the reading ended, also that of a follower before this one
	switch {
	case !since.IsZero():
	case f.followedBefore:
		since = f.endBefore(in) // its earlier lives were read
	case !in.Created.Before(began):
	case first && in.Started.Before(began):
		f.tail = f.t.o.Last
	case in.Started.Before(began):
		since = began // its tail had no lines
	default:
		// Its earlier lives are history; this one is read from its first line. A
		// last word may be stamped after the end.
		if since = in.Started.Add(-stampLead); since.Before(f.endBefore(in)) {
			since = f.endBefore(in)
		}
	}
	if first && since.IsZero() && f.tail < 0 {
		f.whole.Store(true)
	}
	return since
}

// readLog reads the log until it ends, or listens where there is none.
func (f *follower) readLog(ctx context.Context, in container.Instance, since time.Time) error {
	f.writeBeginning(ctx)
	f.dedupe.Reopened()
	put := func(line container.Line) { f.put(ctx, LineOf(line)) }
	if !f.attachOnly {
		o := container.LogOptions{Since: since, Tail: f.tail, Follow: true}
		err := f.t.o.Runtime.Logs(ctx, f.id, o, put)
		f.tail = -1
		if !errors.Is(err, container.ErrUnsupported) {
			return err
		}
		f.attachOnly = true
		f.t.o.Notify(Notice{Kind: NoticeUnreadable, Service: f.replica.Service, Driver: in.LogDriver})
	}
	return f.attach(ctx, put)
}

// put writes a line to the store, behind the separators that belong before it.
func (f *follower) put(ctx context.Context, line logs.Line) {
	if !f.dedupe.Fresh(line) {
		return
	}
	generation := f.generationOf(line.Time)
	if f.pending.Load() {
		f.writeUpTo(ctx, generation)
	}
	f.append(generation, line)
	f.t.o.Changed()
}

// unreadTries is how often a life that is over is read on, while its engine answers, when its log cannot
// be read to the end.
const unreadTries = 5

// hasMore says whether there is more to read of the life in which an instance was seen, whose log ended
// with an error. What is left of one that another follows is read with that.
func (f *follower) hasMore(ctx context.Context, seen container.Instance, cut error) bool {
	in, err := f.t.o.Runtime.Inspect(ctx, seen.ID)
	switch {
	case err != nil:
		return !f.attachOnly && !errors.Is(err, container.ErrNotFound)
	case !in.Started.Equal(seen.Started):
		return false
	case runs(in):
		f.unread = 0
		return true
	case f.attachOnly || errors.Is(cut, container.ErrNotFound):
		return false
	}
	f.unread++
	return f.unread <= unreadTries
}

// lived says whether a container was started at least once.
func lived(in container.Instance) bool {
	return !in.Started.IsZero() && in.State != container.StateCreated
}

func runs(in container.Instance) bool {
	return in.State == container.StateRunning || in.State == container.StatePaused
}

// pauseAfterCut waits before a log that was cut is opened again, longer each
// time. It returns false when ctx ended.
func (f *follower) pauseAfterCut(ctx context.Context, opened time.Time, err error) bool {
	if time.Since(opened) > longRead {
		f.pause = shortPause
	}
	if f.pause == shortPause {
		f.t.o.Notify(Notice{Kind: NoticeCut, Service: f.replica.Service, Err: err})
	}
	select {
	case <-time.After(f.pause):
	case <-ctx.Done():
		return false
	}
	f.pause = min(2*f.pause, patience)
	return true
}

// attach takes in what a container whose log cannot be read writes from now on,
// also over a start, until it ends.
func (f *follower) attach(ctx context.Context, put func(container.Line)) error {
	ctx, cancel := context.WithCancel(ctx)
	written := make(chan struct{})
	f.t.o.Go("separators of "+f.replica.Service, func(context.Context) error {
		defer close(written)
		began := func() bool { return len(f.transitions) > 0 && f.transitions[0].kind == generationBegan }
		if f.await(ctx, began) == nil {
			f.writeBeginning(ctx)
		}
		return nil
	})
	err := f.t.o.Runtime.Attach(ctx, f.id, nil, put)
	cancel()
	<-written
	return err
}
