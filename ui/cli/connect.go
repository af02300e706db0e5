package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"bulkhead/engine"
)

const (
	// slowAnswer is when a person is told that the engine does not answer.
	slowAnswer = 2 * time.Second
	// noAnswer is when an engine that takes connections and does not answer counts as none.
	noAnswer = 30 * time.Second
)

// errSilent is why a verb ended whose engine fell silent. It is an engine.ErrNoEngine.
func (a *app) errSilent() error {
	return &silentError{where: a.engineName()}
}

type silentError struct{ where string }

func (e *silentError) Error() string {
	return fmt.Sprintf("no engine answers: %s takes connections and does not answer; restart it, or set DOCKER_HOST", e.where)
}

func (e *silentError) Unwrap() error { return engine.ErrNoEngine }

// engineName names the engine for people, with its address once it is known.
func (a *app) engineName() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.where == "" {
		return "the Docker engine"
	}
	return "the Docker engine at " + a.where
}

func (a *app) found(where string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.where = clean(where)
}

// connect opens the runtime and asks it who it is. An engine that does not answer is said after two seconds, and given up after thirty.
func (a *app) connect(ctx context.Context) error {
	if a.rt != nil {
		return nil
	}
	first, cancel := context.WithTimeout(ctx, noAnswer)
	defer cancel()
	slow := a.slowly()
	defer slow.Stop()
	rt, builder, err := a.parts.Connect(first, a.found, func(text string) { a.complain("warning: " + text) })
	if err == nil {
		a.rt, a.builder = rt, builder
		a.info, err = rt.Info(first)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return a.errSilent()
	}
	return err
}

// slowly says what is waited for, unless it is stopped before.
func (a *app) slowly() *time.Timer {
	return time.AfterFunc(slowAnswer, func() { a.waiting("waiting for " + a.engineName()) })
}

// connecting opens the runtime while the caller loads the project. wait gives the result, and has to be called with what the load came
// to: where it failed, nobody needs an engine.
func (a *app) connecting(ctx context.Context) (wait func(loaded error) error) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- guarded("connect", func() error { return a.connect(ctx) }) }()
	return func(loaded error) error {
		defer cancel()
		if loaded != nil {
			cancel()
		}
		return <-done
	}
}

// attended is a context for calls of the engine that all have to come to an end soon. It looks whether the engine goes on answering; when
// it has not for a while, that is said, and at last the context ends, and explain turns the error into what happened. seen gets the
// project's containers now and then, and may be nil. Before connect it does nothing.
func (a *app) attended(ctx context.Context, project string, seen func([]engine.Instance)) (_ context.Context, explain func(error) error) {
	if a.rt == nil {
		return ctx, func(err error) error { return err }
	}
	ctx, cancel := context.WithCancelCause(ctx)
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		_ = guarded("look after the engine", func() error { a.attend(ctx, cancel, end, project, seen); return nil })
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

func (a *app) attend(ctx context.Context, silent context.CancelCauseFunc, end <-chan struct{}, project string, seen func([]engine.Instance)) {
	// Most verbs are done before the first look.
	for pause := slowAnswer / 2; ; pause = slowAnswer {
		select {
		case <-time.After(pause):
		case <-end:
			return
		case <-ctx.Done():
			return
		}
		slow := a.slowly()
		asked, cancel := context.WithTimeout(ctx, noAnswer)
		instances, err := a.rt.Instances(asked, project)
		late := asked.Err() != nil && ctx.Err() == nil
		cancel()
		slow.Stop()
		switch {
		case late:
			silent(a.errSilent())
			return
		case err == nil && seen != nil:
			seen(instances)
		}
	}
}
