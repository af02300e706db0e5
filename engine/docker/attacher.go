package docker

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/moby/moby/client"

	"bulkhead/engine/container"
	"bulkhead/engine/logs"
)

// attacher is the container.Attacher.
type attacher struct {
	conn *connection
}

var _ container.Attacher = (*Runtime)(nil)

// Attach implements container.Attacher.
func (a *attacher) Attach(
	ctx context.Context, id string, attached chan<- struct{}, emit func(container.Line),
) error {
	var out, errs logs.Splitter
	now := func(stream container.Stream, s *logs.Splitter) func([]byte) {
		return func(line []byte) {
			emit(container.Line{Stream: stream, Time: time.Now(), Text: line, Cut: s.Cut()})
		}
	}
	toOut, toErr := now(container.Stdout, &out), now(container.Stderr, &errs)
	take := func(stream container.Stream, p []byte) error {
		if stream == container.Stderr {
			errs.Write(p, toErr)
		} else {
			out.Write(p, toOut)
		}
		return nil
	}
	err := a.conn.attach(ctx, "attach to "+container.ShortID(id), id, attached,
		func(r io.Reader) io.Reader { return r }, take)
	out.Flush(toOut)
	errs.Flush(toErr)
	return err
}

// attach hands what a container writes from now on to take, until the container ends. The bytes are
// read by what through makes of the connection's reader. attached is as of container.Attacher.
func (c *connection) attach(
	ctx context.Context, what, id string, attached chan<- struct{}, through func(io.Reader) io.Reader,
	take func(container.Stream, []byte) error,
) error {
	in, err := c.inspect(ctx, id)
	if err != nil {
		return err
	}
	res, err := c.cli.ContainerAttach(ctx, id, client.ContainerAttachOptions{Stream: true,
		Stdout: true, Stderr: true})
	if err != nil {
		return c.wrap(what, err)
	}
	stop := context.AfterFunc(ctx, res.Close)
	defer func() {
		stop()
		res.Close()
	}()
	if attached != nil {
		close(attached)
	}
	if read := through(res.Reader); in.TTY {
		err = raw(read, take)
	} else {
		err = demux(read, take)
	}
	switch {
	case ctx.Err() != nil:
		return c.wrap(what, ctx.Err())
	case errors.Is(err, io.EOF):
		return nil
	}
	return c.wrap(what, err)
}
