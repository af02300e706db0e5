package engine

import (
	"context"

	"bulkhead/engine/logs"
)

// Engine runs one project. Make it with New, give Run a goroutine, and use the other methods from any goroutine.
type Engine struct {
	opts Options
}

// New makes an engine; it asks the runtime nothing yet.
func New(o Options) *Engine { return &Engine{opts: o} }

// Run brings the project up and keeps it: it watches files, follows events and logs, and carries out commands, until ctx
// ends. It returns after its last goroutine ended and leaves the containers as they are: whoever wants them stopped
// says so with Do (VerbStop or VerbDown) before ending ctx. The error wraps ErrNoEngine when nothing answered at the start.
func (e *Engine) Run(ctx context.Context) error { <-ctx.Done(); return nil }

// Snapshot is the state now. It never blocks on work in progress.
func (e *Engine) Snapshot() *Snapshot { return &Snapshot{} }

// Subscribe returns a channel of capacity one that holds a token whenever something changed since it was last taken: state, records or
// logs. Call stop when done with it.
func (e *Engine) Subscribe() (changed <-chan struct{}, stop func()) { return nil, func() {} }

// Records returns the records after since, oldest first, and how many of them are no longer kept (the last 5,000 are).
func (e *Engine) Records(since uint64) (recs []Record, missed int) { return nil, 0 }

// Logs is the project's log store.
func (e *Engine) Logs() *logs.Store { return e.opts.Logs }

// Do carries out a command and returns when that is done: after restart or up of a service when it runs again (not when
// it is ready; see WaitReady). When ctx ends first, the work goes on. Errors are one line with a remedy where there is one.
func (e *Engine) Do(ctx context.Context, c Command) error { return nil }

// WaitReady waits until the named services (none: all) are ready; it returns an error that names the service and the reason as soon as
// one of them cannot become ready any more (exited with an error and no restart, broken, unhealthy).
func (e *Engine) WaitReady(ctx context.Context, services ...string) error { return nil }

// Exec runs a command in a replica of a service (0: the first that runs) and returns its exit code.
func (e *Engine) Exec(ctx context.Context, service string, replica int, o ExecOptions) (int, error) {
	return 0, nil
}

// SetAttention tells the engine how closely somebody looks: with false (terminal unfocused) readings of CPU and memory are taken
// less often.
func (e *Engine) SetAttention(focused bool) {}
