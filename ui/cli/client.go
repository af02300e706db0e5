package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"bulkhead/engine"
)

// client talks to a running `up` over its control socket.
type client struct {
	http  *http.Client
	hello hello
	last  atomic.Uint64 // Seq of the last event that an answer knew of
}

// dialLimit is how long an `up` may take to say who it is. One that is stopped, as by ctrl+z, is taken for none
// then; one on a machine that is merely busy must not be.
const dialLimit = 10 * time.Second

// dial finds the `up` that runs a project on the engine this app is connected to; nil when none answers
// within dialLimit, or before ctx ends. The error is a *strangerError: somebody else may answer there.
func (c *connection) dial(ctx context.Context, project string) (*client, error) {
	path := c.env.socketPath(project)
	up := &client{http: &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialOwn(ctx, path)
		},
		DisableKeepAlives: true,
	}}}
	ctx, cancel := context.WithTimeout(ctx, dialLimit)
	defer cancel()
	defer c.console.notifyAfter(slowAnswer, project+
		": waiting for the bulkhead that runs it, which does not answer; it may be stopped (ctrl+z)")()
	if err := up.call(ctx, "/v1/", nil, &up.hello); err != nil {
		if stranger := new(strangerError); errors.As(err, &stranger) {
			return nil, stranger
		}
		return nil, nil
	}
	// Names may be hashed into the path, and another docker context may have a project of the same name.
	if up.hello.Project != project || up.hello.Engine != c.info.ID {
		return nil, nil
	}
	return up, nil
}

const (
	// endShown is after how long it is said that an `up` which ends is waited for.
	endShown = 300 * time.Millisecond
	// endLimit is how long one that answers no more may take to leave the project.
	endLimit = 15 * time.Second
)

// errEnding means that the running `up` ends, and takes no commands any more.
var errEnding = errors.New("the running bulkhead is ending")

// awaitEnd waits until the `up` that runs a project has ended, and says so if that takes a moment.
func (c *connection) awaitEnd(ctx context.Context, project string) error {
	defer c.console.notifyAfter(endShown, project+": another bulkhead stops it; waiting for its end")()
	for {
		if up, err := c.dial(ctx, project); up == nil {
			return err
		}
		if !sleep(ctx, 100*time.Millisecond) {
			return ctx.Err()
		}
	}
}

// through has the `up` that runs a project do something. done is false where none runs it, or none any
// more: one that is ending, or that ends meanwhile, is waited for.
func (c *connection) through(
	ctx context.Context, project string, do func(*client) error,
) (done bool, err error) {
	up, err := c.dial(ctx, project)
	if up == nil {
		return false, err
	}
	if !up.hello.Ending {
		if err := do(up); !errors.Is(err, errEnding) {
			return true, err
		}
	}
	return false, c.awaitEnd(ctx, project)
}

// claim is claim of a project: one whose holder ends is waited for. Where a holder has not answered until
// the end of the wait, the error is errUnresponsive, and another try would wait as long.
func (c *connection) claim(ctx context.Context, project string) (l net.Listener, release func(), err error) {
	cause := ctx
	ctx, cancel := context.WithTimeout(ctx, endLimit)
	defer cancel()
	for {
		l, release, err = claim(c.env.socketPath(project), project)
		if !errors.Is(err, errRunning) {
			return l, release, err
		}
		up, derr := c.dial(ctx, project)
		if derr != nil || up != nil && !up.hello.Ending {
			return nil, nil, err
		}
		if !sleep(ctx, 50*time.Millisecond) { // its socket is closed, or about to be
			if up == nil && cause.Err() == nil {
				err = errUnresponsive
			}
			return nil, nil, err
		}
	}
}

// remoteError is what the running `up` answered.
type remoteError struct {
	text  string
	named bool // it says what was being done
}

func (e *remoteError) Error() string { return e.text }

// request posts in, or gets where it is nil, and returns the answer, whose body the caller closes.
func (c *client) request(ctx context.Context, path string, in any) (*http.Response, error) {
	var body bytes.Buffer
	method := http.MethodGet
	if in != nil {
		method = http.MethodPost
		body.Write(encode(in))
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://bulkhead"+path, &body)
	if err != nil {
		return nil, err
	}
	return c.http.Do(req)
}

// call is request, and reads the answer into out. An answer that says error is one.
func (c *client) call(ctx context.Context, path string, in, out any) error {
	resp, err := c.request(ctx, path, in)
	if err != nil {
		if ctx.Err() == nil {
			return fmt.Errorf("%w: %w", errEnding, err)
		}
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusServiceUnavailable {
		return errEnding
	}
	if err := json.NewDecoder(resp.Body).Decode(out); err != nil {
		if in == nil && errors.Is(err, io.ErrUnexpectedEOF) && ctx.Err() == nil {
			return fmt.Errorf("%w: %w", errEnding, err) // in the middle of its answer
		}
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
	err := c.call(ctx, "/v1/do", cmd, &d)
	c.last.Store(max(c.last.Load(), d.Seq))
	return d.Lines, err
}

// wait waits until services are ready. lines are the last log lines of those that do not become ready.
func (c *client) wait(ctx context.Context, services []string, limit time.Duration) (lines []string, err error) {
	var d did
	err = c.call(ctx, "/v1/wait?"+url.Values{"service": services,
		"limit": {limit.String()}}.Encode(), nil, &d)
	return d.Lines, err
}

func (c *client) snapshot(ctx context.Context) ([]psRow, error) {
	rows := []psRow{}
	err := c.call(ctx, "/v1/snapshot", nil, &rows)
	return rows, err
}

// faults returns the faults in force.
func (c *client) faults(ctx context.Context) ([]faultRow, error) {
	rows := []faultRow{}
	err := c.call(ctx, "/v1/faults", nil, &rows)
	return rows, err
}
