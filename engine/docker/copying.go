package docker

import (
	"context"
	"io"
	"time"

	"github.com/moby/moby/client"

	"bulkhead/engine/container"
)

// copying is one copy of files to or from the engine. The whole has no limit; one that pauses for too
// long is ended as one whose engine is silent.
type copying struct {
	io.ReadCloser // what is copied
	cancel        context.CancelCauseFunc
	timer         *time.Timer
	part          time.Duration // how long the engine may take for each part
	answer        bool          // it comes from the engine; whoever has the other end may take their time
}

func newCopying(ctx context.Context, part time.Duration) (context.Context, *copying) {
	ctx, cancel := context.WithCancelCause(ctx)
	return ctx, &copying{cancel: cancel, part: part, timer: time.AfterFunc(part, func() {
		cancel(container.ErrSilent)
	})}
}

// Read implements io.Reader.
func (c *copying) Read(b []byte) (int, error) {
	if c.answer {
		c.timer.Reset(c.part)
		defer c.timer.Stop()
	} else {
		c.timer.Stop()
		defer c.timer.Reset(c.part)
	}
	return c.ReadCloser.Read(b)
}

// Close implements io.Closer.
func (c *copying) Close() error {
	c.end()
	return c.ReadCloser.Close()
}

func (c *copying) end() {
	c.timer.Stop()
	c.cancel(nil)
}

// from goes on with what the engine answers.
func (c *copying) from(content io.ReadCloser, err error) (io.ReadCloser, error) {
	if err != nil {
		c.end()
		return nil, err
	}
	c.timer.Stop()
	c.ReadCloser, c.answer = content, true
	return c, nil
}

// copyFrom streams a path of a container.
func (c *connection) copyFrom(ctx context.Context, id, path string) (client.CopyFromContainerResult, error) {
	ctx, copied := newCopying(ctx, readLimit)
	res, err := c.cli.CopyFromContainer(ctx, id, client.CopyFromContainerOptions{SourcePath: path})
	res.Content, err = copied.from(res.Content, err)
	return res, err
}

// export streams the whole file system of a container.
func (c *connection) export(ctx context.Context, id string) (io.ReadCloser, error) {
	ctx, copied := newCopying(ctx, readLimit)
	res, err := c.cli.ContainerExport(ctx, id, client.ContainerExportOptions{})
	return copied.from(res, err)
}

// copyInto unpacks a stream in a container. The engine answers once the files are in their place.
func (c *connection) copyInto(ctx context.Context, id string, o client.CopyToContainerOptions) error {
	ctx, copied := newCopying(ctx, changeLimit)
	defer copied.end()
	copied.ReadCloser = io.NopCloser(o.Content)
	o.Content = struct{ io.Reader }{copied} // not closed by the client: its end is not that of the copy
	_, err := c.cli.CopyToContainer(ctx, id, o)
	return err
}
