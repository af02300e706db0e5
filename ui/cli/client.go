package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	"bulkhead/engine"
)

// client talks to a running `up` over its control socket.
type client struct {
	http  *http.Client
	hello hello
}

// dial finds the `up` that runs a project on the engine this app is connected to; nil when there is none.
func (c *connection) dial(ctx context.Context, project string) *client {
	path := c.env.socketPath(project)
	up := &client{http: &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", path)
		},
		DisableKeepAlives: true,
	}}}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if err := up.call(ctx, http.MethodGet, "/v1/", nil, &up.hello); err != nil {
		return nil
	}
	// Names may be hashed into the path, and another docker context may have a project of the same name.
	if up.hello.Project != project || up.hello.Engine != c.info.ID {
		return nil
	}
	return up
}

// remoteError is what the running `up` answered.
type remoteError struct {
	text  string
	named bool // it says what was being done
}

func (e *remoteError) Error() string { return e.text }

// call asks, and reads the answer into out. An answer that says error is one.
func (c *client) call(ctx context.Context, method, path string, in, out any) error {
	var body bytes.Buffer
	if in != nil {
		body.Write(encode(in))
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://bulkhead"+path, &body)
	if err != nil {
		return err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(out); err != nil {
		return fmt.Errorf("read the answer of the running bulkhead: %w", err)
	}
	if d, ok := out.(*did); ok && d.Error != "" {
		return &remoteError{text: d.Error, named: d.Named}
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the running bulkhead answers %s", resp.Status)
	}
	return nil
}

// do has a command carried out and returns the events it led to.
func (c *client) do(ctx context.Context, cmd engine.Command) ([]string, error) {
	var d did
	err := c.call(ctx, http.MethodPost, "/v1/do", cmd, &d)
	return d.Lines, err
}

// wait waits until services are ready. lines are the last log lines of those that do not become ready.
func (c *client) wait(ctx context.Context, services []string, limit time.Duration) (lines []string, err error) {
	var d did
	err = c.call(ctx, http.MethodGet, "/v1/wait?"+url.Values{"service": services, "limit": {limit.String()}}.Encode(), nil, &d)
	return d.Lines, err
}

func (c *client) snapshot(ctx context.Context) ([]psRow, error) {
	rows := []psRow{}
	err := c.call(ctx, http.MethodGet, "/v1/snapshot", nil, &rows)
	return rows, err
}
