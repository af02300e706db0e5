package netns

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"
)

// The caller of an HTTP/2 connection whose tap ends is asked to open another one: no request is lost,
// also of those that come meanwhile, and the connection goes.
func TestHTTP2CallerGoesWithoutLosingARequest(t *testing.T) {
	var plain http.Protocols
	plain.SetUnencryptedHTTP2(true)
	slow := make(chan struct{})
	server := &http.Server{Protocols: &plain, Handler: http.HandlerFunc(func(w http.ResponseWriter,
		r *http.Request) {
		if r.URL.Path == "/slow" {
			w.(http.Flusher).Flush()
			<-slow
		}
		w.Write(make([]byte, 40_000))
	})}
	callees, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go server.Serve(callees)
	defer server.Close()

	p := &proxy{}
	var mu sync.Mutex
	var through []*conn
	ended := make(chan struct{}) // the first one
	client := &http.Client{Transport: &http.Transport{Protocols: &plain,
		DialContext: func(context.Context, string, string) (net.Conn, error) {
			caller, fromCaller := pipe(t)
			toCallee, err := net.Dial("tcp4", callees.Addr().String())
			if err != nil {
				return nil, err
			}
			c := &conn{caller: fromCaller, callee: toCallee.(*net.TCPConn), tap: newTapped("t").open(nobody)}
			c.lines = [2]*line{newLine(c.callee), newLine(fromCaller)}
			mu.Lock()
			defer mu.Unlock()
			first := len(through) == 0
			through = append(through, c)
			go func() {
				var both sync.WaitGroup
				both.Go(func() { p.copy(c, c.callee, fromCaller, 0) })
				both.Go(func() { p.copy(c, fromCaller, c.callee, 1) })
				both.Wait()
				c.over.Store(true)
				c.reset()
				if first {
					close(ended)
				}
			}()
			return caller, nil
		}}}
	ask := func(path string) error {
		resp, err := client.Get("http://" + callees.Addr().String() + path)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if n, err := io.Copy(io.Discard, resp.Body); n != 40_000 || err != nil {
			return fmt.Errorf("%d bytes, %v", n, err)
		}
		return nil
	}
	if err := ask("/"); err != nil {
		t.Fatal(err)
	}
	var asking, held sync.WaitGroup
	held.Go(func() {
		if err := ask("/slow"); err != nil {
			t.Errorf("the request that was under way: %v", err)
		}
	})
	stop := make(chan struct{})
	for range 4 {
		asking.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if err := ask("/"); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	mu.Lock()
	first := through[0]
	mu.Unlock()
	p.wg.Go(first.leave)
	// until another connection is there
	for end := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		mu.Lock()
		n := len(through)
		mu.Unlock()
		if n > 1 {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the caller opens no other connection")
		}
	}
	close(slow)
	held.Wait()
	<-ended
	close(stop)
	asking.Wait()
	client.CloseIdleConnections()
	p.wg.Wait()
}
