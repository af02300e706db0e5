package engine

import (
	"context"

	"golang.org/x/sync/errgroup"

	"bulkhead/engine/container"
)

// Once carries out a command on a project that no running engine holds, by an engine for the moment
// that takes the project as it is, and returns when all that follows from it is done. Options.Project
// may be project.Unfiled: then the containers' labels say what there is.
func Once(ctx context.Context, o Options, c Command) error {
	o.AsIs, o.NoWatch, o.NoStats, o.NoLogs = true, true, true, true
	e := New(o)
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return container.Guard("engine", func() error { return e.Run(ctx) }) })
	g.Go(func() error {
		defer stop()
		if err := e.Do(ctx, c); err != nil {
			return err
		}
		return e.WaitUp(ctx, Wait{})
	})
	return g.Wait()
}
