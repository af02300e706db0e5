package cli

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// group runs goroutines and waits for them. A panic in one becomes its error.
type group struct {
	ctx context.Context
	wg  sync.WaitGroup

	mu  sync.Mutex
	err error // the first one
}

// Go starts f, which has to return soon after the group's ctx ended.
func (g *group) Go(name string, f func(ctx context.Context) error) {
	g.wg.Add(1)
	go func() {
		defer g.wg.Done()
		err := guarded(name, func() error { return f(g.ctx) })
		g.mu.Lock()
		defer g.mu.Unlock()
		if g.err == nil {
			g.err = err
		}
	}()
}

// Wait returns the first error once all have ended.
func (g *group) Wait() error {
	g.wg.Wait()
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.err
}

// guarded turns a panic of f into an error with its stack.
func guarded(name string, f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%s: panic: %v\n%s", name, r, debug.Stack())
		}
	}()
	return f()
}

// background runs f in a goroutine. Its error, or that of its panic, comes once.
func background(name string, f func() error) <-chan error {
	done := make(chan error, 1)
	go func() { done <- guarded(name, f) }()
	return done
}

// concurrently calls f for each index below n, limit at a time; -1 is no limit. It returns the first error,
// which ends the ctx of the others. A panic is an error.
func concurrently(ctx context.Context, n, limit int, f func(ctx context.Context, i int) error) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(limit)
	for i := range n {
		g.Go(func() error {
			return guarded("look at a container", func() error { return f(ctx, i) })
		})
	}
	return g.Wait()
}

// sleep waits for d. It returns false, at once, when ctx has ended.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

// awaitChange waits for a change of an engine, or for the end of ctx. It pauses first, since a change
// comes with every log line too: a flood of them must not cost more than a look now and then.
func awaitChange(ctx context.Context, changed <-chan struct{}, pause time.Duration) {
	if !sleep(ctx, pause) {
		return
	}
	select {
	case <-changed:
	case <-ctx.Done():
	}
}
