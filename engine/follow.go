package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"bulkhead/engine/logs"
)

// followLogs keeps one container's lines coming, over all its lives, until the container is replaced or gone. A life that began under
// our eyes is read from its first line; of a container that ran before, the tail is read.
func (e *Engine) followLogs(ctx context.Context, s *service, r *replica, l *lives) error {
	followed := time.Time{} // start of the life that was read last
	tail, over, deaf, pause := -1, false, false, shortPause
	for first := true; ; first = false {
		var in Instance
		err := e.await(ctx, func() (bool, error) {
			in = r.inst
			if in.ID != l.id {
				return true, nil
			}
			if deaf || in.LogDriver == "none" {
				return true, nil // what it writes is heard only by who listens beforehand
			}
			return !in.Started.IsZero() && in.State != StateCreated && (!in.Started.Equal(followed) || r.live() || in.State == StatePaused), nil
		})
		if err != nil {
			return nil
		}
		if in.ID != l.id {
			if !over {
				e.separate(ctx, s, r, l)
			}
			if !e.leave(r, l) {
				continue
			}
			return nil
		}
		followed = in.Started
		if first && e.opts.LogTail == 0 && in.State == StateExited {
			over = true
			continue // nobody wants to hear what it said before
		}
		since := l.dedupe.Since() // goes on where the follower before ended, if there was one
		switch {
		case !since.IsZero():
		case l.again:
			since = in.Finished // its earlier lives were read
		case !in.Created.Before(e.began):
		case first && in.Started.Before(e.began):
			tail = e.opts.LogTail
		case in.Started.Before(e.began):
			since = e.began // its tail had no lines
		default:
			// Its earlier lives are history; this one is read from its first line. A last word may be stamped after the end.
			if since = in.Started.Add(-early); since.Before(in.Finished) {
				since = in.Finished
			}
		}
		if first && since.IsZero() && tail < 0 {
			l.whole.Store(true) // it is read from its first line
		}
		e.announce(ctx, s, r, l)
		l.dedupe.Reopened()
		opened := time.Now()
		emit := func(line logs.Line) {
			if l.dedupe.Fresh(line) {
				generation := l.of(line.Time)
				if l.pending.Load() {
					e.pass(ctx, s, r, l, generation)
				}
				l.count.Add(1)
				e.opts.Logs.AppendCut(s.name, r.number, generation, line.Stream, line.Time, line.Text, line.Cut)
				e.bell.ring()
			}
		}
		if !deaf {
			err = e.rt.Logs(ctx, l.id, LogOptions{Since: since, Tail: tail, Follow: true}, emit)
			tail = -1
			if deaf = errors.Is(err, ErrUnsupported); deaf {
				e.warn(fmt.Sprintf("%s: its logging driver %s keeps nothing to read: its lines are shown from now on, and what it writes while the connection to the engine is gone is lost", s.name, in.LogDriver))
			}
		}
		if deaf {
			err = e.attach(ctx, s, r, l, emit)
		}
		if ctx.Err() != nil {
			return nil
		}
		if err != nil && e.goesOn(ctx, in) {
			// The stream was cut and the life was not: there is no end to wait for.
			if time.Since(opened) > longRead {
				pause = shortPause
			}
			if pause == shortPause {
				e.notice("logs", fmt.Sprintf("%s: its log was cut and is read on: %s", s.name, firstLine(err)))
			}
			select {
			case <-time.After(pause):
			case <-ctx.Done():
				return nil
			}
			pause = min(2*pause, patience)
			continue
		}
		if in.State == StateExited && !deaf {
			over = true // it had ended before we came, so no end is going to be told
			continue
		}
		over = e.separate(ctx, s, r, l)
	}
}

const (
	shortPause = 50 * time.Millisecond
	longRead   = 5 * time.Second // after which a cut is a new one
)

// goesOn says whether an instance still lives the life in which it was seen.
func (e *Engine) goesOn(ctx context.Context, seen Instance) bool {
	in, err := e.rt.Inspect(ctx, seen.ID)
	return err == nil && (in.State == StateRunning || in.State == StatePaused) && in.Started.Equal(seen.Started)
}

// attach hears a container whose log cannot be read: from now on, also over a start, until it ends.
func (e *Engine) attach(ctx context.Context, s *service, r *replica, l *lives, emit func(logs.Line)) error {
	ctx, cancel := context.WithCancel(ctx)
	announced := make(chan error, 1)
	go func() {
		announced <- guarded("separators of "+s.name, func() error {
			if e.await(ctx, func() (bool, error) { return len(l.turns) > 0 && l.turns[0].began, nil }) == nil {
				e.announce(ctx, s, r, l)
			}
			return nil
		})
	}()
	err := e.rt.Attach(ctx, l.id, nil, emit)
	cancel()
	return errors.Join(err, <-announced)
}

// awaitLastWords waits a moment until the logs of containers that were stopped are read to their end.
func (e *Engine) awaitLastWords(ctx context.Context, rs []held) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	// What is late by then is not lost: the next reader of the container's log finds it.
	_ = e.await(ctx, func() (bool, error) {
		for _, h := range rs {
			if l := h.lives; l != nil && !l.muted && l.id == h.in.ID && h.in.State == StateRunning && !l.read.Equal(h.in.Started) {
				return false, nil
			}
		}
		return true, nil
	})
}

// lineWriter gives a writer whose lines stand in the service's log as System lines.
func (e *Engine) lineWriter(s *service, id string) *output {
	e.mu.Lock()
	n, gen := 1, 0
	if r := s.byID(id); r != nil {
		n, gen = r.number, r.generation
	}
	e.mu.Unlock()
	return &output{emit: func(line []byte) {
		e.opts.Logs.Append(s.name, n, gen, logs.System, time.Now(), line)
		e.bell.ring()
	}}
}
