package container

import "time"

// Stream is one of the two that a program writes to.
type Stream uint8

const (
	StreamUnknown Stream = iota
	Stdout
	Stderr
)

// String returns "stdout", "stderr" or "unknown".
func (s Stream) String() string { return [...]string{"unknown", "stdout", "stderr"}[min(s, Stderr)] }

// Line is a line of a container's log.
type Line struct {
	Stream Stream
	Time   time.Time
	Text   []byte // raw, without the line end; valid during the call that it comes with
	Cut    int    // bytes cut off the end because the line was too long; 0: it is whole
}
