package docker

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/moby/moby/client"

	"bulkhead/engine/container"
)

func TestCallsHaveLimitsAndStreamsHaveNone(t *testing.T) {
	for _, c := range []struct {
		method, path string
		want         time.Duration
	}{
		{"GET", "/_ping", readLimit},
		{"HEAD", "/_ping", readLimit},
		{"GET", "/v1.41/containers/json?all=1", readLimit},
		{"GET", "/v1.41/containers/abc/json", readLimit},
		{"GET", "/v1.41/containers/abc/stats?stream=0&one-shot=1", readLimit},
		{"GET", "/v1.41/containers/abc/stats?stream=1", 0},
		{"GET", "/v1.41/containers/abc/logs?follow=1", 0},
		{"POST", "/v1.41/containers/abc/wait", 0},
		{"POST", "/v1.41/containers/abc/stop?t=7", changeLimit + 7*time.Second},
		{"POST", "/v1.41/containers/abc/stop?t=-1", 0},
		{"POST", "/v1.41/containers/abc/kill?signal=KILL", changeLimit},
		{"POST", "/v1.41/containers/create", changeLimit},
		{"PUT", "/v1.41/containers/abc/archive", 0},
		{"GET", "/v1.41/containers/abc/archive?path=/f", 0},
		{"HEAD", "/v1.41/containers/abc/archive?path=/f", readLimit},
		{"GET", "/v1.41/containers/abc/export", 0},
		{"DELETE", "/v1.41/containers/abc", changeLimit},
		{"GET", "/v1.41/events", 0},
		{"POST", "/v1.41/exec/abc/start", 0},
		{"GET", "/v1.41/exec/abc/json", readLimit},
		{"POST", "/v1.41/images/create", 0},
		{"GET", "/v1.41/images/a/b:1/json", readLimit},
		{"POST", "/v1.41/images/a/b/push", 0},
		{"GET", "/v1.41/volumes/v", readLimit},
		{"GET", "/v1.41/system/df", changeLimit},
		{"POST", "/grpc", 0},
		{"GET", "/v1.41/something/new", readLimit},
	} {
		r := httptest.NewRequest(c.method, "http://docker"+c.path, nil)
		if got := callLimit(r); got != c.want {
			t.Errorf("%s %s: %s, want %s", c.method, c.path, got, c.want)
		}
	}
}

// silent takes a question on a connection and answers no more than a head.
func silent(conn net.Conn, head string) {
	defer conn.Close()
	if _, err := http.ReadRequest(bufio.NewReader(conn)); err != nil {
		return
	}
	if _, err := io.WriteString(conn, head); err == nil {
		_, _ = io.Copy(io.Discard, conn) // until the client hangs up
	}
}

func TestQuestionThatIsNeverAnsweredEnds(t *testing.T) {
	for head, want := range map[string]time.Duration{"": readLimit,
		"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{": bodyLimit} {
		synctest.Test(t, func(t *testing.T) {
			c := silentClient(t, head)
			defer c.cli.Close()
			began := time.Now()
			_, err := c.cli.ContainerInspect(t.Context(), "abc", client.ContainerInspectOptions{})
			err = c.wrap("inspect abc", err)
			if time.Since(began) != want || !errors.Is(err, container.ErrNoEngine) ||
				!errors.Is(err, container.ErrSilent) {
				t.Errorf("%q: after %s: %v", head, time.Since(began), err)
			}
		})
	}
}

// silentClient asks an engine that answers no more than a head.
func silentClient(t *testing.T, head string) *connection {
	cli, err := newClient(endpoint{host: "unix:///some.sock"}, client.WithAPIVersion("1.41"),
		client.WithDialContext(func(context.Context, string, string) (net.Conn, error) {
			here, there := net.Pipe()
			go silent(there, head)
			return here, nil
		}))
	if err != nil {
		t.Fatal(err)
	}
	return &connection{cli: cli, end: endpoint{host: "unix:///some.sock", context: "default"}}
}

// Files that are copied have no limit as a whole; one that pauses for too long is ended, whichever way
// it goes and however far it has come.
func TestCopyThatPausesEnds(t *testing.T) {
	const begun = "HTTP/1.1 200 OK\r\nX-Docker-Container-Path-Stat: e30=\r\nTransfer-Encoding: chunked\r\n\r\n"
	for _, c := range []struct {
		what, head string
		slow       bool // who reads takes their time
		want       time.Duration
	}{
		{"from", "", false, readLimit},
		{"from", "HTTP/1.1 2", false, readLimit},
		{"from", begun, false, readLimit},
		{"from", begun + "1\r\nx\r\n", false, readLimit},
		{"from", begun + "1\r\nx\r\n", true, readLimit + time.Hour},
		{"into", "", false, changeLimit},
		{"into, slowly", "", false, changeLimit + 10*time.Hour},
	} {
		synctest.Test(t, func(t *testing.T) {
			conn := silentClient(t, c.head)
			defer conn.cli.Close()
			began := time.Now()
			var err error
			if c.what == "from" {
				var res client.CopyFromContainerResult
				res, err = conn.copyFrom(t.Context(), "abc", "/f")
				if err == nil {
					if c.slow {
						time.Sleep(time.Hour)
					}
					_, err = io.Copy(io.Discard, res.Content)
					res.Content.Close()
				}
			} else {
				in, out := io.Pipe()
				go func() {
					defer out.Close()
					if c.what != "into" { // the engine waits for it
						for range 10 {
							time.Sleep(time.Hour)
							_, _ = out.Write([]byte("x"))
						}
					}
				}()
				err = conn.copyInto(t.Context(), "abc",
					client.CopyToContainerOptions{DestinationPath: "/", Content: in})
				in.Close()
			}
			err = conn.wrap("copy", err)
			if time.Since(began) != c.want || !errors.Is(err, container.ErrSilent) {
				t.Errorf("%s, %q: after %s: %v", c.what, c.head, time.Since(began), err)
			}
		})
	}
}
