package relay

import (
	"errors"
	"net"
	"os"
	"syscall"
	"time"
)

// The protocol: each side writes JSON lines. One without a connection is a heartbeat, but for the
// greeting. Bulkhead chooses the numbers of connections. dial is answered by opened; after data
// neither side sends more of that connection before the other one says took, so that no connection
// holds up another, and what nobody reads is not read from the network either.

// verb is what a line is about.
type verb string

const (
	dialVerb   verb = "dial"
	openedVerb verb = "opened" // or not: with an error
	dataVerb   verb = "data"
	tookVerb   verb = "took" // the data has been passed on
	endVerb    verb = "end"  // of the connection
)

const (
	chunk    = 16 << 10 // bytes of data in one line
	maxConns = 64       // at a time; a probe needs one
)

type line struct {
	Version int    `json:"version,omitempty"` // of the greeting
	Conn    uint64 `json:"conn,omitempty"`
	Do      verb   `json:"do,omitempty"`

	Address string        `json:"address,omitempty"` // of dial: host:port
	Limit   time.Duration `json:"limit,omitempty"`   // of dial; 0: none
	Data    []byte        `json:"data,omitempty"`
	Error   string        `json:"error,omitempty"`
	Kind    kind          `json:"kind,omitempty"` // of the error
}

// kind is what callers tell errors apart by.
type kind string

const (
	refusedKind kind = "refused"
	timeoutKind kind = "timeout"
)

func (l *line) fail(err error) {
	l.Error = err.Error()
	var timeout net.Error
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		l.Kind = refusedKind
	case errors.As(err, &timeout) && timeout.Timeout():
		l.Kind = timeoutKind
	}
}

// err is the error of opened, as net.Dialer would return it.
func (l *line) err() error {
	var why error
	switch {
	case l.Error == "":
		return nil
	case l.Kind == refusedKind:
		why = syscall.ECONNREFUSED
	case l.Kind == timeoutKind:
		why = os.ErrDeadlineExceeded
	default:
		why = errors.New(l.Error)
	}
	return &net.OpError{Op: "dial", Net: "tcp", Err: why}
}
