package relay

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"bulkhead/engine/agent"
)

// minute is longer than anything here takes.
const minute = time.Minute

// serving is a client of a Serve in this process, and how to end that.
func serving(t *testing.T) (c *Client, kill func()) {
	t.Helper()
	ours, its := net.Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer its.Close()
		if err := Serve(ctx, its, its); err != nil {
			t.Error(err)
		}
	}()
	kill = func() { cancel(); <-done }
	c, err := Dial(t.Context(), ours)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(); kill() })
	return c, kill
}

// listen serves each connection to a port of this machine.
func listen(t *testing.T, f func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { defer c.Close(); f(c) })
		}
	})
	t.Cleanup(func() { l.Close(); wg.Wait() })
	return l.Addr().String()
}

func echo(c net.Conn) { _, _ = io.Copy(c, c) }

func dial(t *testing.T, c *Client, address string) net.Conn {
	t.Helper()
	conn, err := c.DialContext(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.SetDeadline(time.Now().Add(minute))
	return conn
}

// Each connection has its own bytes, in order, while others are open that nobody reads.
func TestConnectionsDoNotMix(t *testing.T) {
	c, _ := serving(t)
	address := listen(t, echo)
	idle := dial(t, c, listen(t, func(c net.Conn) { _, _ = io.Copy(c, endless{}) })) // never read
	defer idle.Close()
	var wg sync.WaitGroup
	for i := range 5 {
		wg.Go(func() {
			conn, err := c.DialContext(t.Context(), address)
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			_ = conn.SetDeadline(time.Now().Add(minute))
			sent := bytes.Repeat([]byte{'a' + byte(i)}, 5*chunk+i)
			wg.Go(func() { _, _ = conn.Write(sent) })
			got := make([]byte, len(sent))
			if _, err := io.ReadFull(conn, got); err != nil || !bytes.Equal(got, sent) {
				t.Errorf("connection %d: %d bytes, %v", i, len(got), err)
			}
		})
	}
	wg.Wait()
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

// What was sent before the end arrives before it, and a close is seen on the other side.
func TestEitherSideEndsAConnection(t *testing.T) {
	c, _ := serving(t)
	conn := dial(t, c, listen(t, func(c net.Conn) { fmt.Fprint(c, strings.Repeat("x", 3*chunk)) }))
	if got, err := io.ReadAll(conn); err != nil || len(got) != 3*chunk {
		t.Errorf("read %d bytes, %v", len(got), err)
	}
	conn.Close()

	seen := make(chan error, 1)
	conn = dial(t, c, listen(t, func(c net.Conn) { _, err := c.Read(make([]byte, 1)); seen <- err }))
	conn.Close()
	select {
	case err := <-seen:
		if err == nil {
			t.Error("it read a byte that nobody sent")
		}
	case <-time.After(minute):
		t.Error("the other side does not see the close")
	}
}

func TestRefusalIsThatOfADialer(t *testing.T) {
	c, _ := serving(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	_, err = c.DialContext(t.Context(), address)
	var op *net.OpError
	if !errors.As(err, &op) || !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("refused: %v", err)
	}
	if _, err := c.DialContext(t.Context(), "no address"); !errors.As(err, &op) ||
		errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("no address: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.DialContext(ctx, address); err == nil {
		t.Error("a dial that nobody waits for went well")
	}
	dial(t, c, listen(t, echo)).Close() // the agent goes on
}

// An agent that ends takes its connections with it, and so does a Client that is closed.
func TestConnectionsEndWithTheAgent(t *testing.T) {
	for how, end := range map[string]func(c *Client, kill func()){
		"killed": func(_ *Client, kill func()) { kill() },
		"closed": func(c *Client, _ func()) { c.Close() },
	} {
		c, kill := serving(t)
		conn := dial(t, c, listen(t, echo))
		unread := dial(t, c, listen(t, func(c net.Conn) { _, _ = io.Copy(c, endless{}) }))
		if _, err := unread.Read(make([]byte, 1)); err != nil { // what follows waits for a reader
			t.Error(err)
		}
		end(c, kill)
		if _, err := conn.Read(make([]byte, 1)); err == nil || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: read: %v", how, err)
		}
		if _, err := c.DialContext(t.Context(), "127.0.0.1:1"); !errors.Is(err, ErrEnded) {
			t.Errorf("%s: dial: %v", how, err)
		}
	}
}

func TestConnectionsAreLimited(t *testing.T) {
	c, _ := serving(t)
	address := listen(t, echo)
	all := make([]net.Conn, maxConns)
	for i := range all {
		all[i] = dial(t, c, address)
		defer all[i].Close()
	}
	if _, err := c.DialContext(t.Context(), address); err == nil || !strings.Contains(err.Error(),
		fmt.Sprint(maxConns)) {
		t.Errorf("one more: %v", err)
	}
}

// An agent that hears nothing ends, and one of another version is not talked to.
func TestSilenceEndsTheAgent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, its := net.Pipe()
		defer ours.Close()
		go func() { _, _ = io.Copy(io.Discard, ours) }()
		began := time.Now()
		err := Serve(t.Context(), its, its)
		if took := time.Since(began); err == nil || took != agent.Silence {
			t.Errorf("after %v: %v", took, err)
		}
		its.Close()
	})
	synctest.Test(t, func(t *testing.T) {
		ours, its := net.Pipe()
		go func() {
			_ = agent.NewWriter(its).Write(line{Version: agent.Version + 1})
			_, _ = io.Copy(io.Discard, its)
		}()
		if _, err := Dial(t.Context(), ours); err == nil || !strings.Contains(err.Error(), "version") {
			t.Errorf("another version: %v", err)
		}
	})
	synctest.Test(t, func(t *testing.T) { // with a client it goes on
		c, _ := serving(t)
		time.Sleep(10 * agent.Silence) // virtual time
		if c.Ended() {
			t.Error("the agent ended beside its client")
		}
	})
}
