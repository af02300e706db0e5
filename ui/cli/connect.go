package cli

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"bulkhead/engine"
	"bulkhead/engine/container"
)

const (
	// slowAnswer is after what time a line says that the engine does not answer.
	slowAnswer = 2 * time.Second
	// noAnswer is when an engine that takes connections and does not answer counts as none.
	noAnswer = 30 * time.Second
)

// connection is the runtime that a run works on, opened by the first verb
// that needs it. setAddress and engineName may be called from any goroutine.
type connection struct {
	console *console
	env     *environment
	open    func(ctx context.Context, found, warn func(string)) (engine.Runtime, container.Builder, error)

	rt      engine.Runtime // nil before connect
	builder container.Builder
	info    engine.Info

	mu      sync.Mutex
	address string // the engine's, "" before it is known
}

// close closes what connect opened.
func (c *connection) close() {
	if c.builder != nil {
		_ = c.builder.Close() // the connection ends with the process anyway
	}
	if c.rt != nil {
		_ = c.rt.Close() // likewise
	}
}

// errSilent is why a verb ended whose engine fell silent. It is an engine.ErrNoEngine.
func (c *connection) errSilent() error {
	return &silentError{where: c.engineName()}
}

type silentError struct{ where string }

func (e *silentError) Error() string {
	return fmt.Sprintf("no engine answers: %s takes connections and does not answer; %s", e.where, e.Suggestion())
}

// Suggestion is what a person can do about it.
func (e *silentError) Suggestion() string { return "restart it, or set DOCKER_HOST" }

func (e *silentError) Unwrap() error { return engine.ErrNoEngine }

// engineName names the engine for people, with its address once it is known.
func (c *connection) engineName() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.address == "" {
		return "the Docker engine"
	}
	return "the Docker engine at " + c.address
}

func (c *connection) setAddress(where string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.address = clean(where)
}

// connect opens the runtime and asks it who it is. It prints a notice after two seconds without an
// answer, and returns an error after thirty.
func (c *connection) connect(ctx context.Context) error {
	if c.rt != nil {
		return nil
	}
	first, cancel := context.WithTimeout(ctx, noAnswer)
	defer cancel()
	slow := c.noticeIfSlow()
	defer slow.Stop()
	rt, builder, err := c.open(first, c.setAddress, c.console.printWarning)
	if err == nil {
		c.rt, c.builder = rt, builder
		c.info, err = rt.Info(first)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return c.errSilent()
	}
	return err
}

// noticeIfSlow says what is waited for, unless it is stopped before.
func (c *connection) noticeIfSlow() *time.Timer {
	return time.AfterFunc(slowAnswer, func() { c.console.notify("waiting for " + c.engineName()) })
}

// startConnect opens the runtime while the caller loads the project. wait returns the result, and
// has to be called with what the load came to: where it failed, no engine is needed.
func (c *connection) startConnect(ctx context.Context) (wait func(loaded error) error) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- guarded("connect", func() error { return c.connect(ctx) }) }()
	return func(loaded error) error {
		defer cancel()
		if loaded != nil {
			cancel()
		}
		return <-done
	}
}

// supervise returns a context for calls of the engine that all have to end
// soon. Meanwhile it polls the engine. When that has not answered for a while it
// prints a notice, and at last it ends the context; explain, which has to be
// called, turns the error of the calls into that reason. seen receives the
// project's containers with each poll, and may be nil. Before connect it does
// nothing.
func (c *connection) supervise(ctx context.Context, project string, seen func([]engine.Instance)) (_ context.Context, explain func(error) error) {
	if c.rt == nil {
		return ctx, func(err error) error { return err }
	}
	ctx, cancel := context.WithCancelCause(ctx)
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		_ = guarded("look after the engine", func() error { c.pollEngine(ctx, cancel, end, project, seen); return nil })
	}()
	return ctx, func(err error) error {
		close(end)
		silent := context.Cause(ctx)
		cancel(nil)
		<-ended
		var s *silentError
		if err != nil && errors.As(silent, &s) {
			return silent
		}
		return err
	}
}

func (c *connection) pollEngine(ctx context.Context, silent context.CancelCauseFunc, end <-chan struct{}, project string, seen func([]engine.Instance)) {
	// Most verbs are done before the first look.
	for pause := slowAnswer / 2; ; pause = slowAnswer {
		select {
		case <-time.After(pause):
		case <-end:
			return
		case <-ctx.Done():
			return
		}
		slow := c.noticeIfSlow()
		asked, cancel := context.WithTimeout(ctx, noAnswer)
		instances, err := c.rt.Instances(asked, project)
		late := asked.Err() != nil && ctx.Err() == nil
		cancel()
		slow.Stop()
		switch {
		case late:
			silent(c.errSilent())
			return
		case err == nil && seen != nil:
			seen(instances)
		}
	}
}
