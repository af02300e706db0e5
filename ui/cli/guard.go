package cli

import (
	"io"
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
		return 0, err
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
