package engine

import (
	"context"
	"errors"
	"time"

	"bulkhead/engine/container"
	"bulkhead/engine/state"
)

const (
	// pulsePause lies between two questions to a runtime that answers.
	pulsePause = 3 * time.Second
	// pulseLate is after what time without an answer it is said that the runtime is waited for.
	pulseLate = 2 * time.Second
)

// watchPulse asks the runtime for a sign of life again and again, until ctx ends. No stream notices a
// runtime that takes connections and does not answer, or one behind a network that went away. When it
// was late it is noted as lost at once, and once its answer or its error is there watchPulse returns:
// what the streams brought meanwhile is not to be relied on.
func watchPulse(ctx context.Context, p container.Pinger, st *state.State) error {
	for {
		select {
		case <-time.After(pulsePause):
		case <-ctx.Done():
			return ctx.Err()
		}
		answer := make(chan error, 1)
		go func() { answer <- container.Guard("pulse", func() error { return p.Ping(ctx) }) }()
		select {
		case <-answer: // an error of the connection is noticed by the streams too
			continue
		case <-time.After(pulseLate):
		case <-ctx.Done():
			<-answer
			return ctx.Err()
		}
		st.Lost(container.ErrSilent)
		if err := <-answer; ctx.Err() != nil || err != nil {
			return errors.Join(ctx.Err(), err)
		}
		return container.ErrSilent
	}
}

// stream follows the runtime's events until the connection breaks, the runtime was silent for a
// while, or ctx ends.
func (o *observer) stream(ctx context.Context, since time.Time, emit func(Event)) error {
	ctx, cut := context.WithCancelCause(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		cut(container.Guard("pulse", func() error { return watchPulse(ctx, o.p.Runtime, o.p.State) }))
	}()
	err := o.p.Runtime.Events(ctx, o.p.Name, since, emit)
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	cut(nil)
	<-ended
	return err
}
