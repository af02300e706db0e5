package main

import (
	"os"
	"syscall"
	"testing"
	"time"
)

// insist sends a signal again and again until the program has ended.
func insist(t *testing.T, p *os.Process, over <-chan struct{}) {
	t.Helper()
	limit := time.After(patience)
	for {
		select {
		case <-over:
			return
		case <-limit:
			t.Fatal("it does not end, however often it is told to")
		case <-time.After(300 * time.Millisecond):
			_ = p.Signal(syscall.SIGINT) // it may have ended by now
		}
	}
}
