package ui

import (
	"context"
	"sync"
	"time"

	"bulkhead/engine"
	"bulkhead/engine/drill"
	"bulkhead/engine/logs"
)

// cleanBackend is a Backend whose texts have no control sequences for the terminal. The screen has
// no other source of foreign text but the log lines and the preview below them, which the log pane
// cleans as it draws them; a method that returns text must be one of its own, which tests hold.
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
func (b *cleanBackend) Exec(
	ctx context.Context, service string, replica int, o engine.ExecOptions,
) (int, error) {
	code, err := b.Backend.Exec(ctx, service, replica, o)
	return code, logs.CleanError(err)
}

// Preview implements Backend. What it shows is cleaned as it is drawn.
func (b *cleanBackend) Preview(ctx context.Context, service string, replica int, show func(text string)) error {
	return logs.CleanError(b.Backend.Preview(ctx, service, replica, show))
}

// FaultsLacking implements Backend.
func (b *cleanBackend) FaultsLacking(ctx context.Context) (map[string]string, error) {
	unavailable, err := b.Backend.FaultsLacking(ctx)
	return logs.CleanAll(unavailable), logs.CleanError(err)
}

// Drill implements Backend.
func (b *cleanBackend) Drill(ctx context.Context, o drill.Options) (*drill.Report, error) {
	r, err := b.Backend.Drill(ctx, o)
	return logs.CleanAll(r), logs.CleanError(err)
}

// DrillAct implements Backend.
func (b *cleanBackend) DrillAct(a drill.Act, row string) error {
	return logs.CleanError(b.Backend.DrillAct(a, row))
}

// LoadOlder implements Backend.
func (b *cleanBackend) LoadOlder(ctx context.Context, services []string, from time.Time) (engine.Older, error) {
	o, err := b.Backend.LoadOlder(ctx, services, from)
	return logs.CleanAll(o), logs.CleanError(err)
}
