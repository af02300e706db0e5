package netns

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// peer writes one direction of an HTTP/2 connection.
type peer struct {
	bytes.Buffer
	*http2.Framer
	fields bytes.Buffer
	table  *hpack.Encoder
}

func newPeer() *peer {
	p := &peer{}
	p.Framer = http2.NewFramer(&p.Buffer, nil)
	p.table = hpack.NewEncoder(&p.fields)
	return p
}

// block encodes "name value" lines.
func (p *peer) block(lines ...string) []byte {
	p.fields.Reset()
	for _, l := range lines {
		name, value, _ := strings.Cut(l, " ")
		p.table.WriteField(hpack.HeaderField{Name: name, Value: value})
	}
	return slices.Clone(p.fields.Bytes())
}

// head sends header fields, with all that may stand around them.
func (p *peer) head(id uint32, ends bool, lines ...string) {
	block := p.block(lines...)
	half := len(block) / 2
	p.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block[:half], EndStream: ends,
		PadLength: 3, Priority: http2.PriorityParam{Weight: 1}})
	p.WriteContinuation(id, true, block[half:])
}

// sent is what was written since it was asked last.
func (p *peer) sent() string {
	defer p.Reset()
	return p.String()
}

func request(path string, more ...string) []string {
	return append([]string{":method POST", ":scheme http", ":path " + path, ":authority api"}, more...)
}

func TestTapFollowsHTTP2WhereverItIsCut(t *testing.T) {
	grpc := func(path string) []string {
		return request(path, "content-type application/grpc+proto", "te trailers")
	}
	for name, c := range map[string]struct {
		pieces func(there, back *peer) []string
		want   []string
		opaque bool
	}{
		"interleaved": {pieces: func(there, back *peer) (out []string) {
			there.WriteSettings()
			there.head(1, true, request("/orders/17?x=1")...)
			there.head(3, false, request("/carts")...)
			there.WriteData(3, true, []byte("abc"))
			out = append(out, ">"+prefaceLine+"\r\n\r\n"+prefaceRest+there.sent())
			back.WriteSettings()
			back.WriteSettingsAck()
			back.head(3, false, ":status 103")
			back.head(3, false, ":status 503", "content-type text/plain")
			back.WriteData(3, true, []byte("no"))
			back.head(1, true, ":status 200")
			return append(out, "<"+back.sent())
		}, want: []string{"POST /carts 503", "POST /orders/{} 200"}},
		"the callee first": {pieces: func(there, back *peer) []string {
			back.WriteSettings(http2.Setting{ID: http2.SettingMaxFrameSize, Val: 1 << 20})
			first := back.sent()
			there.head(1, true, request("/a")...)
			back.head(1, true, ":status 204")
			return []string{"<" + first, ">" + prefaceLine + "\r\n\r\n" + prefaceRest + there.sent(),
				"<" + back.sent()}
		}, want: []string{"POST /a 204"}},
		"gRPC": {pieces: func(there, back *peer) []string {
			for i, path := range []string{"/shop.v1.Orders/Get", "/shop.v1.Orders/List2",
				"/shop.v1.Orders/Bad", "/shop.v1.Orders/Odd"} {
				there.head(uint32(2*i+1), true, grpc(path)...)
			}
			back.head(1, false, ":status 200", "content-type application/grpc")
			back.WriteData(1, false, []byte("\x00\x00\x00\x00\x01x"))
			back.head(1, true, "grpc-status 0")
			back.head(3, true, ":status 200", "content-type application/grpc", "grpc-status 14",
				"grpc-message away")
			back.head(5, false, ":status 502", "content-type text/html") // of a proxy between
			back.WriteData(5, true, []byte("bad gateway"))
			back.head(7, false, ":status 200", "content-type application/grpc")
			back.WriteData(7, true, nil)
			return []string{">" + prefaceLine + "\r\n\r\n" + prefaceRest + there.sent(), "<" + back.sent()}
		}, want: []string{"POST /shop.v1.Orders/Get 200", "POST /shop.v1.Orders/List2 503",
			"POST /shop.v1.Orders/Bad 502",
			"POST /shop.v1.Orders/Odd 0 the stream ended without a grpc-status"}},
		"resets, and requests that the callee makes up": {pieces: func(there, back *peer) (out []string) {
			for _, id := range []uint32{1, 3, 5, 7} {
				there.head(id, true, grpc(fmt.Sprintf("/s/m%d", id))...)
			}
			out = append(out, ">"+prefaceLine+"\r\n\r\n"+prefaceRest+there.sent())
			back.WritePushPromise(http2.PushPromiseParam{StreamID: 1, PromiseID: 2,
				BlockFragment: back.block(request("/pushed", "x-long "+strings.Repeat("y", 300))...),
				EndHeaders:    true, PadLength: 1})
			back.WriteRSTStream(1, http2.ErrCodeRefusedStream)
			back.head(5, false, ":status 200", "content-type application/grpc")
			out = append(out, "<"+back.sent())
			there.WriteRSTStream(3, http2.ErrCodeCancel)
			there.WriteRSTStream(5, http2.ErrCodeCancel) // the end of a stream of answers that nobody needs
			return append(out, ">"+there.sent())
		}, want: []string{"POST /s/m1 0 the stream was reset without an answer",
			"POST /s/m3 0 no answer in 0s; the caller gave up", "POST /s/m5 200", "POST /s/m7 0 gone"}},
		"a block that is broken": {pieces: func(there, back *peer) []string {
			there.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte{0xff, 0xff,
				0xff, 0xff, 0xff, 0xff}, EndHeaders: true})
			return []string{">" + prefaceLine + "\r\n\r\n" + prefaceRest + there.sent()}
		}, opaque: true},
		"no preface after all": {pieces: func(there, back *peer) []string {
			return []string{">" + prefaceLine + "\r\n\r\nXX\r\n\r\n"}
		}, opaque: true},
	} {
		for _, size := range []int{1, 2, 5, 9, 1 << 20} {
			var got []string
			h := newHTTPConn(func(x exchange) {
				got = append(got, strings.TrimSpace(fmt.Sprintf("%s %s %d %s", x.method, x.path,
					x.status, x.why)))
			})
			now := time.Unix(1000, 0)
			for _, p := range c.pieces(newPeer(), newPeer()) {
				for data := []byte(p[1:]); len(data) > 0; data = data[min(size, len(data)):] {
					if now = now.Add(time.Microsecond); p[0] == '>' {
						h.asked(data[:min(size, len(data))], now)
					} else {
						h.answered(data[:min(size, len(data))], now)
					}
				}
				if h.idle() {
					t.Errorf("%s: a connection of HTTP/2 is idle", name)
				}
			}
			h.broken("gone", now)
			if !slices.Equal(got, c.want) || h.opaque != c.opaque {
				t.Errorf("%s in pieces of %d: %q, opaque %v; want %q, %v", name, size, got, h.opaque,
					c.want, c.opaque)
			}
		}
	}
}

// A real client and a real server, with all that they do to each other's header tables.
func TestTapCountsWhatAnHTTP2ServerAnswers(t *testing.T) {
	var plain http.Protocols
	plain.SetUnencryptedHTTP2(true)
	server := &http.Server{Protocols: &plain, Handler: http.HandlerFunc(func(w http.ResponseWriter,
		r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.Header().Set("X-Much", strings.Repeat("z", len(r.URL.Path)*20))
		if strings.HasPrefix(r.URL.Path, "/bad/") {
			w.WriteHeader(http.StatusInternalServerError)
		}
		w.Write(make([]byte, 20_000))
	})}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go server.Serve(l)
	defer server.Close()

	var mu sync.Mutex
	counts := map[string]int{}
	client := &http.Client{Transport: &http.Transport{Protocols: &plain,
		DialContext: func(ctx context.Context, _, addr string) (net.Conn, error) {
			c, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
			if err != nil {
				return nil, err
			}
			return &followed{Conn: c, mu: &mu, http: newHTTPConn(func(x exchange) {
				counts[fmt.Sprintf("%s %d", x.path, x.status)]++
			})}, nil
		}}}
	defer client.CloseIdleConnections()
	var wg sync.WaitGroup
	for i := range 60 {
		wg.Go(func() {
			path := fmt.Sprintf("/good/%d", i)
			if i%3 == 0 {
				path = fmt.Sprintf("/bad/%s", strings.Repeat("w", 1+i%30))
			}
			resp, err := client.Post("http://"+l.Addr().String()+path, "text/plain",
				strings.NewReader(strings.Repeat("x", i*1000)))
			if err != nil {
				t.Error(err)
				return
			}
			defer resp.Body.Close()
			if n, err := io.Copy(io.Discard, resp.Body); n != 20_000 || err != nil {
				t.Error(n, err)
			}
		})
	}
	wg.Wait()
	mu.Lock()
	defer mu.Unlock()
	bad := 0
	for what, n := range counts {
		if strings.HasPrefix(what, "/bad/") && strings.HasSuffix(what, " 500") {
			bad += n
		}
	}
	if counts["/good/{} 200"] != 40 || bad != 20 {
		t.Errorf("counted %v, want 40 good and 20 bad", counts)
	}
}

// followed is a connection whose bytes are followed.
type followed struct {
	net.Conn
	mu   *sync.Mutex
	http *httpConn
}

func (f *followed) Write(p []byte) (int, error) {
	f.mu.Lock()
	f.http.asked(p, time.Now())
	f.mu.Unlock()
	return f.Conn.Write(p)
}

func (f *followed) Read(p []byte) (int, error) {
	n, err := f.Conn.Read(p)
	f.mu.Lock()
	f.http.answered(p[:n], time.Now())
	f.mu.Unlock()
	return n, err
}

func FuzzHTTP2Conn(f *testing.F) {
	there, back := newPeer(), newPeer()
	there.WriteSettings()
	there.head(1, true, request("/a/17")...)
	back.head(1, true, ":status 200")
	f.Add([]byte(there.sent()), []byte(back.sent()), 7)
	f.Fuzz(func(t *testing.T, there, back []byte, size int) {
		if size <= 0 {
			return
		}
		h := newHTTPConn(func(exchange) {})
		h.asked([]byte(prefaceLine+"\r\n\r\n"+prefaceRest), time.Time{})
		for len(there)+len(back) > 0 {
			k := min(size, len(there))
			h.asked(there[:k], time.Time{})
			there = there[k:]
			k = min(size, len(back))
			h.answered(back[:k], time.Time{})
			back = back[k:]
		}
		if h.two == nil {
			return
		}
		for _, one := range []*frames{&h.two.requests, &h.two.answers} {
			if len(one.payload) > headMax || len(one.block) > headMax || len(h.two.streams) > streamsMax {
				t.Errorf("it keeps %d and %d bytes, %d streams", len(one.payload), len(one.block),
					len(h.two.streams))
			}
		}
	})
}
