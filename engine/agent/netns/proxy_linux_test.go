package netns

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

// A request that comes while the agent ends an idle connection is not carried out, and its caller
// finds the connection closed, not reset: clients send such a request again.
func TestRequestThatComesAsTheConnectionIsLeft(t *testing.T) {
	caller, fromCaller := pipe(t)
	toCallee, callee := pipe(t)
	p := &proxy{}
	c := &conn{caller: fromCaller, callee: toCallee, lines: [2]*line{newLine(toCallee),
		newLine(fromCaller)}, tap: newTapped("t").open(nobody)}
	p.wg.Go(func() { p.copy(c, toCallee, fromCaller, 0) })
	p.wg.Go(func() { p.copy(c, fromCaller, toCallee, 1) })

	// One request goes through.
	const request = "GET / HTTP/1.1\r\nHost: callee\r\n\r\n"
	write(t, caller, request)
	at := bufio.NewReader(callee)
	if _, err := http.ReadRequest(at); err != nil {
		t.Fatal(err)
	}
	if c.tap.leave() {
		t.Fatal("left while an answer is waited for")
	}
	write(t, callee, "HTTP/1.1 204 No Content\r\n\r\n")
	back := bufio.NewReader(caller)
	if _, err := http.ReadResponse(back, nil); err != nil {
		t.Fatal(err)
	}
	// The next one is late.
	if !c.tap.leave() {
		t.Fatal("not left, though nobody waits for anything")
	}
	write(t, caller, request)
	p.wg.Go(c.leave)
	if b, err := io.ReadAll(at); len(b) > 0 || err != nil {
		t.Errorf("the callee received %q, %v", b, err)
	}
	_ = callee.Close()
	if b, err := io.ReadAll(back); len(b) > 0 || err != nil {
		t.Errorf("the caller received %q, %v", b, err)
	}
	p.wg.Wait() // though the caller keeps its end
}

// A caller that has sent all may still wait for the answer; one whose program has closed its end does not.
func TestCallerThatSendsNoMoreMayStillWait(t *testing.T) {
	caller, callee := pipe(t)
	from, to := caller.LocalAddr(), caller.RemoteAddr()
	if !holds(from, to) {
		t.Error("one that is open is not held")
	}
	if err := caller.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if _, err := callee.Read(make([]byte, 1)); err != io.EOF {
		t.Fatal(err)
	}
	if !holds(from, to) {
		t.Error("one that is closed for sending alone is not held")
	}
	_ = caller.Close()
	if holds(from, to) {
		t.Error("one that is closed is held")
	}
}

func write(t *testing.T, c net.Conn, s string) {
	t.Helper()
	if _, err := io.WriteString(c, s); err != nil {
		t.Fatal(err)
	}
}

// pipe is a TCP connection on this machine, from both ends.
func pipe(t *testing.T) (dialed, accepted *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	d, err := net.Dial("tcp4", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	a, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []net.Conn{d, a} {
		t.Cleanup(func() { _ = c.Close() })
		if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
	}
	return d.(*net.TCPConn), a.(*net.TCPConn)
}
