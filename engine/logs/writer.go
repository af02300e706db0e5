package logs

import (
	"bytes"
	"sync"
)

// LineWriter splits what a program prints into lines. Its methods may be called from any goroutine.
type LineWriter struct {
	mu    sync.Mutex
	split Splitter
	emit  func(line []byte)
}

// NewLineWriter makes one; emit gets each line without its end, and must not keep it.
func NewLineWriter(emit func(line []byte)) *LineWriter { return &LineWriter{emit: emit} }

// Write takes output.
func (w *LineWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.split.Write(p, func(line []byte) { w.emit(bytes.TrimRight(line, "\r")) })
	return len(p), nil
}

// Flush emits a last line that has no end.
func (w *LineWriter) Flush() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.split.Flush(w.emit)
}
