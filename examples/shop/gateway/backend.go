package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"bulkhead/examples/shop/internal/service"
)

const (
	// After tripAfter failures in a row the gateway stops asking for openFor, so
	// that a service that hangs does not cost every request a whole timeout.
	tripAfter = 3
	openFor   = 500 * time.Millisecond
	warnEvery = 5 * time.Second // at most one warning a service in this time
	maxCached = 100             // answers kept a service
)

// view is what the gateway says about one service: its answer, or the last one
// that it gave.
type view struct {
	Data     json.RawMessage `json:"data"`
	Degraded bool            `json:"degraded"`
	// of Data, when Degraded; nil when there never was an answer
	AsOf *time.Time `json:"as_of,omitempty"`
}

type cached struct {
	data json.RawMessage
	at   time.Time
}

// backend is a service behind the gateway: healthy until a call fails, down
// until one succeeds. Safe for concurrent use.
type backend struct {
	log    *slog.Logger
	client *service.Client

	mu       sync.Mutex
	failures int       // in a row; 0 when healthy
	since    time.Time // of the first of them
	open     time.Time // no call before it
	warned   time.Time
	muted    int // failures since warned
	cache    map[string]cached
}

func newBackend(log *slog.Logger, client *service.Client) *backend {
	return &backend{log: log, client: client, cache: map[string]cached{}}
}

// get asks for path. When the service is down it returns the last answer to the
// same question, else instead, marked as degraded; an error means that the
// service refused. serving says in the log what is served then.
func (b *backend) get(ctx context.Context, path string, instead, serving string) (view, error) {
	var data json.RawMessage
	err := b.call(ctx, http.MethodGet, path, nil, &data, "serving "+serving)
	if err == nil {
		b.keep(path, data)
		return view{Data: data}, nil
	}
	if !service.Down(err) {
		return view{}, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if last, ok := b.cache[path]; ok {
		return view{Data: last.data, Degraded: true, AsOf: &last.at}, nil
	}
	return view{Data: json.RawMessage(instead), Degraded: true}, nil
}

// call asks the service, unless it is known to be down, and keeps the book of
// its failures. instead says in the log what the gateway does without it.
func (b *backend) call(ctx context.Context, method, path string, in, out any, instead string) error {
	if b.tripped() {
		b.failed(errTripped, instead)
		return errTripped
	}
	err := b.client.Do(ctx, method, path, in, out)
	switch {
	case !service.Down(err):
		b.worked()
	case ctx.Err() == nil: // else the caller went away, which says nothing of the service
		b.failed(err, instead)
	}
	return err
}

var errTripped = &service.StatusError{Service: "gateway", Code: http.StatusServiceUnavailable,
	Message: "not asked, it was down a moment ago"}

func (b *backend) tripped() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return time.Now().Before(b.open)
}

func (b *backend) worked() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.failures > 0 {
		name := b.client.Name()
		b.log.Info(name+" is back", "service", name, "away", time.Since(b.since).Round(time.Millisecond))
	}
	b.failures, b.muted, b.warned = 0, 0, time.Time{}
}

func (b *backend) failed(err error, instead string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	if b.failures == 0 {
		b.since = now
	}
	if err != error(errTripped) {
		b.failures++
		if b.failures >= tripAfter {
			b.open = now.Add(openFor)
		}
	}
	if now.Sub(b.warned) < warnEvery {
		b.muted++
		return
	}
	name := b.client.Name()
	b.log.Warn(name+" is down, "+instead, "service", name, "muted", b.muted, "err", err)
	b.warned, b.muted = now, 0
}

func (b *backend) down() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.failures > 0
}

func (b *backend) keep(path string, data json.RawMessage) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, ok := b.cache[path]; !ok && len(b.cache) >= maxCached {
		for other := range b.cache { // any one will do
			delete(b.cache, other)
			break
		}
	}
	b.cache[path] = cached{data: data, at: time.Now().UTC()}
}
