package docker

import (
	"bytes"
	"context"
	"fmt"
	"io"

	"bulkhead/engine/container"
	"bulkhead/engine/logs"
)

// previewer is the container.Previewer.
type previewer struct {
	conn *connection
}

var _ container.Previewer = (*Runtime)(nil)

// longestPreview is what is kept of an unfinished line: more than any screen has cells in a row.
const longestPreview = 4 << 10

// Preview implements container.Previewer. An engine keeps up to 1 MB for a client that is attached
// and does not read, and then has the program wait; so only engines behind a local socket are
// attached to, where reading never waits for a network.
func (p *previewer) Preview(
	ctx context.Context, id string, attached chan<- struct{}, emit func(container.Line),
) error {
	what := "preview " + container.ShortID(id)
	if !p.conn.end.near() {
		return fmt.Errorf("%s: the engine is not behind a local socket: %w", what, container.ErrUnsupported)
	}
	lines := map[container.Stream]*openLine{container.Stdout: newOpenLine(), container.Stderr: newOpenLine()}
	take := func(stream container.Stream, b []byte) error {
		lines[stream].take(b, func(text []byte) { emit(container.Line{Stream: stream, Text: text}) })
		return nil
	}
	return p.conn.attach(ctx, what, id, attached, func(r io.Reader) io.Reader { return &paced{r: r} }, take)
}

// openLine is the unfinished line of a stream.
type openLine struct {
	split logs.Splitter
	shown []byte
}

func newOpenLine() *openLine { return &openLine{split: logs.Splitter{MaxLine: longestPreview}} }

// take takes in output, and emits what the unfinished line is after it.
func (l *openLine) take(b []byte, emit func(text []byte)) {
	if len(l.shown) > 0 && bytes.IndexByte(b, '\n') >= 0 {
		l.shown = l.shown[:0]
		emit(nil)
	}
	l.split.Skip(b)
	if text := l.split.Unfinished(); !bytes.Equal(text, l.shown) {
		l.shown = append(l.shown[:0], text...)
		emit(l.shown)
	}
}
