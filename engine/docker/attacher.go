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
func (a *attacher) Attach(ctx context.Context, id string, attached chan<- struct{}, emit func(logs.Line)) error {
	what := "attach to " + container.ShortID(id)
	in, err := a.conn.inspect(ctx, id)
	if err != nil {
		return err
	}
	res, err := a.conn.cli.ContainerAttach(ctx, id, client.ContainerAttachOptions{Stream: true, Stdout: true, Stderr: true})
	if err != nil {
		return a.conn.wrap(what, err)
	}
	stop := context.AfterFunc(ctx, res.Close)
	defer func() {
		stop()
		res.Close()
	}()
	if attached != nil {
		close(attached)
	}

	var out, errs logs.Splitter
	now := func(stream logs.Stream, s *logs.Splitter) func([]byte) {
		return func(line []byte) { emit(logs.Line{Stream: stream, Time: time.Now(), Text: line, Cut: s.Cut()}) }
	}
	toOut, toErr := now(logs.Stdout, &out), now(logs.Stderr, &errs)
	take := func(stream logs.Stream, p []byte) error {
		if stream == logs.Stderr {
			errs.Write(p, toErr)
		} else {
			out.Write(p, toOut)
		}
		return nil
	}
	if in.TTY {
		err = raw(res.Reader, take)
	} else {
		err = demux(res.Reader, take)
	}
	out.Flush(toOut)
	errs.Flush(toErr)
	switch {
	case ctx.Err() != nil:
		return a.conn.wrap(what, ctx.Err())
	case errors.Is(err, io.EOF):
		return nil
	}
	return a.conn.wrap(what, err)
}
