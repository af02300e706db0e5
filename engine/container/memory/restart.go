package memory

import (
	"context"
	"fmt"
	"time"

	"bulkhead/engine/container"
)

// programRestarter is the Runtime's container.ProgramRestarter.
type programRestarter struct{ e *engine }

// RestartProgram implements container.ProgramRestarter.
func (p programRestarter) RestartProgram(
	ctx context.Context, id string, grace time.Duration, ended func(container.ProgramEnd),
) error {
	e := p.e
	if err := e.faults.enter(ctx, "RestartProgram", id); err != nil {
		return err
	}
	what := "restart the program of"
	e.mu.Lock()
	b, err := e.box(what, id)
	switch {
	case err != nil:
	case !b.in.Program:
		err = fmt.Errorf("%s %s: %w", what, short(id), container.ErrUnsupported)
	case !b.running():
		err = conflict("%s %s: it is not running", what, short(id))
	}
	if err != nil {
		e.mu.Unlock()
		return err
	}
	l, began := b.life, time.Now()
	l.again = true
	if l.handles[b.stop] == "" { // it is not process 1, and so ends by a signal that it does not handle
		e.end(b, l, 128+b.stop, false)
	} else {
		e.deliver(b, l, b.stop)
	}
	e.mu.Unlock()
	killed := !l.wait(e, grace)
	if killed {
		e.mu.Lock()
		e.deliver(b, l, 9)
		e.mu.Unlock()
	}
	select {
	case <-l.ended:
	case <-e.closed:
		return errCut
	}
	e.mu.Lock()
	next, code, at := l.next, l.code, b.in.Finished
	e.mu.Unlock()
	if next != nil {
		ended(container.ProgramEnd{At: at, ExitCode: code, Took: at.Sub(began), Killed: killed})
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	prog, ok := e.program(b.command)
	if !ok || next == nil || next.over {
		return fmt.Errorf("%s %s: it ended with %d", what, short(id), b.in.ExitCode)
	}
	b.in.Started = e.now()
	e.launch(b, next, prog)
	return nil
}

// resume makes the next life of a program whose container goes on. Callers hold mu.
func (e *engine) resume(b *box, l *life) bool {
	prog, ok := e.program(b.command)
	if !ok {
		return false
	}
	next, err := newLife(prog)
	if err != nil {
		return false
	}
	if b.in.Booted.IsZero() {
		b.in.Booted = b.in.Started
	}
	b.in.Finished = e.now()
	b.in.Started = e.now()
	b.life, l.next = next, next
	b.wakeReaders()
	return true
}
