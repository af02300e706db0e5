package docker

import (
	"context"
	"fmt"
	"runtime/debug"

	"golang.org/x/sync/errgroup"
)

// each calls f for 0 to n-1, at most limit at a time, and returns the first error
// once all have returned.
func each(ctx context.Context, n, limit int, f func(ctx context.Context, i int) error) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(limit)
	for i := range n {
		g.Go(func() error { return guard(func() error { return f(ctx, i) }) })
	}
	return g.Wait()
}

// guard turns a panic into an error: in a goroutine it would leave the user's terminal raw.
func guard(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return f()
}
