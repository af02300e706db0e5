package ui

import (
	"context"
	"sync"
	"time"

	"bulkhead/engine"
	"bulkhead/engine/logs"
)

// cleanBackend is a Backend whose texts have no control sequences for the terminal. The screen has
// no other source of foreign text but the log lines, which the log pane cleans as it draws them.
type cleanBackend struct {
	Backend

	mu    sync.Mutex
	raw   *engine.Snapshot // the last one
	clean *engine.Snapshot // of raw
}

// Snapshot implements Backend. The same snapshot is cleaned once.
func (b *cleanBackend) Snapshot() *engine.Snapshot {
	s := b.Backend.Snapshot()
	b.mu.Lock()
	defer b.mu.Unlock()
	if s != b.raw {
		b.raw, b.clean = s, logs.CleanAll(s)
	}
	return b.clean
}

// Do implements Backend.
func (b *cleanBackend) Do(ctx context.Context, c engine.Command) error {
	return logs.CleanError(b.Backend.Do(ctx, c))
}

// Exec implements Backend. What the command itself writes is for its own terminal.
func (b *cleanBackend) Exec(ctx context.Context, service string, replica int, o engine.ExecOptions) (int, error) {
	code, err := b.Backend.Exec(ctx, service, replica, o)
	return code, logs.CleanError(err)
}

// LoadOlder implements Backend.
func (b *cleanBackend) LoadOlder(ctx context.Context, services []string, from time.Time) (engine.Older, error) {
	o, err := b.Backend.LoadOlder(ctx, services, from)
	return logs.CleanAll(o), logs.CleanError(err)
}
