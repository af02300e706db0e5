package netns

import (
	"bytes"
	"strconv"
	"strings"
	"time"
)

// Limits of what is kept of a message's head.
const (
	headMax = 64 << 10 // bytes; a longer one is not HTTP as servers take it
	lineMax = 16 << 10 // of the first line
)

// exchange is one request, and once it is answered that.
type exchange struct {
	method, path string
	sent         time.Time
	status       int // 0: no answer
	took         time.Duration
	why          string // where there is no answer
}

// failed says whether the request failed by the fault of the callee.
func (x *exchange) failed() bool { return x.status == 0 || x.status >= 500 }

// httpConn follows the requests and the answers of one HTTP connection from what goes by. It is not
// safe for concurrent use. What it does not understand makes it opaque: the bytes go on, and nothing
// more is reported about them.
type httpConn struct {
	requests, answers message
	waiting           []exchange // sent and not answered, oldest first
	begun             bool       // a request's head has come
	early             []byte     // what the callee said before that, where it may speak HTTP/2
	two               *http2Conn // nil: it is HTTP/1
	opaque            bool
	done              func(exchange)
}

func newHTTPConn(done func(exchange)) *httpConn {
	return &httpConn{done: done, requests: message{request: true}}
}

// body is how the body of a message ends.
type body uint8

const (
	headPart   body = iota // the head goes by
	fixedBody              // after so many bytes
	untilClose             // with the connection
	chunkHead              // a line with the size of a chunk
	chunkData              // the chunk, and the end of its line
	trailers               // lines until an empty one
)

// message is one direction of a connection.
type message struct {
	request bool
	part    body
	head    []byte
	began   time.Time // when the first byte of the head came
	left    int64     // bytes of the body, or of the chunk
}

// asked takes bytes on their way to the callee.
func (h *httpConn) asked(data []byte, now time.Time) { h.take(&h.requests, data, now) }

// answered takes bytes on their way back.
func (h *httpConn) answered(data []byte, now time.Time) {
	if h.begun || h.opaque {
		h.take(&h.answers, data, now)
		return
	}
	if h.early = append(h.early, data...); len(h.early) > earlyMax || !beginsHTTP2(h.early) {
		h.giveUp()
	}
}

// farewell returns what asks the caller to open another connection, where there is such a thing and it
// may be sent now.
func (h *httpConn) farewell() string {
	if h.opaque || h.two == nil {
		return ""
	}
	return h.two.farewell()
}

// idle says whether nobody waits for anything on this connection. On one of HTTP/2 the caller must have
// been asked to go: it could not tell that a request which comes as the connection is closed never arrived.
func (h *httpConn) idle() bool {
	if h.two != nil {
		return h.two.idle()
	}
	return !h.opaque && len(h.early) == 0 && len(h.waiting) == 0 && h.requests.part == headPart &&
		len(h.requests.head) == 0 && h.answers.part == headPart
}

func (h *httpConn) take(m *message, data []byte, now time.Time) {
	for len(data) > 0 && !h.opaque {
		if h.two != nil {
			h.takeTwo(m, data, now)
			return
		}
		switch m.part {
		case headPart:
			data = h.headBytes(m, data, now)
		case fixedBody, chunkData:
			n := min(m.left, int64(len(data)))
			data = data[n:]
			if m.left -= n; m.left > 0 {
				return
			}
			if m.part == chunkData {
				m.part = chunkHead
			} else {
				h.ended(m)
			}
		case untilClose:
			return
		case chunkHead, trailers:
			data = h.lineBytes(m, data)
		}
	}
}

// takeTwo takes bytes of an HTTP/2 connection.
func (h *httpConn) takeTwo(m *message, data []byte, now time.Time) {
	take := h.two.answered
	if m.request {
		take = h.two.asked
	}
	if !take(data, now) {
		h.giveUp()
	}
}

// headBytes takes bytes of a head, and returns those behind it.
func (h *httpConn) headBytes(m *message, data []byte, now time.Time) []byte {
	if len(m.head) == 0 {
		// Empty lines before a message are allowed.
		for len(data) > 0 && (data[0] == '\r' || data[0] == '\n') {
			data = data[1:]
		}
		if len(data) == 0 {
			return nil
		}
		m.began = now
	}
	from := max(len(m.head)-3, 0)
	m.head = append(m.head, data...)
	end := bytes.Index(m.head[from:], []byte("\r\n\r\n"))
	if end < 0 {
		if len(m.head) > headMax || !plausible(m) {
			h.giveUp()
		}
		return nil
	}
	end += from + 4
	rest := data[len(data)-(len(m.head)-end):]
	head := m.head[:end]
	m.head = m.head[:0]
	if m.request {
		h.request(m, head, now)
	} else {
		h.answer(m, head, now)
	}
	if cap(m.head) > 4<<10 {
		m.head = nil
	}
	return rest
}

// plausible says whether a head that is not whole may become one.
func plausible(m *message) bool {
	if !m.request {
		n := min(len(m.head), 5)
		return string(m.head[:n]) == "HTTP/"[:n]
	}
	if i := bytes.IndexByte(m.head, '\n'); i < 0 && len(m.head) > lineMax {
		return false
	}
	for i, c := range m.head {
		if c == ' ' {
			return i > 0
		}
		if c < 'A' || c > 'Z' || i >= 20 {
			return false
		}
	}
	return true
}

func (h *httpConn) giveUp() {
	h.opaque, h.waiting, h.two, h.early = true, nil, nil, nil
	h.requests.head, h.answers.head = nil, nil
}

// request takes the head of a request.
func (h *httpConn) request(m *message, head []byte, now time.Time) {
	line, fields, _ := strings.Cut(string(head), "\r\n")
	first := !h.begun
	h.begun = true
	if first && line == prefaceLine {
		h.two = newHTTP2Conn(func(x exchange) { h.done(x) })
		if early := h.early; len(early) > 0 {
			h.early = nil
			h.takeTwo(&h.answers, early, now)
		}
		return
	}
	if len(h.early) > 0 {
		h.giveUp() // the callee spoke first, and not HTTP/2
		return
	}
	method, rest, ok := strings.Cut(line, " ")
	target, version, ok2 := strings.Cut(rest, " ")
	if !ok || !ok2 || !strings.HasPrefix(version, "HTTP/1.") || method == "" {
		h.giveUp()
		return
	}
	h.waiting = append(h.waiting, exchange{method: method, path: pathTemplate(target), sent: m.began})
	f := fieldsOf(fields)
	switch {
	case method == "CONNECT":
		h.giveUp()
	case f.chunked:
		m.part = chunkHead
	case f.length > 0:
		m.part, m.left = fixedBody, f.length
	}
}

// answer takes the head of an answer.
func (h *httpConn) answer(m *message, head []byte, now time.Time) {
	line, fields, _ := strings.Cut(string(head), "\r\n")
	version, rest, _ := strings.Cut(line, " ")
	code, _, _ := strings.Cut(rest, " ")
	status, err := strconv.Atoi(code)
	if err != nil || !strings.HasPrefix(version, "HTTP/1.") || len(h.waiting) == 0 {
		// An answer that nobody asked for: as a server says that it waited too long for a request.
		h.giveUp()
		return
	}
	if status >= 100 && status < 200 && status != 101 {
		return // the real answer follows
	}
	x := h.waiting[0]
	h.waiting = h.waiting[1:]
	x.status, x.took = status, now.Sub(x.sent)
	h.done(x)
	f := fieldsOf(fields)
	switch {
	case status == 101:
		h.giveUp()
	case x.method == "HEAD" || status == 204 || status == 304:
	case f.chunked:
		m.part = chunkHead
	case f.length > 0:
		m.part, m.left = fixedBody, f.length
	case f.length < 0:
		m.part = untilClose
	}
}

func (h *httpConn) ended(m *message) { m.part, m.left = headPart, 0 }

// lineBytes takes a line of a chunked body, and returns what is behind it.
func (h *httpConn) lineBytes(m *message, data []byte) []byte {
	i := bytes.IndexByte(data, '\n')
	if i < 0 {
		if m.head = append(m.head, data...); len(m.head) > headMax {
			h.giveUp()
		}
		return nil
	}
	line := strings.TrimRight(string(append(m.head, data[:i]...)), "\r")
	m.head = m.head[:0]
	switch m.part {
	case trailers:
		if line == "" {
			h.ended(m)
		}
	case chunkHead:
		size, _, _ := strings.Cut(line, ";")
		n, err := strconv.ParseInt(strings.TrimSpace(size), 16, 63)
		switch {
		case err != nil || n < 0 || n > 1<<60:
			h.giveUp()
		case n == 0:
			m.part = trailers
		default:
			m.part, m.left = chunkData, n+2
		}
	}
	return data[i+1:]
}

// broken tells of the requests that get no answer any more, because one side went away.
func (h *httpConn) broken(why string, now time.Time) {
	if h.opaque {
		return
	}
	if h.two != nil {
		h.two.broken(why, now)
	}
	for _, x := range h.waiting {
		x.took, x.why = now.Sub(x.sent), why
		h.done(x)
	}
	h.waiting = nil
}

// oldest is when the oldest request that waits was sent.
func (h *httpConn) oldest() (sent time.Time, ok bool) {
	switch {
	case h.two != nil:
		return h.two.oldest()
	case len(h.waiting) > 0:
		return h.waiting[0].sent, true
	}
	return time.Time{}, false
}

// fields are what the fields of a head say of its body.
type fields struct {
	length  int64 // -1: it does not say
	chunked bool
}

func fieldsOf(head string) fields {
	f := fields{length: -1}
	for line := range strings.SplitSeq(head, "\r\n") {
		name, value, ok := strings.Cut(line, ":")
		switch {
		case !ok:
		case strings.EqualFold(name, "content-length"):
			if n, err := strconv.ParseInt(strings.TrimSpace(value), 10, 63); err == nil && n >= 0 {
				f.length = n
			}
		case strings.EqualFold(name, "transfer-encoding"):
			f.chunked = strings.HasSuffix(strings.ToLower(strings.TrimSpace(value)), "chunked")
		}
	}
	return f
}

// pathMax bounds a template, in bytes.
const pathMax = 120

// pathTemplate is what the paths of requests of one kind have in common: parts that hold a digit are
// {}, but for versions as v1, and so are parts too long for a word. What stands behind ? is left out.
func pathTemplate(target string) string {
	if i := strings.Index(target, "://"); i >= 0 { // as to a forward proxy
		if j := strings.IndexByte(target[i+3:], '/'); j >= 0 {
			target = target[i+3+j:]
		} else {
			target = "/"
		}
	}
	target, _, _ = strings.Cut(target, "?")
	parts := strings.Split(target, "/")
	for i, part := range parts {
		if varies(part) {
			parts[i] = "{}"
		}
	}
	return shortPath(strings.Join(parts, "/"))
}

func shortPath(path string) string {
	out := strings.ToValidUTF8(path, "?")
	if len(out) > pathMax {
		out = strings.ToValidUTF8(out[:pathMax], "") + "..."
	}
	return out
}

func varies(part string) bool {
	if len(part) > 1 && len(part) <= 3 && part[0] == 'v' && strings.Trim(part[1:], "0123456789") == "" {
		return false
	}
	return len(part) > 40 || strings.ContainsAny(part, "0123456789")
}
