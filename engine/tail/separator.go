package tail

import (
	"context"
	"slices"
	"time"
)

const (
	// stampLead is by how much a busy engine may report too late when a life
	// began: its first lines are stamped up to so much before.
	stampLead = 500 * time.Millisecond
	// patience is how long a separator waits for what it reports, or for the one
	// that it comes after.
	patience = 2 * time.Second
)

// takeLocked takes the first n transitions off the list.
func (l *logCursor) takeLocked(n int) []transition {
	taken := slices.Clone(l.transitions[:n])
	l.transitions = slices.Clone(l.transitions[n:])
	l.pending.Store(len(l.transitions) > 0)
	return taken
}

// writeEnds writes the separators up to the newest life that has ended, after its
// stream did. The end may become known a little later than the log ends. It
// returns whether there was an end.
func (l *logCursor) writeEnds(ctx context.Context) bool {
	wait, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var taken []transition
	// Without an end in time the connection was cut, and the life goes on.
	_ = l.await(wait, func() bool {
		for i := len(l.transitions) - 1; i >= 0; i-- {
			if l.transitions[i].kind == generationEnded {
				taken = l.takeLocked(i + 1)
				return true
			}
		}
		return false
	})
	l.writeSeparators(ctx, taken)
	if len(taken) == 0 {
		return false
	}
	l.t.mu.Lock()
	defer l.t.mu.Unlock()
	l.readLife = taken[len(taken)-1].started
	l.wakeLocked()
	return true
}

// writeUpTo writes the separators that stand before a line of a generation. Where
// one life follows another quickly, the engine's stream goes on from one to the
// next.
func (l *logCursor) writeUpTo(ctx context.Context, generation int) {
	l.t.mu.Lock()
	n := 0
	for ; n < len(l.transitions); n++ {
		t := l.transitions[n]
		if t.generation > generation || t.generation == generation && t.kind == generationEnded {
			break
		}
		if t.kind == generationEnded {
			l.readLife = t.started
		}
	}
	taken := l.takeLocked(n)
	if n > 0 {
		l.wakeLocked()
	}
	l.t.mu.Unlock()
	l.writeSeparators(ctx, taken)
}

// writeInPlace writes the separators between two lives of a program whose container went on: its
// stream has no end that they could be written at. What the program wrote last comes first, as far
// as it arrives in time; a line of the new one does not wait.
func (l *logCursor) writeInPlace(ctx context.Context) error {
	l.t.mu.Lock()
	generation := l.generation
	l.t.mu.Unlock()
	late := time.NewTimer(stampLead)
	defer late.Stop()
	select {
	case <-late.C:
		l.writeUpTo(ctx, generation)
	case <-ctx.Done():
	}
	return nil
}

// writeBeginning writes that the life that is going to be read began, when there
// was one before it.
func (l *logCursor) writeBeginning(ctx context.Context) {
	l.t.mu.Lock()
	n := 0
	for n < len(l.transitions) && l.transitions[n].kind == generationBegan {
		n++
	}
	taken := l.takeLocked(n)
	l.t.mu.Unlock()
	l.writeSeparators(ctx, taken)
}

// writeSeparators writes separators, each at its place in time.
func (l *logCursor) writeSeparators(ctx context.Context, transitions []transition) {
	for _, t := range transitions {
		if t.missed != nil {
			t = l.awaitMissed(ctx, t)
		}
		at := t.at
		if t.kind == generationBegan {
			t.at = l.awaitEndBefore(ctx, t)
			// Behind the end of the life before and ahead of the first line.
			at = t.started.Add(-stampLead)
			if end := t.at.Add(time.Microsecond); at.Before(end) && !t.beside {
				at = end
			}
		}
		l.t.o.Store.Separator(l.replica.Service, l.replica.Number, t.generation, at, t.text())
	}
	if len(transitions) > 0 {
		l.t.o.Changed()
	}
}

// awaitMissed returns an end that nobody saw with what its event, which may be
// under way, says of it.
func (l *logCursor) awaitMissed(ctx context.Context, t transition) transition {
	wait, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	// Without an event in time it stays unknown.
	_ = l.await(wait, func() bool { return t.missed.known })
	l.t.mu.Lock()
	defer l.t.mu.Unlock()
	return t.explain()
}

// awaitEndBefore returns when the life before a beginning ended, zero when that
// is not known. The separator of that end is written first.
func (l *logCursor) awaitEndBefore(ctx context.Context, began transition) time.Time {
	l.t.mu.Lock()
	before := l.before
	l.before = nil
	var closed <-chan struct{}
	if before != nil {
		closed = before.closed
	}
	l.t.mu.Unlock()
	if before == nil {
		return began.at
	}
	if !began.beside {
		// A container that vanished while nobody looked has no end to write.
		late := time.NewTimer(patience)
		defer late.Stop()
		select {
		case <-closed:
		case <-late.C:
		case <-ctx.Done():
		}
	}
	if !began.at.IsZero() {
		return began.at
	}
	l.t.mu.Lock()
	defer l.t.mu.Unlock()
	return before.endedAt
}
