package docker

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"
	"unicode/utf8"

	"bulkhead/engine/container"
)

const (
	// frameHeader is the size of what precedes a piece of output: stream, three zeros, length.
	frameHeader = 8
	// readBuffer holds a whole frame of any log: engines cut lines into fragments of 16 KiB.
	readBuffer = 64 << 10
	fragment   = 16 << 10
	// maxLine is what is kept of a line that comes in fragments, so that one
	// without an end cannot take all memory.
	maxLine = 1 << 20
	// maxFrame is more than any engine sends in a frame; a longer one is not a frame.
	maxFrame = 256 << 20
)

// demux reads the engine's multiplexed streams and hands out each frame. The
// payload is valid during emit only. It returns io.EOF at the end, and
// io.ErrUnexpectedEOF where a frame is cut: then the connection broke, and there is
// more to read. moby's stdcopy returns no error for either, and copies what it has
// buffered after each frame (see BenchmarkDemux).
func demux(r io.Reader, emit func(stream container.Stream, payload []byte) error) error {
	br := bufio.NewReaderSize(r, readBuffer)
	var large bytes.Buffer
	for {
		h, err := br.Peek(frameHeader)
		if err != nil {
			if errors.Is(err, io.EOF) && len(h) > 0 {
				return io.ErrUnexpectedEOF
			}
			return err
		}
		kind, size := h[0], int(binary.BigEndian.Uint32(h[4:]))
		if kind > 3 || size > maxFrame {
			return fmt.Errorf("output is not in frames (kind %d, size %d)", kind, size)
		}
		if _, err := br.Discard(frameHeader); err != nil {
			return err
		}
		var payload []byte
		if size <= br.Size() {
			if payload, err = br.Peek(size); err != nil {
				return unexpected(err)
			}
		} else {
			large.Reset()
			if _, err := io.CopyN(&large, br, int64(size)); err != nil {
				return unexpected(err)
			}
			payload = large.Bytes()
		}
		switch kind {
		case 3:
			return fmt.Errorf("the engine reports: %s", bytes.TrimSpace(payload))
		case 2:
			err = emit(container.Stderr, payload)
		default:
			err = emit(container.Stdout, payload)
		}
		if err != nil {
			return err
		}
		if size <= br.Size() {
			if _, err := br.Discard(size); err != nil {
				return err
			}
		}
	}
}

func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// paced reads a stream that is written in small pieces. While pieces keep coming it
// waits for the next tick before it reads, so that a flood costs some hundred reads
// a second and not one for each line. What comes after a pause is read at once.
type paced struct {
	r    io.Reader
	last time.Time     // when the read before ended
	wait time.Duration // until a multiple of it; 0: not at all
}

const (
	// tick is a fraction of a frame of the screen. All streams wait for the same
	// ones: the program wakes once for all of them.
	tick = 4 * time.Millisecond
	// shortTick is what a fast stream waits for; below it the timer costs what the reads do.
	shortTick = time.Millisecond
)

var ticksFrom = time.Now()

func (p *paced) Read(b []byte) (int, error) {
	if p.wait > 0 {
		time.Sleep(p.wait - time.Since(ticksFrom)%p.wait)
	}
	n, err := p.r.Read(b)
	now := time.Now()
	between := now.Sub(p.last)
	p.last, p.wait = now, 0
	if between >= 10*tick {
		return n, err
	}
	for w := tick; w >= shortTick; w /= 2 {
		// If more came in that time than a socket is sure to take, the wait would block the writer.
		if time.Duration(n)*w <= gathered*between {
			p.wait = w
			break
		}
	}
	return n, err
}

// emitLine takes a line: its Stream, Time, Text and Cut. Text is valid during the call only.
type emitLine func(container.Line)

// stampedLines makes lines of one stream's stamped messages. A message that does
// not end in a line end is a fragment, or the last line of a container's life; each
// has a stamp of its own, and the first one's is the line's.
type stampedLines struct {
	stream container.Stream
	clock  clock
	buf    []byte // fragments of a line that has not ended, up to maxLine
	cut    int    // bytes of it beyond that
	at     time.Time
}

func (s *stampedLines) message(p []byte, emit emitLine) {
	t, n := s.clock.parse(p)
	p = p[n:]
	for {
		i := bytes.IndexByte(p, '\n')
		if i < 0 {
			break
		}
		if len(s.buf) == 0 {
			emit(container.Line{Stream: s.stream, Time: t, Text: trimReturn(p[:i])})
		} else {
			s.keep(p[:i])
			s.flush(emit)
		}
		p = p[i+1:]
	}
	if len(p) == 0 {
		return
	}
	if len(s.buf) == 0 {
		s.at = t
	}
	s.keep(p)
	// Engines send what has no line end only when their buffer is full, which some
	// logging drivers make larger, or when the writer is gone: then the next
	// message is of another life.
	if len(p) < fragment {
		s.flush(emit)
	}
}

// keep adds to a line that has not ended. What is beyond maxLine is counted; the
// cut leaves characters whole.
func (s *stampedLines) keep(p []byte) {
	if s.cut > 0 {
		s.cut += len(p)
		return
	}
	room := maxLine - len(s.buf)
	if len(p) <= room {
		s.buf = append(s.buf, p...)
		return
	}
	s.buf = append(s.buf, p[:room]...)
	end := len(s.buf)
	if !utf8.RuneStart(p[room]) { // the limit is inside of a character
		for end > maxLine-utf8.UTFMax && !utf8.RuneStart(s.buf[end-1]) {
			end--
		}
		end--
	}
	s.cut = len(p) - room + len(s.buf) - end
	s.buf = s.buf[:end]
}

// flush emits the line that has not ended.
func (s *stampedLines) flush(emit emitLine) {
	if len(s.buf) > 0 {
		emit(container.Line{Stream: s.stream, Time: s.at, Text: trimReturn(s.buf), Cut: s.cut})
		s.buf, s.cut = s.buf[:0], 0
	}
}

func trimReturn(line []byte) []byte {
	if n := len(line); n > 0 && line[n-1] == '\r' {
		return line[:n-1]
	}
	return line
}

// stampedReader makes lines of a log with time stamps.
type stampedReader struct {
	out, errs stampedLines
	emit      emitLine
}

func newStamped(emit emitLine) *stampedReader {
	return &stampedReader{out: stampedLines{stream: container.Stdout},
		errs: stampedLines{stream: container.Stderr}, emit: emit}
}

// flush emits the lines that have not ended.
func (s *stampedReader) flush() {
	s.out.flush(s.emit)
	s.errs.flush(s.emit)
}

// read reads to the end of a log.
func (s *stampedReader) read(r io.Reader, tty bool) error {
	var err error
	if tty {
		err = s.readTTY(r)
	} else {
		err = demux(r, func(stream container.Stream, payload []byte) error {
			if stream == container.Stderr {
				s.errs.message(payload, s.emit)
			} else {
				s.out.message(payload, s.emit)
			}
			return nil
		})
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// readTTY reads the log of a container with a terminal, which comes without frames:
// fragments of a long line, and a last line without an end and the next life's
// first one, follow each other with nothing between them but their stamps.
func (s *stampedReader) readTTY(r io.Reader) error {
	br := bufio.NewReaderSize(r, readBuffer)
	var long []byte
	for {
		p, err := br.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) && len(long) < maxLine {
			long = append(long, p...)
			continue
		}
		if len(long) > 0 {
			long = append(long, p...)
			p, long = long, long[:0]
		}
		if p = s.out.fragments(p, s.emit); len(p) > 0 {
			s.out.message(p, s.emit)
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return err
		}
	}
}

// fragments takes fragments and last lines of lives off the front of p and returns the last piece.
func (s *stampedLines) fragments(p []byte, emit emitLine) []byte {
	for {
		at, n := s.clock.parse(p)
		if n == 0 {
			return p
		}
		if len(p) > n+fragment {
			if _, m := s.clock.parse(p[n+fragment:]); m > 0 {
				s.message(p[:n+fragment], emit)
				p = p[n+fragment:]
				continue
			}
		}
		end := s.nextStamp(p, n, at)
		if end < 0 {
			return p
		}
		s.message(p[:end], emit)
		s.flush(emit)
		p = p[end:]
	}
}

// stampSize is the length of the stamps that an engine writes: nine digits of a second, UTC.
const stampSize = len("2026-11-23T21:00:00.000000001Z")

// nextStamp finds the stamp of the engine's that stands in the middle of p, after
// from; -1 when there is none. A program's own stamp is of before its line reached
// the engine, so it is not later than the line's, which is at.
func (s *stampedLines) nextStamp(p []byte, from int, at time.Time) int {
	for i := from; ; {
		z := bytes.Index(p[i:], []byte("Z "))
		if z < 0 {
			return -1
		}
		i += z + 2
		begin := i - 1 - stampSize
		if begin <= from || p[begin+19] != '.' {
			continue
		}
		probe := clock{}
		if t, n := probe.parse(p[begin:]); n == stampSize+1 && t.After(at) &&
			!t.After(time.Now().Add(time.Minute)) {
			return begin
		}
	}
}

// clock reads time stamps. It remembers the second it read last, because lines come in bursts.
type clock struct {
	text [19]byte
	unix int64
	set  bool
}

// parse reads an RFC 3339 stamp and the space after it. n is its length, 0 when
// there is none; then t is now, so that no line is lost for a stamp that nobody can
// read.
func (c *clock) parse(p []byte) (t time.Time, n int) {
	if len(p) < 21 || p[10] != 'T' {
		return time.Now(), 0
	}
	if !c.set || string(c.text[:]) != string(p[:19]) {
		unix, ok := unixOf(p)
		if !ok {
			return time.Now(), 0
		}
		copy(c.text[:], p)
		c.unix, c.set = unix, true
	}
	i, nano := 19, 0
	if p[i] == '.' {
		i++
		for scale := 100_000_000; i < len(p) && isDigit(p[i]); i++ {
			nano += int(p[i]-'0') * scale
			scale /= 10
		}
	}
	unix := c.unix
	switch {
	case i < len(p) && p[i] == 'Z':
		i++
	case i+6 <= len(p) && (p[i] == '+' || p[i] == '-') && p[i+3] == ':' && isDigit(p[i+1]) && isDigit(p[i+2]) &&
		isDigit(p[i+4]) && isDigit(p[i+5]):
		offset := int64(two(p[i+1:]))*3600 + int64(two(p[i+4:]))*60
		if p[i] == '-' {
			offset = -offset
		}
		unix -= offset
		i += 6
	default:
		return time.Now(), 0
	}
	if i >= len(p) || p[i] != ' ' {
		return time.Now(), 0
	}
	return time.Unix(unix, int64(nano)), i + 1
}

// unixOf reads "2006-01-02T15:04:05" as UTC.
func unixOf(p []byte) (int64, bool) {
	for i, c := range p[:19] {
		switch i {
		case 4, 7:
			if c != '-' {
				return 0, false
			}
		case 10:
			if c != 'T' {
				return 0, false
			}
		case 13, 16:
			if c != ':' {
				return 0, false
			}
		default:
			if !isDigit(c) {
				return 0, false
			}
		}
	}
	year, month, day := two(p)*100+two(p[2:]), two(p[5:]), two(p[8:])
	if month < 1 || month > 12 || day < 1 || day > 31 {
		return 0, false
	}
	return time.Date(year, time.Month(month), day, two(p[11:]), two(p[14:]), two(p[17:]), 0,
		time.UTC).Unix(), true
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func two(p []byte) int { return int(p[0]-'0')*10 + int(p[1]-'0') }
