package docker

import (
	"context"
	"errors"
	"io"
	"strconv"
	"strings"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/client"

	"bulkhead/engine/container"
	"bulkhead/engine/logs"
)

// logReader reads logs: the Logs of container.Runtime.
type logReader struct {
	conn *connection
}

// Logs implements container.Runtime. Of a line that comes in fragments 1 MiB is kept.
func (l *logReader) Logs(
	ctx context.Context, id string, o container.LogOptions, emit func(container.Line),
) error {
	what := "read the log of " + container.ShortID(id)
	in, err := l.conn.inspect(ctx, id)
	if err != nil {
		return err
	}
	opt := client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true, Timestamps: true,
		Follow: o.Follow, Tail: "all"}
	if o.Tail >= 0 {
		opt.Tail = strconv.Itoa(o.Tail)
	}
	if !o.Since.IsZero() {
		opt.Since = stamp(o.Since)
	}
	if !o.Until.IsZero() {
		opt.Until = stamp(o.Until)
	}
	var seen logs.Dedupe
	put := emit
	if o.Follow { // else nothing is read twice
		put = func(line container.Line) {
			if seen.Fresh(marked(line)) {
				emit(line)
			}
		}
	}
	rd := newStamped(put)
	err = l.readLog(ctx, id, opt, rd, in.TTY)
	if err == nil && o.Follow {
		err = l.rest(ctx, id, opt, rd, in.TTY, &seen, put)
	} else {
		rd.flush()
	}
	if err == nil {
		return nil
	}
	if strings.Contains(err.Error(), "does not support reading") ||
		strings.Contains(err.Error(), "does not support reads") {
		return &apiError{
			what: what, kind: container.ErrUnsupported, err: err,
			text:   "its logging driver " + in.LogDriver + " keeps nothing to read",
			remedy: "use json-file or local to see it",
		}
	}
	return l.conn.wrap(what, err)
}

// marked is a line as Dedupe knows it.
func marked(l container.Line) logs.Line {
	return logs.Line{Time: l.Time, Stream: logs.Stream(l.Stream), Text: l.Text}
}

func (l *logReader) readLog(
	ctx context.Context, id string, opt client.ContainerLogsOptions, rd *stampedReader, tty bool,
) error {
	cli := l.conn.cli
	if opt.Follow {
		var err error
		if cli, err = l.conn.streams(ctx); err != nil {
			return err
		}
	}
	res, err := cli.ContainerLogs(ctx, id, opt)
	if err != nil {
		return err
	}
	defer res.Close()
	if opt.Follow {
		return rd.read(&paced{r: res}, tty)
	}
	return rd.read(res, tty)
}

// rest reads what a container wrote last, once it has ended: engines end a followed
// log when the writer is gone, and do not look whether there is more in it. rd may
// hold a line that has not ended; it is read again.
func (l *logReader) rest(
	ctx context.Context, id string, opt client.ContainerLogsOptions, rd *stampedReader, tty bool,
	seen *logs.Dedupe, put emitLine,
) error {
	in, err := l.conn.inspect(ctx, id)
	if errors.Is(err, container.ErrNotFound) {
		rd.flush() // nothing is left to read
		return nil
	}
	if err != nil {
		return err
	}
	opt.Follow = false
	if since := seen.Since(); !since.IsZero() {
		opt.Since, opt.Tail = stamp(since), "all"
		seen.Reopened()
	}
	if in.State == container.StateRunning {
		// Its next life has begun, whose lines are not asked for. Engines stamp a
		// line up to 2 ms before the start.
		opt.Until = stamp(in.Started.Add(-5 * time.Millisecond))
	}
	more := newStamped(put)
	err = l.readLog(ctx, id, opt, more, tty)
	if cerrdefs.IsNotFound(err) {
		rd.flush()
		return nil
	}
	more.flush()
	return err
}

// raw reads a terminal's output, which has no frames.
func raw(rd io.Reader, emit func(stream container.Stream, p []byte) error) error {
	buf := make([]byte, readBuffer)
	for {
		n, err := rd.Read(buf)
		if n > 0 {
			if err := emit(container.Stdout, buf[:n]); err != nil {
				return err
			}
		}
		if err != nil {
			return err
		}
	}
}
