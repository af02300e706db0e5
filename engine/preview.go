package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"bulkhead/engine/container"
	"bulkhead/engine/state"
)

// previews shows what programs write without ending the line. Nothing of it is kept.
type previews struct {
	runtime *container.Complete
	state   *state.State
}

const (
	// previewLook is how often, at most, it is asked whether a replica has another container.
	previewLook = 100 * time.Millisecond
	// previewPause is how long it takes at least until a container is connected to again.
	previewPause = 200 * time.Millisecond
)

// Preview shows the unfinished line of a replica of a service (0: the first one), as it was written,
// over all its lives until ctx ends: show is called with each change of it, with "" once the line
// has ended, one call after the other, and must return at once. What was written before the call is
// not seen. The error wraps ErrUnsupported where the runtime has no previews.
func (e *Engine) Preview(ctx context.Context, service string, replica int, show func(text string)) error {
	p := previews{runtime: e.parts.Runtime, state: e.state}
	changed, stop := e.state.Subscribe()
	defer stop()
	for {
		began := time.Now()
		id, known := p.of(service, replica)
		if !known {
			return fmt.Errorf("preview %s: no such service", service)
		}
		if err := p.follow(ctx, service, replica, id, changed, show); errors.Is(err, container.ErrUnsupported) {
			return err
		}
		show("")
		if wait(ctx, previewPause-time.Since(began)) != nil {
			return ctx.Err()
		}
	}
}

// of returns the container that a replica has, "" for none.
func (p previews) of(service string, replica int) (id string, known bool) {
	m := p.state.Member(service)
	if m == nil {
		return "", false
	}
	for _, h := range m.Holders(replica) {
		return h.Instance.ID, true
	}
	return "", true
}

// follow shows the unfinished lines of a container until it ends, or is not the replica's any more.
func (p previews) follow(ctx context.Context, service string, replica int, id string, changed <-chan struct{}, show func(text string)) error {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	if id != "" {
		lines := openLines{show: show}
		go func() {
			ended <- container.Guard("preview of "+service, func() error { return p.runtime.Preview(ctx, id, nil, lines.take) })
		}()
	} else {
		go func() { <-ctx.Done(); ended <- ctx.Err() }()
	}
	for {
		select {
		case err := <-ended:
			cancel()
			return err
		case <-changed:
		}
		if now, _ := p.of(service, replica); now != id || wait(ctx, previewLook) != nil {
			cancel()
			return <-ended
		}
	}
}

// openLines are the unfinished lines of the two streams of a container.
type openLines struct {
	show func(text string)
	text [container.Stderr + 1]string
}

// take shows the line that changed; when it has ended, the one that the other stream may have.
func (o *openLines) take(l container.Line) {
	o.text[l.Stream] = string(l.Text)
	if len(l.Text) == 0 {
		l.Stream = container.Stdout + container.Stderr - l.Stream
	}
	o.show(o.text[l.Stream])
}

// wait waits for d, or for the end of ctx, whose error it returns.
func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(max(d, 0))
	defer t.Stop()
	select {
	case <-t.C:
		return ctx.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}
