package engine_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"bulkhead/engine"
	"bulkhead/engine/docker"
	"bulkhead/engine/logs"
)

// proxy stands between the program and its engine, and cuts connections that logs come over after some of their bytes.
type proxy struct {
	path string
	cuts atomic.Int32
	calm atomic.Bool // cut nothing any more

	mu    sync.Mutex
	conns map[net.Conn]bool
}

func openProxy(t *testing.T, engineSocket string) *proxy {
	t.Helper()
	dir, err := os.MkdirTemp("", "bh") // a socket's path has to be short
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{path: filepath.Join(dir, "s"), conns: map[net.Conn]bool{}}
	l, err := net.Listen("unix", p.path)
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
			wg.Go(func() { p.serve(c, engineSocket) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		p.cutAll()
		wg.Wait()
		os.RemoveAll(dir)
	})
	return p
}

// cutAll cuts every connection, as the end of an engine does.
func (p *proxy) cutAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		c.Close()
	}
}

func (p *proxy) serve(c net.Conn, engineSocket string) {
	up, err := net.Dial("unix", engineSocket)
	if err != nil {
		c.Close()
		return
	}
	p.mu.Lock()
	p.conns[c] = true
	p.mu.Unlock()
	var logs atomic.Bool
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 32<<10)
		for {
			n, err := c.Read(buf)
			if bytes.Contains(buf[:n], []byte("/logs?")) && bytes.Contains(buf[:n], []byte("follow=1")) {
				logs.Store(true)
			}
			if _, werr := up.Write(buf[:n]); err != nil || werr != nil {
				if u, ok := up.(*net.UnixConn); ok && errors.Is(err, io.EOF) {
					u.CloseWrite()
				} else {
					up.Close()
				}
				return
			}
		}
	}()
	left := 100_000 + rand.IntN(100_000) // the last two seconds are read again each time
	buf := make([]byte, 4<<10)
	for {
		n, err := up.Read(buf)
		cut := false
		if logs.Load() && !p.calm.Load() {
			if left -= n; left <= 0 {
				n, cut = n+left, true // in the middle of a line, a frame or a header
				n = max(n, 0)
			}
		}
		_, werr := c.Write(buf[:n])
		if cut {
			p.cuts.Add(1)
		}
		if cut || err != nil || werr != nil {
			break
		}
	}
	c.Close()
	up.Close()
	<-done
	p.mu.Lock()
	delete(p.conns, c)
	p.mu.Unlock()
}

// engineSocket is the unix socket of the machine's engine.
func engineSocket(t *testing.T) string {
	t.Helper()
	path, ok := strings.CutPrefix(os.Getenv("DOCKER_HOST"), "unix://")
	if !ok && os.Getenv("DOCKER_HOST") != "" {
		t.Skipf("DOCKER_HOST is %s; a proxy in between needs a unix socket", os.Getenv("DOCKER_HOST"))
	}
	if path == "" {
		path = "/var/run/docker.sock"
	}
	if _, err := os.Stat(path); err != nil {
		t.Skipf("a proxy in between needs the engine's unix socket: %v", err)
	}
	return path
}

func TestCutStreamsAreReadOnWithNothingLostOrDoubled(t *testing.T) {
	s := open(t, map[string]string{"compose.yaml": `
services:
  a: {image: ` + baseImage + `, tty: false, command: ["sh", "-c", "trap 'exit 0' TERM; i=0; while [ ! -e /tmp/enough ]; do echo n $$i; i=$$((i+1)); echo n $$i >&2; i=$$((i+1)); [ $$((i % 50)) = 0 ] && sleep 0.05; done; echo written $$i; while :; do sleep 0.1; done"]}
`})
	p := openProxy(t, engineSocket(t))
	rt, err := docker.New(docker.Options{Host: "unix://" + p.path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { rt.Close() })
	direct := s.rt
	s.rt = rt
	s.run(engine.Options{NoStats: true, NoWatch: true})
	s.ready()
	s.until("some hundred lines", func(*engine.Snapshot) bool { return len(s.everyNumber("a")) > 500 })
	p.cutAll()
	s.eventually("third cut", func() bool { return p.cuts.Load() >= 3 })
	p.calm.Store(true)
	s.sh("a", "touch /tmp/enough")
	s.line("a", "written")
	lines := 0
	for _, l := range s.lines("a") {
		if i := strings.Index(l, "stdout written "); i >= 0 {
			_, err = fmt.Sscanf(l[i:], "stdout written %d", &lines)
		}
	}
	// The last line on stderr may come in after the last one on stdout.
	s.until("the last line", func(*engine.Snapshot) bool { return slices.Contains(s.everyNumber("a"), lines-1) })
	if got := s.everyNumber("a"); err != nil || !slices.Equal(got, upTo(lines)) {
		t.Errorf("after %d cuts: %s (%v)", p.cuts.Load(), differences(got, lines), err)
	}
	t.Logf("%d cuts, %d lines", p.cuts.Load(), lines)
	if err := s.stop(); err != nil {
		t.Error(err)
	}
	s.rt = direct
}

// everyNumber gives the numbers of the lines "n NUMBER" of both streams, sorted: the engine stamps
// each stream by itself.
func (s *stage) everyNumber(service string) []int {
	var out []int
	v := s.logs.View(logs.Filter{Services: []string{service}})
	first, end := v.Bounds()
	for _, l := range v.Lines(first, int(end-first)) {
		var n int
		if _, err := fmt.Sscanf(string(l.Text), "n %d", &n); err == nil && l.Stream != logs.System {
			out = append(out, n)
		}
	}
	slices.Sort(out)
	return out
}

func upTo(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

func differences(got []int, n int) string {
	seen := map[int]int{}
	for _, g := range got {
		seen[g]++
	}
	var lost, doubled []int
	for i := range n {
		switch {
		case seen[i] == 0:
			lost = append(lost, i)
		case seen[i] > 1:
			doubled = append(doubled, i)
		}
	}
	return fmt.Sprintf("%d lines of %d; %d lost %v, %d doubled %v", len(got), n, len(lost), lost[:min(len(lost), 10)], len(doubled), doubled[:min(len(doubled), 10)])
}

// TestRestartOfTheEngineLosesAndDoublesNothing ends and starts the engine while a container that outlives it writes.
func TestRestartOfTheEngineLosesAndDoublesNothing(t *testing.T) {
	d := ownEngine(t)
	s, rt := d.stage("bhe-restart", map[string]string{"compose.yaml": `
services:
  a:
    build: .
    network_mode: none
    command: ["/bin/busybox", "sh", "-c", "i=0; while :; do echo n $$i; i=$$((i+1)); [ $$((i % 20)) = 0 ] && busybox sleep 0.02; done"]
`})
	s.run(engine.Options{NoStats: true, NoWatch: true})
	s.ready()
	before := s.identities()["a/1"]
	for round := range 2 {
		n := len(s.everyNumber("a"))
		s.until("lines", func(*engine.Snapshot) bool { return len(s.everyNumber("a")) > n+300 })
		d.end(syscall.SIGTERM)
		s.until("the loss", func(n *engine.Snapshot) bool { return n.Phase == engine.PhaseLost })
		d.start()
		s.until(fmt.Sprintf("the engine again, round %d", round), func(n *engine.Snapshot) bool { return n.Phase == engine.PhaseRunning })
		n = len(s.everyNumber("a"))
		s.until("more lines", func(*engine.Snapshot) bool { return len(s.everyNumber("a")) > n+300 })
	}
	if after := s.identities()["a/1"]; after != before {
		t.Fatalf("the container did not outlive its engine: %+v, was %+v", after, before)
	}
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	// What an engine has taken from the container and not written when it ends is in nobody's log.
	got, kept := s.everyNumber("a"), []int{}
	if err := rt.Logs(t.Context(), before.ID, engine.LogOptions{Tail: -1}, func(l engine.Line) {
		var n int
		if _, err := fmt.Sscanf(string(l.Text), "n %d", &n); err == nil && n <= got[len(got)-1] {
			kept = append(kept, n)
		}
	}); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got, kept) {
		t.Errorf("after two restarts: %s; the engine's log: %s", differences(got, got[len(got)-1]+1), differences(kept, got[len(got)-1]+1))
	}
	t.Logf("%d lines over two restarts; the engine's own log: %s", len(got), differences(kept, got[len(got)-1]+1))
	if all := s.lines("a"); slices.ContainsFunc(all, func(l string) bool { return strings.Contains(l, " system ") }) {
		t.Errorf("a generation ended or began:\n%s", strings.Join(slices.DeleteFunc(all, func(l string) bool { return !strings.Contains(l, " system ") }), "\n"))
	}
}

// The follower of the old generation gives up when its log is cut while the new one holds the
// place; the old one comes back all the same.
func TestOldGenerationThatComesBackIsFollowedAgain(t *testing.T) {
	files := built()
	files["compose.yaml"] = `
services:
  a:
    build: a
    healthcheck: {test: ["CMD", "test", "-f", "/tmp/ready"], interval: 20s}
    x-bulkhead: {swap: overlap}
`
	files["a/run.sh"] = "cat /text; if grep -q bad /text; then until [ -e /tmp/end ]; do sleep 0.1; done; exit 3; fi; touch /tmp/ready; i=0; while :; do echo n $i; i=$((i+1)); sleep 0.05; done\n"
	files["a/Dockerfile"] = "FROM " + baseImage + "\nCOPY text run.sh /\nCMD [\"sh\", \"/run.sh\"]\n"
	s := open(t, files)
	p := openProxy(t, engineSocket(t))
	p.calm.Store(true)
	rt, err := docker.New(docker.Options{Host: "unix://" + p.path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { rt.Close() })
	s.run(engine.Options{Runtime: rt, NoStats: true})
	s.ready()
	s.line("a", "n 3")
	old := s.identities()["a/1"].ID
	s.write(map[string]string{"a/text": "bad\n"})
	s.line("a", "stdout bad")
	p.cutAll()
	s.touchNew("a", old, "/tmp/end")
	s.until("the failed rebuild", func(n *engine.Snapshot) bool {
		l := find(n, "a").Last
		return l != nil && l.Err != "" && !l.Ended.IsZero()
	})
	n := len(s.everyNumber("a"))
	s.until("more lines", func(*engine.Snapshot) bool { return len(s.everyNumber("a")) > n+100 })
	if got := s.everyNumber("a"); !slices.Equal(got, upTo(len(got))) {
		t.Errorf("of the generation that came back: %s", differences(got, len(got)))
	}
}
