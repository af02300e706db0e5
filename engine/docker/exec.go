package docker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/moby/moby/client"
	"github.com/muesli/cancelreader"

	"bulkhead/engine/container"
)

// executor runs commands in containers: the Exec of container.Runtime.
type executor struct {
	conn *connection
}

// Exec implements container.Runtime. When ctx ends the streams are cut; the engine
// has no call to end the command itself. A Stdin that is an *os.File is free again
// at once when the command ends; of another reader one Read may be under way still,
// which ends by itself. On a terminal the detach keys of the person's docker config leave the command running.
func (x *executor) Exec(ctx context.Context, id string, o container.ExecOptions) (int, error) {
	what := "exec in " + container.ShortID(id)
	if len(o.Cmd) > 0 {
		what = "exec " + o.Cmd[0] + " in " + container.ShortID(id)
	}
	create := client.ExecCreateOptions{
		User: o.User, Privileged: o.Privileged, TTY: o.TTY, Env: o.Env, WorkingDir: o.Dir, Cmd: o.Cmd,
		// Output is always attached: its end is the sign that the command ended.
		AttachStdin: o.Stdin != nil, AttachStdout: !o.Detach, AttachStderr: !o.Detach,
	}
	keys := &detacher{left: make(chan struct{})}
	var err error
	if create.DetachKeys, keys.codes, err = x.conn.detachKeys("", o.TTY && o.Stdin != nil && !o.Detach); err != nil {
		return 0, fmt.Errorf("%s: %w", what, err)
	}
	made, err := x.conn.cli.ExecCreate(ctx, id, create)
	if err != nil {
		return 0, x.conn.wrap(what, err)
	}
	if o.Detach {
		_, err := x.conn.cli.ExecStart(ctx, made.ID, client.ExecStartOptions{Detach: true, TTY: o.TTY})
		return 0, x.conn.wrap(what, err)
	}
	conn, err := x.conn.cli.ExecAttach(ctx, made.ID, client.ExecAttachOptions{TTY: o.TTY})
	if err != nil {
		return 0, x.conn.wrap(what, err)
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
	if o.TTY && o.Resize != nil {
		wait.Go(func() {
			_ = guard(func() error { x.resize(ctx, made.ID, o.Resize); return nil })
		})
	}
	if o.Stdin != nil {
		done := feed(conn.HijackedResponse, o.Stdin, keys.over)
		defer done()
	}
	read := make(chan error, 1)
	wait.Go(func() { read <- guard(func() error { return output(conn.Reader, o) }) })
	select {
	case err = <-read:
	case <-keys.left:
		return 0, container.ErrDetached
	}
	if ctx.Err() != nil {
		return 0, x.conn.wrap(what, ctx.Err())
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return 0, x.conn.wrap(what, err)
	}
	return x.exitCode(ctx, what, made.ID)
}

// output copies until the streams end.
func output(rd io.Reader, o container.ExecOptions) error {
	stdout, stderr := o.Stdout, o.Stderr
	if stdout == nil {
		stdout = io.Discard
	}
	if stderr == nil {
		stderr = io.Discard
	}
	take := func(stream container.Stream, p []byte) error {
		w := stdout
		if stream == container.Stderr {
			w = stderr
		}
		if _, err := w.Write(p); err != nil {
			return fmt.Errorf("write its output: %w", err)
		}
		return nil
	}
	if o.TTY {
		return raw(rd, take)
	}
	return demux(rd, take)
}

// feed copies stdin until done is called or it ends. filter wraps what is read. done closes the connection:
// what nobody takes on its other side would hold up a write for ever.
func feed(conn client.HijackedResponse, stdin io.Reader, filter func(io.Reader) io.Reader) (done func()) {
	var file cancelreader.CancelReader
	if f, ok := stdin.(*os.File); ok {
		// Without it (on a plain file, say) reads end by themselves.
		if c, err := cancelreader.NewReader(f); err == nil {
			file, stdin = c, c
		}
	}
	stdin = filter(stdin)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = guard(func() error {
			// An error here is the connection's, which the output sees too, or the end of stdin.
			_, _ = io.Copy(conn.Conn, stdin)
			return conn.CloseWrite()
		})
	}()
	return func() {
		conn.Close()
		if file == nil {
			return
		}
		if file.Cancel() {
			<-ended
		}
		_ = file.Close() // the file itself stays open
	}
}

func (x *executor) resize(ctx context.Context, exec string, sizes <-chan container.Size) {
	followSizes(ctx, sizes, func(s container.Size) error {
		_, err := x.conn.cli.ExecResize(ctx, exec, client.ExecResizeOptions{Width: uint(s.Width), Height: uint(s.Height)})
		return err
	})
}

// followSizes sets a terminal to each size that the person's own takes, until there are no more or ctx
// ends.
func followSizes(ctx context.Context, sizes <-chan container.Size, set func(container.Size) error) {
	for {
		select {
		case s, ok := <-sizes:
			if !ok {
				return
			}
			// The command may not have its terminal yet, or have ended: a size that
			// is not taken is no fault.
			for range 10 {
				err := set(s)
				if err == nil || !pause(ctx, 10*time.Millisecond) {
					break
				}
			}
		case <-ctx.Done():
			return
		}
	}
}

// exitCode waits until the engine has noticed the end, which may be a moment after
// the streams ended.
func (x *executor) exitCode(ctx context.Context, what, exec string) (int, error) {
	for delay := time.Millisecond; ; delay = min(2*delay, 50*time.Millisecond) {
		res, err := x.conn.cli.ExecInspect(ctx, exec, client.ExecInspectOptions{})
		if err != nil {
			return 0, x.conn.wrap(what, err)
		}
		if !res.Running {
			return res.ExitCode, nil
		}
		if !pause(ctx, delay) {
			return 0, x.conn.wrap(what, ctx.Err())
		}
	}
}

// pause waits; it is false when ctx ended first.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
