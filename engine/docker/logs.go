package docker

import (
	"context"
	"errors"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/moby/moby/client"

	"bulkhead/engine"
	"bulkhead/engine/logs"
)

// Logs implements engine.Runtime. A line of more than 1 MiB comes in parts.
func (r *Runtime) Logs(ctx context.Context, id string, o engine.LogOptions, emit func(stream logs.Stream, t time.Time, line []byte)) error {
	what := "read the log of " + short(id)
	in, err := r.Inspect(ctx, id)
	if err != nil {
		return err
	}
	opt := client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true, Timestamps: true, Follow: o.Follow, Tail: "all"}
	if o.Tail >= 0 {
		opt.Tail = strconv.Itoa(o.Tail)
	}
	if !o.Since.IsZero() {
		opt.Since = stamp(o.Since)
	}
	if !o.Until.IsZero() {
		opt.Until = stamp(o.Until)
	}
	res, err := r.cli.ContainerLogs(ctx, id, opt)
	if err == nil {
		defer res.Close()
		if in.TTY {
			err = readStampedTTY(res, emit)
		} else {
			err = readStamped(res, emit)
		}
	}
	if err == nil {
		return nil
	}
	if strings.Contains(err.Error(), "does not support reading") || strings.Contains(err.Error(), "does not support reads") {
		return &apiError{
			what: what, kind: engine.ErrUnsupported, err: err,
			text: "its logging driver " + in.LogDriver + " keeps nothing to read; use json-file or local to see it",
		}
	}
	return r.wrap(what, err)
}

// Attach implements engine.Runtime.
func (r *Runtime) Attach(ctx context.Context, id string, attached chan<- struct{}, emit func(stream logs.Stream, t time.Time, line []byte)) error {
	what := "attach to " + short(id)
	in, err := r.Inspect(ctx, id)
	if err != nil {
		return err
	}
	res, err := r.cli.ContainerAttach(ctx, id, client.ContainerAttachOptions{Stream: true, Stdout: true, Stderr: true})
	if err != nil {
		return r.wrap(what, err)
	}
	stop := context.AfterFunc(ctx, res.Close)
	defer func() {
		stop()
		res.Close()
	}()
	close(attached)

	var out, errs logs.Splitter
	now := func(stream logs.Stream) func([]byte) {
		return func(line []byte) { emit(stream, time.Now(), line) }
	}
	toOut, toErr := now(logs.Stdout), now(logs.Stderr)
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
		return r.wrap(what, ctx.Err())
	case errors.Is(err, io.EOF):
		return nil
	}
	return r.wrap(what, err)
}

// raw reads a terminal's output, which has no frames.
func raw(rd io.Reader, emit func(stream logs.Stream, p []byte) error) error {
	buf := make([]byte, readBuffer)
	for {
		n, err := rd.Read(buf)
		if n > 0 {
			if err := emit(logs.Stdout, buf[:n]); err != nil {
				return err
			}
		}
		if err != nil {
			return err
		}
	}
}
