package engine

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"bulkhead/engine/logs"
)

// lives is what the follower of one container's log must know of its lives. All of it is guarded by Engine.mu, but for what every line
// needs without a lock: newer, which tells the generation that a line belongs to, dedupe, whole and count.
type lives struct {
	id       string
	before   *lives       // of the container that this one replaced, until its separator is written
	again    bool         // it was followed before, and another one after it
	turns    []turn       // whose separators are to be written, in order
	pending  atomic.Bool  // there are some
	finished time.Time    // start of the last life whose end is known
	ended    time.Time    // when that was
	read     time.Time    // start of the last life whose log was read to its end
	muted    bool         // nobody reads its log
	whole    atomic.Bool  // nothing of its log is older than what was read, or wanted
	count    atomic.Int64 // lines that were read
	loading  bool         // older lines are on their way
	dedupe   logs.Dedupe
	said     chan struct{} // closed when the follower has written all it had to
	newer    atomic.Pointer[border]
}

func newLives(id string, before *lives) *lives {
	return &lives{id: id, before: before, said: make(chan struct{})}
}

// over says that nobody follows the container any more. Callers hold Engine.mu.
func (l *lives) over() bool {
	select {
	case <-l.said:
		return true
	default:
		return false
	}
}

// leave ends the following of a container that is not the replica's any more. It is false when the container has come back.
func (e *Engine) leave(r *replica, l *lives) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if r.inst.ID == l.id {
		return false
	}
	close(l.said)
	return true
}

// turn is how one life ended, or that one began after another.
type turn struct {
	began      bool
	beside     bool // of a beginning: the generation before goes on meanwhile
	generation int
	started    time.Time
	at         time.Time // of an end; of a beginning: the end before it in the same container, zero when there was none
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
func (l *lives) begin(t turn, before time.Time) {
	if !before.IsZero() && l.ended.Before(before) {
		l.ended = before
	}
	if t.at = l.ended; !t.at.IsZero() || l.before != nil {
		l.turns = append(l.turns, t)
		l.pending.Store(true)
	}
	if b := l.newer.Load(); b != nil && b.generation == t.generation {
		return // the end of the life before has drawn the border
	}
	l.newer.Store(&border{at: before.Add(time.Microsecond), generation: t.generation})
}

// finish notes the end of a life, once. Callers hold Engine.mu.
func (l *lives) finish(t turn) {
	if t.started.Equal(l.finished) {
		return
	}
	l.finished, l.ended = t.started, t.at
	l.turns = append(l.turns, t)
	l.pending.Store(true)
	// What is written from now on belongs to the life that comes next, also before we hear of its start.
	l.newer.Store(&border{at: t.at.Add(time.Microsecond), generation: t.generation + 1})
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

// early is by how much a busy engine may say too late when a life began: its first lines are stamped up to so much before.
const early = 500 * time.Millisecond

// patience is how long a separator waits for what it has to tell, or to come after.
const patience = 2 * time.Second

// separate writes the separators up to the newest life that has ended, after its stream did. The state may hear of an end a little later
// than the log does. It says whether there was an end.
func (e *Engine) separate(ctx context.Context, s *service, r *replica, l *lives) bool {
	wait, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var turns []turn
	// Without an end in time the connection was cut, and the life goes on.
	_ = e.await(wait, func() (bool, error) {
		for i := len(l.turns) - 1; i >= 0; i-- {
			if !l.turns[i].began {
				turns, l.turns = slices.Clone(l.turns[:i+1]), slices.Clone(l.turns[i+1:])
				return true, nil
			}
		}
		return false, nil
	})
	e.say(ctx, s, r, l, turns)
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(turns) > 0 {
		l.read = turns[len(turns)-1].started
		e.bump()
	}
	return len(turns) > 0
}

// pass writes the separators that stand before a line of a generation. Where one life follows another quickly, the engine's stream goes on
// from one to the next.
func (e *Engine) pass(ctx context.Context, s *service, r *replica, l *lives, generation int) {
	e.mu.Lock()
	n := 0
	for n < len(l.turns) && (l.turns[n].generation < generation || l.turns[n].began && l.turns[n].generation == generation) {
		if !l.turns[n].began {
			l.read = l.turns[n].started
		}
		n++
	}
	turns := slices.Clone(l.turns[:n])
	l.turns = slices.Clone(l.turns[n:])
	l.pending.Store(len(l.turns) > 0)
	if n > 0 {
		e.bump()
	}
	e.mu.Unlock()
	e.say(ctx, s, r, l, turns)
}

// announce writes that the life that is going to be read began, when there was one before it.
func (e *Engine) announce(ctx context.Context, s *service, r *replica, l *lives) {
	e.mu.Lock()
	n := 0
	for n < len(l.turns) && l.turns[n].began {
		n++
	}
	turns := slices.Clone(l.turns[:n])
	l.turns = slices.Clone(l.turns[n:])
	e.mu.Unlock()
	e.say(ctx, s, r, l, turns)
}

// say writes separators, each at its place in time.
func (e *Engine) say(ctx context.Context, s *service, r *replica, l *lives, turns []turn) {
	for _, t := range turns {
		if !t.began {
			e.opts.Logs.Separator(s.name, r.number, t.generation, t.at, t.ending())
			continue
		}
		e.mu.Lock()
		before := l.before
		l.before = nil
		var said <-chan struct{}
		if before != nil {
			said = before.said
		}
		e.mu.Unlock()
		if before != nil && !t.beside {
			// Its end is said first. A container that vanished while nobody looked has none to say.
			late := time.NewTimer(patience)
			select {
			case <-said:
			case <-late.C:
			case <-ctx.Done():
			}
			late.Stop()
		}
		if before != nil && t.at.IsZero() {
			e.mu.Lock()
			t.at = before.ended
			e.mu.Unlock()
		}
		// Behind the end of the life before and ahead of the first line.
		at := t.started.Add(-early)
		if edge := t.at.Add(time.Microsecond); at.Before(edge) && !t.beside {
			at = edge
		}
		e.opts.Logs.Separator(s.name, r.number, t.generation, at, t.beginning())
	}
}

// ending is the separator of an end in words.
func (t turn) ending() string {
	text := fmt.Sprintf("gen %d ended: exit code %d", t.generation, t.exit)
	if t.unseen {
		text = fmt.Sprintf("gen %d ended unseen", t.generation)
	}
	if t.exit > 128 && t.exit < 128+65 {
		text += " (signal " + signalName(t.exit-128) + ")"
	}
	if t.oom {
		text += ", out of memory"
	}
	if t.cause != "" {
		text += ", " + t.cause
	}
	if !t.started.IsZero() && t.at.After(t.started) {
		text += ", was up " + brief(t.at.Sub(t.started))
	}
	return text
}

// beginning is the separator of a beginning in words.
func (t turn) beginning() string {
	text := fmt.Sprintf("gen %d began", t.generation)
	switch {
	case t.beside:
		text += ": the one before still serves"
	case !t.at.IsZero():
		text += ": was down " + brief(max(t.started.Sub(t.at), 0))
	}
	if t.cause != "" {
		text += ", " + t.cause
	}
	return text
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
