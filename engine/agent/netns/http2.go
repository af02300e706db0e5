package netns

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/http2/hpack"
)

// A client of HTTP/2 without TLS begins with a request line that no HTTP/1 server takes, and a few
// bytes behind its head (RFC 9113, section 3.4).
const (
	prefaceLine = "PRI * HTTP/2.0"
	prefaceRest = "SM\r\n\r\n"
)

// Limits of what is kept of an HTTP/2 connection: beyond them it is opaque.
const (
	tableMax   = headMax // bytes of the table of one direction; 4,096 unless the peers agree on another size
	streamsMax = 10_000  // requests under way
	earlyMax   = 4 << 10 // bytes of the callee before the caller has said what it speaks
)

// The frames that are read, and their flags (RFC 9113, section 6).
const (
	frameData         = 0x0
	frameHeaders      = 0x1
	frameReset        = 0x3
	frameSettings     = 0x4
	framePush         = 0x5
	frameContinuation = 0x9

	flagEndStream  = 0x1
	flagEndHeaders = 0x4
	flagPadded     = 0x8
	flagPriority   = 0x20

	frameHead = 9 // bytes
)

// http2Conn follows the requests and the answers of one HTTP/2 connection without TLS, those of gRPC
// among them, from what goes by. It is not safe for concurrent use.
type http2Conn struct {
	requests, answers frames
	rest              string             // of the preface
	streams           map[uint32]*stream // requests that are under way
	away              bool               // the caller was asked to open another connection
	done              func(exchange)
}

// stream is one request. One of gRPC says what became of it at its end, not at its beginning.
type stream struct {
	exchange
	grpc bool
}

// frames is one direction of a connection.
type frames struct {
	head    []byte // of the frame that goes by
	left    int    // bytes of its payload that have not come
	payload []byte // of a frame that is read
	table   *hpack.Decoder

	some  bool      // a frame went by
	block []byte    // header fields; more of them may follow in a continuation
	open  bool      // and will
	of    uint32    // the stream that they belong to
	ends  bool      // the stream ends with them
	push  bool      // they are those of a request that the callee made up
	began time.Time // when the first of them had come
}

func newHTTP2Conn(done func(exchange)) *http2Conn {
	c := &http2Conn{rest: prefaceRest, streams: map[uint32]*stream{}, done: done}
	for _, f := range []*frames{&c.requests, &c.answers} {
		f.table = hpack.NewDecoder(4096, nil)
		f.table.SetAllowedMaxDynamicTableSize(tableMax)
		f.table.SetMaxStringLength(headMax)
	}
	return c
}

// beginsHTTP2 says whether the first bytes of a callee may be those with which an HTTP/2 server begins:
// a frame of settings, on no stream.
func beginsHTTP2(data []byte) bool {
	for i, c := range data[:min(len(data), frameHead)] {
		switch {
		case i == 3 && c != frameSettings, (i == 0 || i >= 5) && c != 0:
			return false
		}
	}
	return true
}

// asked takes bytes on their way to the callee; false: they are not HTTP/2.
func (c *http2Conn) asked(data []byte, now time.Time) bool {
	n := min(len(c.rest), len(data))
	if string(data[:n]) != c.rest[:n] {
		return false
	}
	c.rest = c.rest[n:]
	return c.take(&c.requests, data[n:], now)
}

// answered takes bytes on their way back; false: they are not HTTP/2.
func (c *http2Conn) answered(data []byte, now time.Time) bool { return c.take(&c.answers, data, now) }

func (c *http2Conn) take(f *frames, data []byte, now time.Time) bool {
	for len(data) > 0 {
		if n := frameHead - len(f.head); n > 0 {
			n = min(n, len(data))
			f.head, data = append(f.head, data[:n]...), data[n:]
			if len(f.head) < frameHead {
				return true
			}
			f.left = int(f.head[0])<<16 | int(f.head[1])<<8 | int(f.head[2])
		}
		n := min(f.left, len(data))
		if f.read() {
			if len(f.payload)+n > headMax {
				return false
			}
			f.payload = append(f.payload, data[:n]...)
		}
		data = data[n:]
		if f.left -= n; f.left > 0 {
			return true
		}
		f.some = true
		if !c.frame(f, now) {
			return false
		}
		f.head, f.payload = f.head[:0], f.payload[:0]
	}
	return true
}

func (f *frames) kind() byte       { return f.head[3] }
func (f *frames) flag(b byte) bool { return f.head[4]&b != 0 }
func (f *frames) stream() uint32   { return binary.BigEndian.Uint32(f.head[5:]) &^ (1 << 31) }

// read says whether the payload of the frame matters.
func (f *frames) read() bool {
	switch f.kind() {
	case frameHeaders, framePush, frameContinuation:
		return true
	}
	return false
}

// frame takes a whole frame.
func (c *http2Conn) frame(f *frames, now time.Time) bool {
	switch f.kind() {
	case frameData:
		if f.flag(flagEndStream) && f == &c.answers {
			c.ended(f.stream())
		}
	case frameReset:
		c.reset(f, now)
	case frameHeaders, framePush:
		fields, ok := f.unpadded()
		if !ok {
			return false
		}
		f.push, f.of, f.ends, f.began = f.kind() == framePush, f.stream(), f.kind() == frameHeaders &&
			f.flag(flagEndStream), now
		f.block, f.open = append(f.block[:0], fields...), !f.flag(flagEndHeaders)
		return f.open || c.fields(f, now)
	case frameContinuation:
		if f.stream() != f.of || len(f.block)+len(f.payload) > headMax {
			return false
		}
		f.block, f.open = append(f.block, f.payload...), !f.flag(flagEndHeaders)
		return f.open || c.fields(f, now)
	}
	return true
}

// unpadded returns the header fields of a frame, without what is around them.
func (f *frames) unpadded() ([]byte, bool) {
	p, before, after := f.payload, 0, 0
	if f.flag(flagPadded) {
		if len(p) == 0 {
			return nil, false
		}
		before, after = 1, int(p[0])
	}
	switch {
	case f.kind() == framePush:
		before += 4 // the stream that is promised
	case f.flag(flagPriority):
		before += 5
	}
	if before+after > len(p) {
		return nil, false
	}
	return p[before : len(p)-after], true
}

// fields takes a whole block of header fields: a head, or trailers.
func (c *http2Conn) fields(f *frames, now time.Time) bool {
	all, err := f.table.DecodeFull(f.block) // also where nobody wants to know: the next ones refer to them
	if err != nil {
		return false
	}
	value := func(name string) string {
		if i := slices.IndexFunc(all, func(h hpack.HeaderField) bool { return h.Name == name }); i >= 0 {
			return all[i].Value
		}
		return ""
	}
	s := c.streams[f.of]
	switch {
	case f.push:
	case f == &c.requests && s == nil && value(":method") != "":
		if len(c.streams) >= streamsMax {
			return false
		}
		s = &stream{exchange: exchange{method: value(":method"), path: pathTemplate(value(":path")),
			sent: f.began}}
		if s.grpc = strings.HasPrefix(value("content-type"), "application/grpc"); s.grpc {
			s.path = shortPath(value(":path")) // a method's name, in which nothing varies
		}
		c.streams[f.of] = s
	case f == &c.requests || s == nil:
	default:
		c.answer(f, s, value, now)
	}
	return true
}

// answer takes the head or the trailers of an answer.
func (c *http2Conn) answer(f *frames, s *stream, value func(string) string, now time.Time) {
	if text := value(":status"); text != "" {
		status, err := strconv.Atoi(text)
		if err != nil || status < 200 {
			return // the real answer follows
		}
		s.status = status
	}
	s.took = now.Sub(s.sent)
	code := value("grpc-status")
	switch {
	case s.grpc && code != "":
		s.status = statusOfGRPC(code)
	case s.grpc && s.status == 200 && !f.ends:
		return // what became of it stands in the trailers
	}
	c.finish(f.of, s)
}

// ended takes the end of an answer.
func (c *http2Conn) ended(id uint32) {
	if s := c.streams[id]; s != nil { // of gRPC, and without trailers
		s.status, s.why = 0, "the stream ended without a grpc-status"
		c.finish(id, s)
	}
}

// reset takes the end of a stream that one side wants.
func (c *http2Conn) reset(f *frames, now time.Time) {
	s := c.streams[f.stream()]
	if s == nil {
		return
	}
	s.took = now.Sub(s.sent)
	switch {
	case f == &c.answers:
		s.status, s.why = 0, "the stream was reset without an answer"
	case s.status == 0:
		s.why = fmt.Sprintf("no answer in %s; the caller gave up", s.took.Round(10*time.Millisecond))
	}
	c.finish(f.stream(), s) // a caller that ends a stream which is answered has what it wants
}

func (c *http2Conn) finish(id uint32, s *stream) {
	delete(c.streams, id)
	c.done(s.exchange)
}

// broken tells of the requests that get no answer any more.
func (c *http2Conn) broken(why string, now time.Time) {
	for _, id := range slices.Sorted(maps.Keys(c.streams)) {
		s := c.streams[id]
		s.status, s.took, s.why = 0, now.Sub(s.sent), why
		c.finish(id, s)
	}
}

// goAway is the frame by which a callee asks for another connection: requests that are under way, and
// any that come until it is read, are answered still (RFC 9113, section 6.8).
const goAway = "\x00\x00\x08\x07\x00\x00\x00\x00\x00" + "\x7f\xff\xff\xff" + "\x00\x00\x00\x00"

// farewell returns what the caller may be sent now so that it leaves; "" in the midst of something, and a second time.
func (c *http2Conn) farewell() string {
	if c.away || !c.answers.some || !c.answers.between() {
		return ""
	}
	c.away = true
	return goAway
}

// between says whether a frame may come that nobody expects.
func (f *frames) between() bool { return len(f.head) == 0 && !f.open }

// idle says whether the caller was asked to go, and waits for nothing any more.
func (c *http2Conn) idle() bool {
	return c.away && len(c.streams) == 0 && c.requests.between() && c.answers.between()
}

// oldest is when the oldest request that waits was sent.
func (c *http2Conn) oldest() (sent time.Time, ok bool) {
	for _, s := range c.streams {
		if !ok || s.sent.Before(sent) {
			sent, ok = s.sent, true
		}
	}
	return sent, ok
}

// grpcStatuses are the HTTP statuses that google/rpc/code.proto has for the codes of gRPC.
var grpcStatuses = [...]int{200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401}

func statusOfGRPC(code string) int {
	n, err := strconv.Atoi(code)
	if err != nil || n < 0 || n >= len(grpcStatuses) {
		return 500 // as unknown
	}
	return grpcStatuses[n]
}
