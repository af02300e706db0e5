package hostcmd

import "bytes"

const (
	// maxLine is how much is kept of a line; the rest of it is dropped.
	maxLine = 1 << 20
	// keepRewrites is how much of a line that is rewritten in place (a progress
	// bar, which writes \r and no \n for minutes) is kept before old rewrites go.
	keepRewrites = 8 << 10
)

// lines splits what is written to it into lines.
type lines struct {
	emit func(line string)
	buf  []byte // the line that has not ended yet
}

func (l *lines) Write(p []byte) (int, error) {
	n := len(p)
	for {
		line, rest, ended := bytes.Cut(p, []byte("\n"))
		l.hold(line)
		if !ended {
			return n, nil
		}
		l.end()
		p = rest
	}
}

// flush ends a line that has no end of its own.
func (l *lines) flush() {
	if len(l.buf) > 0 {
		l.end()
	}
}

// hold adds to the line, within its bounds.
func (l *lines) hold(p []byte) {
	l.buf = append(l.buf, p...)
	if over := len(l.buf) - keepRewrites; over > 0 {
		if i := bytes.LastIndexByte(l.buf[:len(l.buf)-1], '\r'); i >= 0 {
			l.buf = append(l.buf[:0], l.buf[i+1:]...)
		}
	}
	l.buf = l.buf[:min(len(l.buf), maxLine)]
}

// end emits the line.
func (l *lines) end() {
	l.emit(string(bytes.TrimRight(l.buf, "\r")))
	l.buf = l.buf[:0]
}
