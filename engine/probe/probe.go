// Package probe asks whether what runs in a container is ready: with an x-bulkhead.probe address inside
// the container's own network, or early with the test of its healthcheck. It keeps nothing and decides
// nothing; the engine calls it for each life that begins, and doctor and drills may ask once.
package probe

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"bulkhead/engine/container"
)

const (
	first = 50 * time.Millisecond // between the first two tries; doubled up to most
	most  = time.Second
	long  = 2 * time.Second // a single try, where the healthcheck sets no timeout of its own
)

// Runtime is what probes need of a runtime.
type Runtime interface {
	Exec(ctx context.Context, id string, o container.ExecOptions) (int, error)
	container.Dialer
}

// Early asks a fresh life early whether it is ready, until took says that it is over: with the test of its
// healthcheck until the engine's own first result, or with an address where there is no healthcheck.
// took is called with each answer. It returns at once when there is nothing to ask.
func Early(
	ctx context.Context, rt Runtime, life container.Instance, address string, took func(ok bool) (over bool),
) {
	var ask func(context.Context) bool
	switch {
	case len(life.Check) > 0 && life.Health != container.Healthy:
		ask = func(ctx context.Context) bool {
			code, err := rt.Exec(ctx, life.ID, container.ExecOptions{Cmd: life.Check,
				Stdout: io.Discard, Stderr: io.Discard})
			return err == nil && code == 0
		}
	case len(life.Check) == 0 && address != "":
		ask = func(ctx context.Context) bool { return Ask(ctx, rt, life.ID, address) == nil }
	default:
		return
	}
	limit := life.HealthTimeout
	if limit <= 0 || limit > long {
		limit = long
	}
	for pause := first; ; pause = min(2*pause, most) {
		try, cancel := context.WithTimeout(ctx, limit)
		ok := ask(try)
		cancel()
		if took(ok) {
			return
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return
		}
	}
}

// Ask asks an x-bulkhead.probe address once, inside the container's own network: http, https or tcp. Any HTTP answer
// below 500 counts, because what answers is up.
func Ask(ctx context.Context, rt container.Dialer, id, address string) error {
	u, err := url.Parse(address)
	if err != nil {
		return fmt.Errorf("probe %s: %w", address, err)
	}
	port, err := strconv.Atoi(u.Port())
	if err != nil {
		port = map[string]int{"http": 80, "https": 443}[u.Scheme]
	}
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) { return rt.DialInstance(ctx, id, port) }
	if u.Scheme == "tcp" {
		c, err := dial(ctx, "", "")
		if err != nil {
			return fmt.Errorf("probe %s: %w", address, err)
		}
		return c.Close()
	}
	t := &http.Transport{DialContext: dial, DisableKeepAlives: true}
	defer t.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return fmt.Errorf("probe %s: %w", address, err)
	}
	res, err := (&http.Client{Transport: t}).Do(req)
	if err != nil {
		return fmt.Errorf("probe %s: %w", address, err)
	}
	defer res.Body.Close()
	if res.StatusCode >= 500 {
		return fmt.Errorf("probe %s: it answers %s", address, res.Status)
	}
	return nil
}
