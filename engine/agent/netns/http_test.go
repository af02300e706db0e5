package netns

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// talk is one conversation, as pieces that begin with > (to the callee) or < (back).
func talk(pieces []string, size int) (got *[]string, h *httpConn) {
	got = new([]string)
	h = newHTTPConn(func(x exchange) {
		*got = append(*got, strings.TrimSpace(fmt.Sprintf("%s %s %d %s", x.method, x.path, x.status, x.why)))
	})
	now := time.Unix(1000, 0)
	for _, p := range pieces {
		data := []byte(strings.ReplaceAll(p[1:], "\n", "\r\n"))
		for n := size; len(data) > 0; data = data[min(n, len(data)):] {
			now = now.Add(time.Millisecond)
			if p[0] == '>' {
				h.asked(data[:min(n, len(data))], now)
			} else {
				h.answered(data[:min(n, len(data))], now)
			}
		}
	}
	return got, h
}

func TestTapFollowsHTTPWhereverItIsCut(t *testing.T) {
	for name, c := range map[string]struct {
		pieces []string
		want   []string
		opaque bool
	}{
		"one": {pieces: []string{">GET /orders/17?x=1 HTTP/1.1\nHost: a\n\n",
			"<HTTP/1.1 200 OK\nContent-Length: 5\n\nhello"},
			want: []string{"GET /orders/{} 200"}},
		"kept alive, with bodies": {pieces: []string{
			">POST /a HTTP/1.1\nContent-Length: 3\n\nabc", "<HTTP/1.1 201 Created\nContent-Length: 0\n\n",
			">POST /b HTTP/1.1\nTransfer-Encoding: chunked\n\n3;x=y\nabc\n10\n0123456789abcdef\n0\nTrailer: 1\n\n", "<HTTP/1.1 503 No\ntransfer-encoding: gzip, chunked\n\n4\nHTTP\n0\n\n",
			">DELETE /c HTTP/1.1\n\n", "<HTTP/1.1 204 No Content\n\n",
			">HEAD /d HTTP/1.1\n\n", "<HTTP/1.1 200 OK\nContent-Length: 100\n\n",
			">GET /e HTTP/1.1\n\n", "<HTTP/1.1 304 Not Modified\nContent-Length: 100\n\n",
			">GET /f HTTP/1.0\n\n", "<HTTP/1.0 200 OK\n\nuntil the end\n\nHTTP/1.1 500 no\n\n"},
			want: []string{"POST /a 201", "POST /b 503", "DELETE /c 204", "HEAD /d 200", "GET /e 304",
				"GET /f 200"}},
		"pipelined, with interim answers": {pieces: []string{">GET /a HTTP/1.1\n\nGET /b HTTP/1.1\n\n",
			"<HTTP/1.1 100 Continue\n\nHTTP/1.1 200 OK\nContent-Length: 1\n\nxHTTP/1.1 103 Early Hints\nLink: x\n\nHTTP/1.1 404 Not Found\nContent-Length: 1\n\ny"},
			want: []string{"GET /a 200", "GET /b 404"}},
		"a web socket": {pieces: []string{">GET /ws HTTP/1.1\nUpgrade: websocket\n\n",
			"<HTTP/1.1 101 Switching Protocols\n\nGET / HTTP/1.1\n\n"}, want: []string{"GET /ws 101"},
			opaque: true},
		"a database":       {pieces: []string{">\x00\x00\x00\x08\x04\xd2\x16\x2f", "<N"}, opaque: true},
		"TLS":              {pieces: []string{">\x16\x03\x01\x02\x00", "<\x16\x03\x03"}, opaque: true},
		"redis":            {pieces: []string{">*1\n$4\nPING\n", "<+PONG\n"}, opaque: true},
		"the server first": {pieces: []string{"<220 smtp ready\n", ">EHLO x\n"}, opaque: true},
		"no answer":        {pieces: []string{">GET /hang HTTP/1.1\n\n"}, want: []string{"GET /hang 0 gone"}},
	} {
		for _, size := range []int{1, 2, 3, 7, 1 << 20} {
			all, h := talk(c.pieces, size)
			h.broken("gone", time.Unix(2000, 0))
			if got := *all; !slices.Equal(got, c.want) || h.opaque != c.opaque {
				t.Errorf("%s in pieces of %d: %q, opaque %v; want %q, %v", name, size, *all, h.opaque,
					c.want, c.opaque)
			}
		}
	}
}

func TestTapKnowsWhenNobodyWaits(t *testing.T) {
	for name, c := range map[string]struct {
		pieces []string
		want   bool
	}{
		"after an answer": {[]string{">GET / HTTP/1.1\n\n",
			"<HTTP/1.1 200 OK\nContent-Length: 2\n\nhi"}, true},
		"in the answer": {[]string{">GET / HTTP/1.1\n\n",
			"<HTTP/1.1 200 OK\nContent-Length: 20\n\nhi"}, false},
		"before the answer":  {[]string{">GET / HTTP/1.1\n\n"}, false},
		"in a head":          {[]string{">GET / HT"}, false},
		"no HTTP, who knows": {[]string{">\x00\x01"}, false},
	} {
		if _, h := talk(c.pieces, 3); h.idle() != c.want {
			t.Errorf("%s: idle is %v", name, h.idle())
		}
	}
}

func TestPathTemplateLeavesOutWhatVaries(t *testing.T) {
	for path, want := range map[string]string{
		"/":                             "/",
		"/api/v1/orders/17/items":       "/api/v1/orders/{}/items",
		"/o/7f9c24e8-3b12-4fef?a=":      "/o/{}",
		"http://x:80/a/b":               "/a/b",
		"*":                             "*",
		"/t/" + strings.Repeat("a", 41): "/t/{}",
	} {
		if got := pathTemplate(path); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
}

func FuzzHTTPConn(f *testing.F) {
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"), []byte("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"), 3)
	f.Add([]byte("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nfff"), []byte("HTTP/1.1 1"), 1)
	f.Fuzz(func(t *testing.T, there, back []byte, size int) {
		if size <= 0 {
			return
		}
		n := 0
		h := newHTTPConn(func(exchange) { n++ })
		for len(there)+len(back) > 0 {
			k := min(size, len(there))
			h.asked(there[:k], time.Time{})
			there = there[k:]
			k = min(size, len(back))
			h.answered(back[:k], time.Time{})
			back = back[k:]
		}
		if len(h.requests.head) > headMax+size || len(h.answers.head) > headMax+size {
			t.Errorf("it keeps %d and %d bytes", len(h.requests.head), len(h.answers.head))
		}
	})
}
