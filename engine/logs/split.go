package logs

import "bytes"

// Splitter turns the bytes of one stream into lines. A line ends with \n or \r\n. A line that is rewritten in
// place (a progress bar, which writes \r and no \n for minutes) stays one line, of which only the last
// rewrites are kept. The zero value is ready; not safe for concurrent use.
type Splitter struct {
	MaxLine int // bytes kept of a line; what is over is counted and dropped; 0: 1 MiB

	buf []byte // the line that has not ended yet
	cut int    // bytes dropped from its end
	now int    // cut of the line being emitted

	last, before int // where the last \r in buf is, and the one before it, plus one; 0: there is none
}

const (
	// keepRewrites is how much of a line being rewritten in place is kept before old rewrites go.
	keepRewrites = 8 << 10
	// keepBuffer is the capacity that a splitter keeps for the next line after a long one.
	keepBuffer = 64 << 10
)

// Write takes in bytes and emits the lines that end in them. A line is valid during the call of emit only.
func (s *Splitter) Write(p []byte, emit func(line []byte)) {
	for len(p) > 0 {
		i := bytes.IndexByte(p, '\n')
		if i < 0 {
			s.hold(p)
			return
		}
		if len(s.buf) == 0 && s.cut == 0 && i <= s.maxLine() {
			emit(trimReturn(p[:i])) // the usual case: a whole line, and nothing to copy
		} else {
			s.hold(p[:i])
			s.emit(emit)
		}
		p = p[i+1:]
	}
}

// Flush emits the line that has no end yet, if there is one: at the end of a stream, or when a prompt should
// be seen.
func (s *Splitter) Flush(emit func(line []byte)) {
	if len(s.buf) > 0 || s.cut > 0 {
		s.emit(emit)
	}
}

// Skip takes in bytes as Write does, and drops the lines that end in them.
func (s *Splitter) Skip(p []byte) {
	if i := bytes.LastIndexByte(p, '\n'); i >= 0 {
		s.buf, s.cut, s.last, s.before = s.buf[:0], 0, 0, 0
		p = p[i+1:]
	}
	if len(p) > 0 {
		s.hold(p)
	}
}

// Unfinished is the line that has no end yet, valid until the next call.
func (s *Splitter) Unfinished() []byte { return s.buf }

// Cut is, during a call of emit, how many bytes the line lost because it was over MaxLine: the last argument of
// Store.AppendCut.
func (s *Splitter) Cut() int { return s.now }

// Pending is how many bytes of a line without an end are held.
func (s *Splitter) Pending() int { return len(s.buf) }

func (s *Splitter) emit(emit func(line []byte)) {
	s.now = s.cut
	emit(trimReturn(s.buf))
	s.now, s.cut, s.last, s.before = 0, 0, 0, 0
	if s.buf = s.buf[:0]; cap(s.buf) > keepBuffer {
		s.buf = nil
	}
}

// hold keeps bytes of the current line, up to MaxLine.
func (s *Splitter) hold(p []byte) {
	limit := s.maxLine()
	for portion := min(keepRewrites, limit); len(p) > 0; {
		// In portions, so that a write of megabytes of rewrites does not count as one long line.
		part := p[:min(len(p), portion)]
		p = p[len(part):]
		if len(s.buf)+len(part) > portion {
			s.forget()
		}
		if s.cut > 0 {
			// A return that is not half of a line end starts the row again, and what was cut is not seen again.
			at := bytes.LastIndexByte(part[:len(part)-1], '\r')
			if at < 0 {
				s.cut += len(part)
				continue
			}
			s.buf, s.cut, part = s.buf[:0], 0, part[at:]
			s.last, s.before = 0, 0
		}
		if room := limit - len(s.buf); len(part) > room {
			keep := cutAt(part, room)
			s.cut = len(part) - keep
			part = part[:keep]
		}
		s.note(part)
		s.buf = append(s.buf, part...)
	}
}

// note remembers where the last returns are, so that a long line is not searched for them again and again.
func (s *Splitter) note(part []byte) {
	if bytes.IndexByte(part, '\r') < 0 {
		return
	}
	last := bytes.LastIndexByte(part, '\r')
	s.before = s.last
	if i := bytes.LastIndexByte(part[:last], '\r'); i >= 0 {
		s.before = len(s.buf) + i + 1
	}
	s.last = len(s.buf) + last + 1
}

// forget drops rewrites that later ones went over: all but the last two, since the newest may not be whole, and
// may be shorter than the one under it.
func (s *Splitter) forget() {
	if drop := s.before - 1; drop > 0 {
		s.buf = append(s.buf[:0], s.buf[drop:]...)
		s.last, s.before = s.last-drop, 1
	}
}

func (s *Splitter) maxLine() int {
	if s.MaxLine <= 0 {
		return defaultMaxLine
	}
	return s.MaxLine
}

func trimReturn(line []byte) []byte {
	if n := len(line); n > 0 && line[n-1] == '\r' {
		return line[:n-1]
	}
	return line
}
