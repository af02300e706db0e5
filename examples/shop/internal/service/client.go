package service

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"time"
)

// How long one call may take, retry and name lookup included: a stopped
// container has no name any more, and some resolvers take seconds to say so.
// The limits are nested, so that a service that hangs is noticed by the one
// that asked it, and not by the whole chain before that.
const (
	Front  = 1500 * time.Millisecond // to the gateway, which may ask two services in turn
	Middle = 500 * time.Millisecond  // from the gateway
	Back   = 150 * time.Millisecond  // from orders, which asks up to three times
)

const maxBody = 1 << 20 // of a request or an answer

// StatusError is an answer with a status of 400 or more.
type StatusError struct {
	Service string
	Code    int
	Message string // the answer's "error" field, or the status text
}

func (e *StatusError) Error() string {
	return fmt.Sprintf("%s: %d %s", e.Service, e.Code, e.Message)
}

// Down reports whether err means that the service could not do its work: it did
// not answer, or answered with a status of 500 or more. A refusal (4xx) is an
// answer.
func Down(err error) bool {
	var status *StatusError
	if errors.As(err, &status) {
		return status.Code >= http.StatusInternalServerError
	}
	return err != nil
}

// Client calls one service. Safe for concurrent use.
type Client struct {
	name, base string
	limit      time.Duration
	http       *http.Client
}

// NewClient makes a client of the service name, whose calls end after limit; 0: they
// wait for an answer as long as it takes, once they are connected.
// base is its URL, by default http://NAME:8080.
func NewClient(name, base string, limit time.Duration) *Client {
	if base == "" {
		base = "http://" + name + ":8080"
	}
	// A connection for each request: a service that came back under another
	// address is found at once, and one that stops has no idle clients to shed.
	dial := limit / 2
	if limit == 0 {
		dial = Middle / 2
	}
	transport := &http.Transport{
		DialContext:       (&net.Dialer{Timeout: dial}).DialContext,
		DisableKeepAlives: true,
	}
	return &Client{name: name, base: strings.TrimSuffix(base, "/"), limit: limit,
		http: &http.Client{Transport: transport}}
}

// Name is the service that the client calls.
func (c *Client) Name() string { return c.name }

// Do sends in as JSON (nil sends no body) and decodes the answer into out (nil
// drops it). A refused connection is tried once more, since nothing was sent.
// The error is a *StatusError when the service answered.
func (c *Client) Do(ctx context.Context, method, path string, in, out any) error {
	var body []byte
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return fmt.Errorf("%s: encode: %w", c.name, err)
		}
	}
	if c.limit > 0 {
		limited, cancel := context.WithTimeout(ctx, c.limit)
		defer cancel()
		ctx = limited
	}
	err := c.once(ctx, method, path, body, out)
	if errors.Is(err, syscall.ECONNREFUSED) {
		select {
		case <-ctx.Done():
		case <-time.After(50 * time.Millisecond):
			err = c.once(ctx, method, path, body, out)
		}
	}
	return err
}

func (c *Client) once(ctx context.Context, method, path string, body []byte, out any) error {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("%s: %w", c.name, err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("%s: %w", c.name, err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	if err != nil {
		return fmt.Errorf("%s: read answer: %w", c.name, err)
	}
	if resp.StatusCode >= http.StatusBadRequest {
		status := &StatusError{Service: c.name, Code: resp.StatusCode,
			Message: http.StatusText(resp.StatusCode)}
		var said struct{ Error string }
		if json.Unmarshal(answer, &said) == nil && said.Error != "" {
			status.Message = said.Error
		}
		return status
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return fmt.Errorf("%s: decode answer: %w", c.name, err)
	}
	return nil
}
