package docker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	moby "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	"github.com/moby/term"

	"bulkhead/engine/container"
)

// foregrounder is the container.Foregrounder.
type foregrounder struct {
	conn *connection
}

var _ container.Foregrounder = (*Runtime)(nil)

// detachKeys are those of docker, where the person's docker config names none.
const detachKeys = "ctrl-p,ctrl-q"

// Foreground implements container.Foregrounder.
func (f *foregrounder) Foreground(ctx context.Context, id string, o container.Streams, start func(context.Context) error) (int, error) {
	what := "attach to " + container.ShortID(id)
	res, err := f.conn.cli.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
	if err != nil {
		return 0, f.conn.wrap(what, err)
	}
	c := res.Container
	tty := c.Config != nil && c.Config.Tty
	attach := client.ContainerAttachOptions{Stream: true, Stdin: o.Stdin != nil, Stdout: o.Stdout != nil, Stderr: o.Stderr != nil}
	keys := &detacher{left: make(chan struct{})}
	if attach.DetachKeys, keys.codes, err = f.conn.detachKeys(o.DetachKeys, o.Stdin != nil && tty); err != nil {
		return 0, fmt.Errorf("%s: %w", what, err)
	}
	conn, err := f.conn.cli.ContainerAttach(ctx, id, attach)
	if err != nil {
		return 0, f.conn.wrap(what, err)
	}
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(ctx, conn.Close)
	var wait sync.WaitGroup
	defer func() {
		cancel()
		stop()
		conn.Close()
		wait.Wait()
	}()
	// Asked before the start, an end that comes at once is not missed.
	condition := moby.WaitConditionNextExit
	switch {
	case c.HostConfig != nil && c.HostConfig.AutoRemove:
		condition = moby.WaitConditionRemoved
	case start == nil:
		condition = moby.WaitConditionNotRunning
	}
	ended := f.conn.cli.ContainerWait(ctx, id, client.ContainerWaitOptions{Condition: condition})
	done := func() {}
	if o.Stdin != nil {
		done = feed(conn.HijackedResponse, o.Stdin, keys.over)
	}
	defer func() { done() }()
	if start != nil {
		if err := start(ctx); err != nil {
			return 0, err
		}
	}
	if tty && o.Resize != nil {
		wait.Go(func() {
			_ = guard(func() error { f.resize(ctx, id, o.Resize); return nil })
		})
	}
	read := make(chan error, 1)
	wait.Go(func() {
		read <- guard(func() error {
			return output(conn.Reader, container.ExecOptions{TTY: tty, Stdout: o.Stdout, Stderr: o.Stderr})
		})
	})
	return f.await(ctx, what, keys.left, read, ended)
}

// detachKeys are the keys by which a person leaves what runs, as written and as they come: those that are asked for,
// else those of the docker config. Where stdin is no terminal's there are none.
func (c *connection) detachKeys(asked string, tty bool) (keys string, codes []byte, err error) {
	if !tty {
		return "", nil, nil
	}
	if keys = asked; keys == "" {
		conf, err := c.end.dockerConfig()
		if err != nil {
			return "", nil, err
		}
		if keys = conf.DetachKeys; keys == "" {
			keys = detachKeys
		}
	}
	if codes, err = term.ToBytes(keys); err != nil {
		return "", nil, container.WithRemedy(fmt.Errorf("detach keys %q: %w", keys, err), "write them as ctrl-p,ctrl-q")
	}
	return keys, codes, nil
}

// detacher looks for the detach keys in what is read.
type detacher struct {
	io.Reader
	codes []byte        // empty: none are looked for
	left  chan struct{} // closed when they came
	once  sync.Once
}

// over returns a reader of r that ends when the keys come.
func (d *detacher) over(r io.Reader) io.Reader {
	d.Reader = term.NewEscapeProxy(r, d.codes)
	return d
}

// Read implements io.Reader.
func (d *detacher) Read(p []byte) (int, error) {
	n, err := d.Reader.Read(p)
	if errors.As(err, new(term.EscapeError)) {
		d.once.Do(func() { close(d.left) })
		return n, io.EOF
	}
	return n, err
}

// await waits for the exit code, after the last of the output; or for the person to leave.
func (f *foregrounder) await(ctx context.Context, what string, left <-chan struct{}, read <-chan error, ended client.ContainerWaitResult) (int, error) {
	failed := ended.Error
	over, code := false, 0
	var why error
	for !over || read != nil {
		select {
		case err := <-read:
			read = nil
			if err != nil && !errors.Is(err, io.EOF) && ctx.Err() == nil {
				return 0, f.conn.wrap(what, err)
			}
		case r := <-ended.Result:
			over, code = true, int(r.StatusCode)
			if r.Error != nil {
				why = errors.New(r.Error.Message)
			}
		case err := <-failed:
			if err != nil && ctx.Err() == nil {
				return 0, f.conn.wrap(what, err)
			}
			failed = nil
		case <-left:
			return 0, container.ErrDetached
		case <-ctx.Done():
			return 0, f.conn.wrap(what, ctx.Err())
		}
	}
	return code, why
}

func (f *foregrounder) resize(ctx context.Context, id string, sizes <-chan container.Size) {
	followSizes(ctx, sizes, func(s container.Size) error {
		_, err := f.conn.cli.ContainerResize(ctx, id, client.ContainerResizeOptions{Width: uint(s.Width), Height: uint(s.Height)})
		return err
	})
}

// Wait implements container.Foregrounder.
func (f *foregrounder) Wait(ctx context.Context, id string) (int, error) {
	what := "wait for " + container.ShortID(id)
	ended := f.conn.cli.ContainerWait(ctx, id, client.ContainerWaitOptions{Condition: moby.WaitConditionNotRunning})
	for failed := ended.Error; ; {
		select {
		case r := <-ended.Result:
			return int(r.StatusCode), nil
		case err := <-failed:
			if err != nil {
				return 0, f.conn.wrap(what, err)
			}
			failed = nil
		case <-ctx.Done():
			return 0, f.conn.wrap(what, ctx.Err())
		}
	}
}
