//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

// roles are what the program does in a container.
var roles = map[string]func(){
	"rest": func() { time.Sleep(1 << 62) },
	"crash": func() {
		fmt.Println("about to crash")
		time.Sleep(500 * time.Millisecond)
		panic("as it was to be")
	},
	"flood": func() {
		line := bytes.Repeat([]byte("x"), 99)
		for n := 1; ; n++ { // 25,000 lines a second; four of them write 100,000
			os.Stdout.Write(append(line, '\n'))
			if n%250 == 0 {
				time.Sleep(10 * time.Millisecond)
			}
			if n%500_000 == 0 { // an engine that cannot keep up has some time to hand the lines out
				time.Sleep(time.Minute)
			}
		}
	},
	"large": func() { // a line of 200 MB, and then some rest
		part := bytes.Repeat([]byte("y"), 1<<20)
		for {
			for range 200 {
				os.Stdout.Write(part)
			}
			fmt.Println()
			time.Sleep(2 * time.Minute)
		}
	},
}

// head keeps the first bytes of the output.
type head struct {
	f    io.Writer
	left int
}

func (h *head) Write(p []byte) (int, error) {
	n := min(len(p), h.left)
	h.left -= n
	if n > 0 {
		_, _ = h.f.Write(p[:n]) // it is only for whoever looks what went wrong
	}
	return len(p), nil
}

// figures are what a process holds.
type figures struct {
	resident     int // kB
	files, tasks int
	cpu          float64 // of one core, in percent
}

func (f figures) String() string {
	return fmt.Sprintf("%d MB resident, %d file handles, %d threads, %.1f %% of a core",
		f.resident>>10, f.files, f.tasks, f.cpu)
}

// grewFrom is an error where the end holds clearly more than the beginning: the rings of the log
// store are full by then, which is theirs to be.
func (f figures) grewFrom(b figures) error {
	var errs []error
	if f.resident > 2*b.resident+256<<10 {
		errs = append(errs, fmt.Errorf("memory grew from %d to %d MB", b.resident>>10, f.resident>>10))
	}
	if f.files > b.files+16 {
		errs = append(errs, fmt.Errorf("file handles grew from %d to %d", b.files, f.files))
	}
	if f.tasks > b.tasks+16 {
		errs = append(errs, fmt.Errorf("threads grew from %d to %d", b.tasks, f.tasks))
	}
	if !f.calm(b) {
		errs = append(errs, fmt.Errorf("CPU at rest grew from %.1f %% to %.1f %%", b.cpu, f.cpu))
	}
	return errors.Join(errs...)
}

// calm says that no more CPU is used than before, give or take a little.
func (f figures) calm(before figures) bool { return f.cpu <= 2*before.cpu+2 }

func measure(pid int, pause func() error) (f figures, err error) {
	ticks, began := cpuTicks(pid), time.Now()
	if err := pause(); err != nil {
		return f, err
	}
	f.cpu = float64(cpuTicks(pid)-ticks) / time.Since(began).Seconds() // a tick is a hundredth of a second
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return f, err
	}
	for line := range strings.Lines(string(status)) {
		key, value, _ := strings.Cut(line, ":")
		n, _ := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(value), " kB")) // of others it means nothing
		switch key {
		case "VmRSS":
			f.resident = n
		case "Threads":
			f.tasks = n
		}
	}
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	f.files = len(files)
	return f, err
}

// cpuTicks is the time that a process has used; 0 where it is gone, which who waits for it says.
func cpuTicks(pid int) int {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return user + system
}

// proxy stands between bulkhead and the engine, which it can make go away.
type proxy struct {
	l    net.Listener
	real string

	mu    sync.Mutex
	gone  bool
	conns map[net.Conn]bool
}

func newProxy(path string) (*proxy, error) {
	p := &proxy{real: "/var/run/docker.sock", conns: map[net.Conn]bool{}}
	if host := os.Getenv("DOCKER_HOST"); host != "" {
		var ok bool
		if p.real, ok = strings.CutPrefix(host, "unix://"); !ok {
			return nil, fmt.Errorf("DOCKER_HOST=%s: the soak needs a local engine", host)
		}
	}
	var err error
	if p.l, err = net.Listen("unix", path); err != nil {
		return nil, err
	}
	go func() {
		for {
			c, err := p.l.Accept()
			if err != nil {
				return
			}
			go p.serve(c)
		}
	}()
	return p, nil
}

// cut ends all connections and takes no more, or takes some again.
func (p *proxy) cut(gone bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.gone = gone
	for c := range p.conns {
		if gone {
			c.Close()
		}
	}
}

func (p *proxy) keep(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gone {
		return false
	}
	p.conns[c] = true
	return true
}

func (p *proxy) serve(c net.Conn) {
	up, err := net.Dial("unix", p.real)
	if err != nil || !p.keep(c) {
		c.Close()
		if err == nil {
			up.Close()
		}
		return
	}
	var wg sync.WaitGroup
	pump := func(to, from net.Conn) {
		_, _ = io.Copy(to, from)
		_ = to.(*net.UnixConn).CloseWrite() // half closed connections are how a stream's input ends
	}
	wg.Go(func() { pump(up, c) })
	pump(c, up)
	c.Close()
	wg.Wait()
	up.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, c)
}
