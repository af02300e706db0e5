package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"bulkhead/engine/logs"
)

// lives is what the follower of one container's log must know of its lives. The ends are guarded by Engine.mu; which generation a
// line belongs to is read for every line, without a lock.
type lives struct {
	id       string
	ends     []end
	finished time.Time // start of the last life whose end is known
	read     time.Time // start of the last life whose log was read to its end
	muted    bool      // nobody reads its log
	newer    atomic.Pointer[border]
}

// end is how one life ended.
type end struct {
	generation int
	started    time.Time
	at         time.Time
	exit       int
	oom        bool
	unseen     bool // nobody was there: exit and oom are not known
	cause      string
}

// border divides the lines of two lives of one container.
type border struct {
	at         time.Time
	generation int // from at on; before it the one before
}

// begin notes a new life; before is when the one before it ended, zero when there was none. A container's first lines may be stamped
// earlier than its start, so the end before is the border and not the start. Callers hold Engine.mu.
func (l *lives) begin(generation int, before time.Time) {
	if b := l.newer.Load(); b != nil && b.generation == generation {
		return // the end of the life before has drawn the border
	}
	l.newer.Store(&border{at: before.Add(time.Microsecond), generation: generation})
}

// finish notes the end of a life, once. Callers hold Engine.mu.
func (l *lives) finish(e end) {
	if e.started.Equal(l.finished) {
		return
	}
	l.finished = e.started
	l.ends = append(l.ends, e)
	// What is written from now on belongs to the life that comes next, also before we hear of its start.
	l.newer.Store(&border{at: e.at.Add(time.Microsecond), generation: e.generation + 1})
}

// of is the generation of a line. A container's first life that we know has no border before it.
func (l *lives) of(t time.Time) int {
	b := l.newer.Load()
	if b == nil {
		return 0
	}
	if b.generation > 1 && t.Before(b.at) {
		return b.generation - 1
	}
	return b.generation
}

// followLogs keeps one container's lines coming, over all its lives, until the container is replaced or gone. A life that began under
// our eyes is read from its first line; of a container that ran before, the tail is read.
func (e *Engine) followLogs(ctx context.Context, s *service, r *replica, l *lives) error {
	var resume logs.Resume
	followed := time.Time{} // start of the life that was read last
	tail, over := -1, false
	for first := true; ; first = false {
		var in Instance
		err := e.await(ctx, func() (bool, error) {
			in = r.inst
			return in.ID != l.id || !in.Started.IsZero() && in.State != StateCreated && (!in.Started.Equal(followed) || r.live() || in.State == StatePaused), nil
		})
		if err != nil {
			return nil
		}
		if in.ID != l.id {
			if !over {
				e.separate(ctx, s, r, l)
			}
			return nil
		}
		followed = in.Started
		if first && e.opts.LogTail == 0 && in.State == StateExited {
			over = true
			continue // nobody wants to hear what it said before
		}
		since := resume.Since()
		switch {
		case !since.IsZero() || !in.Created.Before(e.began):
		case first && in.Started.Before(e.began):
			tail = e.opts.LogTail
		case in.Started.Before(e.began):
			since = e.began // its tail had no lines
		default:
			since = in.Finished // its earlier lives are history; this one is read from its first line
		}
		resume.Reopened()
		emit := func(stream logs.Stream, t time.Time, line []byte) {
			if resume.Fresh(t, stream, line) {
				e.opts.Logs.Append(s.name, r.number, l.of(t), stream, t, line)
				e.bell.ring()
			}
		}
		err = e.rt.Logs(ctx, l.id, LogOptions{Since: since, Tail: tail, Follow: true}, emit)
		tail = -1
		if errors.Is(err, ErrUnsupported) {
			e.warn(fmt.Sprintf("%s: its logging driver %s cannot be read; its lines are shown from now on, and what it writes while the connection is gone is lost", s.name, in.LogDriver))
			err = e.rt.Attach(ctx, l.id, nil, emit)
		}
		if ctx.Err() != nil {
			return nil
		}
		if in.State == StateExited {
			over = true // it had ended before we came, so no end is going to be told
			continue
		}
		if over = e.separate(ctx, s, r, l); !over && err != nil && !e.lost() {
			e.notice("logs", fmt.Sprintf("%s: its log was cut and is read on: %s", s.name, firstLine(err)))
		}
	}
}

// separate writes the separators behind the lives that have ended, after the stream of the newest of them did. The state may hear of an
// end a little later than the log does. It says whether there was an end.
func (e *Engine) separate(ctx context.Context, s *service, r *replica, l *lives) bool {
	wait, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	var ends []end
	// Without an end in time the connection was cut, and the life goes on.
	_ = e.await(wait, func() (bool, error) {
		ends = slices.Clone(l.ends)
		l.ends = nil
		return len(ends) > 0, nil
	})
	for _, x := range ends {
		text := fmt.Sprintf("gen %d ended: exit code %d", x.generation, x.exit)
		if x.unseen {
			text = fmt.Sprintf("gen %d ended unseen", x.generation)
		}
		if x.exit > 128 && x.exit < 128+65 {
			text += " (signal " + signalName(x.exit-128) + ")"
		}
		if x.oom {
			text += ", out of memory"
		}
		if x.cause != "" {
			text += ", " + x.cause
		}
		if !x.started.IsZero() && x.at.After(x.started) {
			text += ", was up " + brief(x.at.Sub(x.started))
		}
		e.opts.Logs.Separator(s.name, r.number, x.generation, x.at, text)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(ends) > 0 {
		l.read = ends[len(ends)-1].started
		e.bump()
	}
	return len(ends) > 0
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

// signalName names the signals that end processes in practice; others stay numbers.
func signalName(n int) string {
	switch n {
	case 1:
		return "SIGHUP"
	case 2:
		return "SIGINT"
	case 3:
		return "SIGQUIT"
	case 6:
		return "SIGABRT"
	case 7:
		return "SIGBUS"
	case 8:
		return "SIGFPE"
	case 9:
		return "SIGKILL"
	case 11:
		return "SIGSEGV"
	case 13:
		return "SIGPIPE"
	case 15:
		return "SIGTERM"
	}
	return fmt.Sprint(n)
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
