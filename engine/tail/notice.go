package tail

import (
	"fmt"
	"strings"
)

// Notice is something that people should know about the reading of a log.
type Notice struct {
	Kind    NoticeKind
	Service string
	Driver  string // of NoticeUnreadable: the logging driver
	Err     error  // of NoticeCut
}

// NoticeKind is what a notice is about.
type NoticeKind uint8

const (
	NoticeUnknown    NoticeKind = iota
	NoticeUnreadable            // the logging driver keeps nothing to read, so lines may be missed: a warning
	NoticeCut                   // a stream was cut and is read on; nothing is lost
)

// Text is the notice in one line.
func (n Notice) Text() string {
	if n.Kind == NoticeUnreadable {
		return fmt.Sprintf("%s: its logging driver %s keeps nothing to read: its lines are shown from now on, "+
			"and what it writes while the connection to the engine is gone is lost", n.Service, n.Driver)
	}
	why, _, _ := strings.Cut(n.Err.Error(), "\n")
	return fmt.Sprintf("%s: its log was cut and is read on: %s", n.Service, why)
}
