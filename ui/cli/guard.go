package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"

	"bulkhead/engine/logs"
)

// guard lets text and colours through to a terminal or a file, and nothing that could command a
// terminal. What is foreign is cleaned where it comes in; this holds whatever was forgotten. It may
// be written to from any goroutine.
type guard struct {
	w io.Writer

	mu   sync.Mutex
	tail []byte // the start of a character or of a colour, until the rest of it comes
	buf  []byte
	err  error // of the first write that did not work
}

// lost is why some of the output is not where it was to go; nil where all is, and where its reader
// has gone, as `| head` does.
func (g *guard) lost() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.err == nil || stdoutClosed(g.err) {
		return nil
	}
	return lostError(g.err)
}

// errLost says that output is not where it was to go.
var errLost = errors.New("write the output")

// lostError is an error of writing the output, without the operation and the path.
func lostError(err error) error {
	if errors.Is(err, errLost) {
		return err
	}
	var path *fs.PathError
	if errors.As(err, &path) {
		err = path.Err
	}
	return fmt.Errorf("%w: %w", errLost, err)
}

// Write implements io.Writer.
func (g *guard) Write(p []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	text := p
	if len(g.tail) > 0 {
		text = append(g.tail, p...)
	}
	out, rest := logs.Terminal(g.buf[:0], text)
	g.buf, g.tail = out, append([]byte(nil), text[len(text)-rest:]...)
	if _, err := g.w.Write(out); err != nil {
		if g.err == nil {
			g.err = err
		}
		return 0, lostError(err) // whoever returns it has said so: run does not say it again
	}
	return len(p), nil
}

// unguarded is the stream below a guard: for what asks whether it is a terminal, and for the output
// of a command that a person runs in a container, whose terminal it is.
func unguarded(w io.Writer) io.Writer {
	if g, ok := w.(*guard); ok {
		return g.w
	}
	return w
}
