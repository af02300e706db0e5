package cli

import (
	"context"
	"time"
)

// eachResize calls f now and then, until ctx ends: Windows has no signal for a change of size.
func eachResize(ctx context.Context, f func()) error {
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for {
		f()
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}
