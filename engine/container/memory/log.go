package memory

import (
	"context"
	"fmt"
	"strings"
	"time"

	"bulkhead/engine/container"
)

// entry is one line of a log.
type entry struct {
	stream container.Stream
	at     time.Time
	text   string
}

// print takes in what a program writes. While the container is paused, it waits;
// after the end of its life, nothing is written.
func (e *engine) print(b *box, l *life, stream container.Stream, text string) {
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
		stream = container.Stdout
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
	for _, stream := range []container.Stream{container.Stdout, container.Stderr} {
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
func (e *engine) Logs(ctx context.Context, id string, o container.LogOptions, emit func(container.Line)) error {
	if err := e.faults.enter(ctx, "Logs", id); err != nil {
		return err
	}
	what := "read the log of " + short(id)
	e.mu.Lock()
	b, err := e.box("read the log of", id)
	if err == nil && b.in.LogDriver == "none" {
		err = fmt.Errorf("%s: its logging driver none keeps nothing to read: %w", what,
			container.ErrUnsupported)
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
func (a attacher) Attach(
	ctx context.Context, id string, attached chan<- struct{}, emit func(container.Line),
) error {
	if err := a.e.faults.enter(ctx, "Attach", id); err != nil {
		return err
	}
	return a.e.attach(ctx, id, attached, emit, nil)
}

// attach follows what a container writes from now on.
func (e *engine) attach(
	ctx context.Context, id string, attached chan<- struct{}, emit func(container.Line), open *openLines,
) error {
	e.mu.Lock()
	b, err := e.box("attach to", id)
	if err != nil {
		e.mu.Unlock()
		return err
	}
	r := reader{e: e, b: b, next: len(b.log), cuts: b.cuts, emit: emit, open: open}
	if r.past = b.life; b.running() {
		r.life = b.life
	}
	if open != nil {
		open.changed(b) // what is there already is not seen
		for stream, one := range open.of {
			one.from = len(one.text)
			open.of[stream] = one
		}
	}
	e.mu.Unlock()
	if attached != nil {
		close(attached)
	}
	if err := r.follow(ctx); err != nil {
		return fmt.Errorf("attach to %s: %w", short(id), err)
	}
	return nil
}

// previewer is the Runtime's container.Previewer.
type previewer struct{ e *engine }

// Preview implements container.Previewer.
func (p previewer) Preview(
	ctx context.Context, id string, attached chan<- struct{}, emit func(container.Line),
) error {
	if err := p.e.faults.enter(ctx, "Preview", id); err != nil {
		return err
	}
	open := &openLines{of: map[container.Stream]openLine{}, emit: emit}
	return p.e.attach(ctx, id, attached, func(container.Line) {}, open)
}

// openLines are the unfinished lines of a box as its reader saw them last.
type openLines struct {
	of   map[container.Stream]openLine
	emit func(container.Line)
}

type openLine struct {
	entry *entry
	text  string
	from  int // of the text, that is seen
}

// changed returns the lines that are others by now. Callers hold the engine's mu.
func (o *openLines) changed(b *box) (lines []container.Line) {
	for _, stream := range []container.Stream{container.Stdout, container.Stderr} {
		was, is := o.of[stream], openLine{entry: b.open[stream]}
		if is.entry != nil {
			is.text = is.entry.text
			if is.entry == was.entry {
				is.from = was.from
			}
		}
		before, now := was.text[was.from:], is.text[is.from:]
		if before != "" && now != "" && is.entry != was.entry {
			lines = append(lines, container.Line{Stream: stream})
		}
		if before != now {
			lines = append(lines, container.Line{Stream: stream, Text: []byte(now)})
		}
		o.of[stream] = is
	}
	return lines
}

// reader follows one log over one life.
type reader struct {
	e    *engine
	b    *box
	life *life // nil: the next one
	past *life // of a nil life, the one that it comes after
	next int   // line to read
	cuts int
	emit func(container.Line)
	open *openLines // nil: whole lines only
}

func (r *reader) hand(l entry) {
	r.emit(container.Line{Stream: l.stream, Time: l.at, Text: []byte(l.text)})
}

// follow emits lines until the life is over.
func (r *reader) follow(ctx context.Context) error {
	for {
		r.e.mu.Lock()
		if r.life == nil && r.b.life != r.past {
			r.life = r.b.life
		}
		for r.life != nil && r.life.next != nil {
			r.life = r.life.next // the program was started again, and the container goes on
		}
		lines, over := r.b.log[r.next:], false
		var open []container.Line
		if r.open != nil {
			open = r.open.changed(r.b)
		}
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
		for _, l := range open {
			r.open.emit(l)
		}
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
