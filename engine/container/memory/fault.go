package memory

import (
	"context"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"bulkhead/engine/container"
)

// Fault is what goes wrong with the calls of one method. The zero values of Every
// and Times mean each call, and always.
type Fault struct {
	Method string        // "Create", "Stop", …
	ID     string        // of the container that the call is about; "": any
	Every  int           // only each n-th call
	Times  int           // only so often
	Delay  time.Duration // before the call is carried out, or answered with Err; the call's context may end it
	Err    error         // nil: the call is carried out
	// the call is carried out and answered with Err all the same, as when a connection breaks
	After bool
}

// fault is one that is on.
type fault struct {
	Fault
	seen, struck int
}

// faults are those of one engine, and what it was asked so far.
type faults struct {
	mu    sync.Mutex
	on    []*fault
	calls map[string]int
	gone  bool // no engine answers
}

// Inject turns a fault on, until heal is called. Several may be on; the first that
// fits a call is the one that counts.
func (f *faults) Inject(what Fault) (heal func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	one := &fault{Fault: what}
	f.on = append(f.on, one)
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.on = slices.DeleteFunc(f.on, func(o *fault) bool { return o == one })
	}
}

// Calls is how often a method was called, faults included.
func (f *faults) Calls(method string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls[method]
}

// SetGone takes the engine away, or brings it back: nothing answers, all streams
// are cut, and the containers run on.
func (r *Runtime) SetGone(gone bool) {
	r.faults.mu.Lock()
	r.faults.gone = gone
	r.faults.mu.Unlock()
	if gone {
		r.CutEvents()
		r.CutLogs()
	}
}

// enter is where each method begins: it counts the call, and answers with the fault
// that is on for it.
func (f *faults) enter(ctx context.Context, method, id string) error {
	hit, err := f.pick(method, id)
	if err != nil || hit == nil || hit.After {
		return err
	}
	return hit.strike(ctx)
}

// leave is where a method ends whose work has been done.
func (f *faults) leave(ctx context.Context, method, id string) error {
	f.mu.Lock()
	var hit *fault
	for _, o := range f.on {
		if o.After && o.fits(method, id) {
			hit = o
			break
		}
	}
	f.mu.Unlock()
	if hit == nil {
		return nil
	}
	return hit.strike(ctx)
}

func (f *faults) pick(method, id string) (*fault, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls[method]++
	if f.gone {
		return nil, fmt.Errorf("%w: the engine in memory is gone", container.ErrNoEngine)
	}
	for _, o := range f.on {
		if !o.After && o.fits(method, id) {
			return o, nil
		}
	}
	return nil, nil
}

// fits says whether a call is struck, and counts it. Callers hold the lock of
// faults.
func (o *fault) fits(method, id string) bool {
	if o.Method != method || o.ID != "" && o.ID != id {
		return false
	}
	o.seen++
	if o.Every > 1 && o.seen%o.Every != 0 || o.Times > 0 && o.struck >= o.Times {
		return false
	}
	o.struck++
	return true
}

// strike waits and answers.
func (o *fault) strike(ctx context.Context) error {
	if o.Delay > 0 {
		t := time.NewTimer(o.Delay)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", o.Method, ctx.Err())
		}
	}
	if o.Err != nil {
		return fmt.Errorf("%s: %w", o.Method, o.Err)
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%s: %w", o.Method, err)
	}
	return nil
}

// errCut is how a stream ends that was cut.
var errCut = fmt.Errorf("%w: %w", container.ErrNoEngine, io.ErrUnexpectedEOF)
