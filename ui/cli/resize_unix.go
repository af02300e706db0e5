//go:build unix

package cli

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// eachResize calls f now and whenever the terminal changes its size, until ctx ends.
func eachResize(ctx context.Context, f func()) error {
	resized := make(chan os.Signal, 1)
	signal.Notify(resized, syscall.SIGWINCH)
	defer signal.Stop(resized)
	for {
		f()
		select {
		case <-resized:
		case <-ctx.Done():
			return nil
		}
	}
}
