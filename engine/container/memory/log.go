package memory

import (
	"context"
	"fmt"
	"strings"
	"time"

	"bulkhead/engine/container"
	"bulkhead/engine/logs"
)

// entry is one line of a log.
type entry struct {
	stream logs.Stream
	at     time.Time
	text   string
}

// print takes in what a program writes. While the container is paused, it waits;
// after the end of its life, nothing is written.
func (e *engine) print(b *box, l *life, stream logs.Stream, text string) {
	e.mu.Lock()
	for b.in.State == container.StatePaused && !l.over {
		grown := b.grown
		e.mu.Unlock()
		select {
		case <-grown:
		case <-e.closed:
			return
		}
		e.mu.Lock()
	}
	defer e.mu.Unlock()
	if l.over {
		return
	}
	if b.in.TTY {
		stream = logs.Stdout
	}
	for text != "" {
		line, rest, ends := strings.Cut(text, "\n")
		one := b.open[stream]
		if one == nil {
			one = &entry{stream: stream, at: e.now()}
			b.open[stream] = one
		}
		one.text += line
		if ends {
			b.log = append(b.log, *one)
			delete(b.open, stream)
		}
		text = rest
	}
	b.wakeReaders()
}

// flush ends the lines that have no end. Callers hold the engine's mu.
func (b *box) flush() {
	for _, stream := range []logs.Stream{logs.Stdout, logs.Stderr} {
		if one := b.open[stream]; one != nil {
			b.log = append(b.log, *one)
			delete(b.open, stream)
		}
	}
}

// wakeReaders has all who follow look again. Callers hold the engine's mu.
func (b *box) wakeReaders() {
	close(b.grown)
	b.grown = make(chan struct{})
}

// CutLogs ends all streams of logs, as when a connection breaks.
func (e *engine) CutLogs() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, b := range e.all {
		b.cuts++
		b.wakeReaders()
	}
}

// Logs implements container.Runtime. A log that is followed ends with the life that
// runs when it is opened.
func (e *engine) Logs(ctx context.Context, id string, o container.LogOptions, emit func(logs.Line)) error {
	if err := e.faults.enter(ctx, "Logs", id); err != nil {
		return err
	}
	what := "read the log of " + short(id)
	e.mu.Lock()
	b, err := e.box("read the log of", id)
	if err == nil && b.in.LogDriver == "none" {
		err = fmt.Errorf("%s: its logging driver none keeps nothing to read: %w", what, container.ErrUnsupported)
	}
	if err != nil {
		e.mu.Unlock()
		return err
	}
	var past []entry
	for _, l := range b.log {
		if !l.at.Before(o.Since) && (o.Until.IsZero() || !l.at.After(o.Until)) {
			past = append(past, l)
		}
	}
	if o.Tail >= 0 && len(past) > o.Tail {
		past = past[len(past)-o.Tail:]
	}
	r := reader{e: e, b: b, life: b.life, next: len(b.log), cuts: b.cuts, emit: emit}
	follow := o.Follow && b.running()
	e.mu.Unlock()
	for _, l := range past {
		r.hand(l)
	}
	if !follow {
		return nil
	}
	if err := r.follow(ctx); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// attacher is the Runtime's container.Attacher.
type attacher struct{ e *engine }

// Attach implements container.Attacher.
func (a attacher) Attach(ctx context.Context, id string, attached chan<- struct{}, emit func(logs.Line)) error {
	if err := a.e.faults.enter(ctx, "Attach", id); err != nil {
		return err
	}
	a.e.mu.Lock()
	b, err := a.e.box("attach to", id)
	if err != nil {
		a.e.mu.Unlock()
		return err
	}
	r := reader{e: a.e, b: b, next: len(b.log), cuts: b.cuts, emit: emit}
	if r.past = b.life; b.running() {
		r.life = b.life
	}
	a.e.mu.Unlock()
	if attached != nil {
		close(attached)
	}
	if err := r.follow(ctx); err != nil {
		return fmt.Errorf("attach to %s: %w", short(id), err)
	}
	return nil
}

// reader follows one log over one life.
type reader struct {
	e    *engine
	b    *box
	life *life // nil: the next one
	past *life // of a nil life, the one that it comes after
	next int   // line to read
	cuts int
	emit func(logs.Line)
}

func (r *reader) hand(l entry) {
	r.emit(logs.Line{Stream: l.stream, Time: l.at, Text: []byte(l.text)})
}

// follow emits lines until the life is over.
func (r *reader) follow(ctx context.Context) error {
	for {
		r.e.mu.Lock()
		if r.life == nil && r.b.life != r.past {
			r.life = r.b.life
		}
		lines, over := r.b.log[r.next:], false
		if l := r.life; l != nil && l.over {
			lines, over = r.b.log[min(r.next, l.lines):l.lines], true
		}
		if r.life == nil && r.e.all[r.b.in.ID] != r.b {
			over = true // it was removed before it ever started
		}
		cut, grown := r.cuts != r.b.cuts, r.b.grown
		r.e.mu.Unlock()
		if cut {
			return errCut
		}
		for _, l := range lines {
			r.hand(l)
		}
		r.next += len(lines)
		if over {
			return nil
		}
		select {
		case <-grown:
		case <-ctx.Done():
			return ctx.Err()
		case <-r.e.closed:
			return errCut
		}
	}
}
