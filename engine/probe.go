package engine

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
	probeFirst = 50 * time.Millisecond // between the first two tries; doubled up to probeMost
	probeMost  = time.Second
	probeLong  = 2 * time.Second // a single try, where the healthcheck sets no timeout of its own
)

// probeLife asks a fresh life early whether it is ready: with the test of its healthcheck until the
// engine's own first result, or with x-bulkhead.probe where there is no healthcheck. Nothing is
// asked before the engine said that it started. Callers hold mu.
func (e *Engine) probeLife(s *service, r *replica) {
	in := r.inst
	var ask func(context.Context) bool
	switch {
	case len(in.Check) > 0 && in.Health != Healthy:
		ask = func(ctx context.Context) bool {
			code, err := e.rt.Exec(ctx, in.ID, ExecOptions{Cmd: in.Check, Stdout: io.Discard, Stderr: io.Discard})
			return err == nil && code == 0
		}
	case len(in.Check) == 0 && s.conf.Extra.Probe != "":
		probe := s.conf.Extra.Probe
		ask = func(ctx context.Context) bool { return Probe(ctx, e.rt, in.ID, probe) == nil }
	default:
		return
	}
	limit := in.HealthTimeout
	if limit <= 0 || limit > probeLong {
		limit = probeLong
	}
	e.launch("probe of "+s.name, func(ctx context.Context) error {
		for pause := probeFirst; ; pause = min(2*pause, probeMost) {
			try, cancel := context.WithTimeout(ctx, limit)
			ok := ask(try)
			cancel()
			e.mu.Lock()
			over := r.inst.ID != in.ID || !r.inst.Started.Equal(in.Started) || r.inst.State != StateRunning
			over = over || len(in.Check) > 0 && r.inst.Health != HealthStarting
			if !over && ok {
				r.early, over = true, true
				e.updateState(s)
				e.recordReplica(s, r, "early probe passed")
			}
			e.mu.Unlock()
			if over {
				return nil
			}
			select {
			case <-time.After(pause):
			case <-ctx.Done():
				return nil
			}
		}
	})
}

// Probe asks an x-bulkhead.probe address once, inside the container's own network: http, https or tcp. Any HTTP answer
// below 500 counts, because what answers is up.
func Probe(ctx context.Context, rt container.Dialer, id, address string) error {
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
