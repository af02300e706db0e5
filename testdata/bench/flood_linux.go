package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/charmbracelet/x/vt"
)

const (
	floodServices  = 10
	floodPerSecond = 10_000 // of each
	floodSeconds   = 10
	floodPace      = 97 * time.Millisecond // between two keys: a person's, at ever other moments of a frame
)

// flood measures a key's way to the screen while ten containers write 100,000 lines a second
// together, against the same at rest, and the CPU time that it takes to read all of them, against
// that of `docker compose logs -f`.
func (b *bench) flood() error { return b.onFlood(floodPerSecond, b.floodScreen) }

func (b *bench) floodScreen(p *project) error {
	s, err := p.screen()
	if err != nil {
		return err
	}
	defer s.close()
	rest, err := s.answers(50)
	if err != nil {
		return err
	}
	before, err := cpuOf(s.c.Process.Pid)
	if err != nil {
		return err
	}
	if err := p.signalAll("SIGUSR1"); err != nil {
		return err
	}
	under, err := s.answers(int(floodSeconds * time.Second / floodPace))
	if err != nil {
		return err
	}
	if err := s.until("the last line", func() bool {
		return strings.Contains(s.text(), fmt.Sprintf("%08d", floodPerSecond*floodSeconds-1))
	}); err != nil {
		return err
	}
	settle(b, time.Second) // for the lines of the others
	after, err := cpuOf(s.c.Process.Pid)
	if err != nil {
		return err
	}
	fmt.Printf(rowForm, "flood, 100,000 lines/s: key -> screen; at rest", under, rest, "",
		fmt.Sprintf("%.2f", under.median()/rest.median()), "")
	var ours, theirs samples
	ours.add(after - before)
	if len(b.tools) > 1 {
		used, err := p.logsCPU(b.tools[1], floodPerSecond)
		if err != nil {
			return err
		}
		theirs.add(used)
	}
	b.table.row("  CPU time for all lines; compose logs -f", ours, theirs, 1)
	return nil
}

// newFlood lays out containers that wait for a signal to write.
func (b *bench) newFlood(perSecond int) (*project, error) {
	program := filepath.Join(b.dir, "flood")
	c := exec.CommandContext(b.ctx, "go", "build", "-o", program, "./testdata/flood")
	c.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := c.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("go build ./testdata/flood: %w\n%s", err, out)
	}
	binary, err := os.ReadFile(program)
	if err != nil {
		return nil, err
	}
	p, err := b.newProject(b.tools[0], 1, map[string]string{"flood": string(binary),
		".dockerignore": "*\n!flood\n"})
	if err != nil {
		return nil, err
	}
	var file strings.Builder
	file.WriteString("services:\n")
	for i := range floodServices {
		fmt.Fprintf(&file,
			"  s%d:\n    image: %s\n    network_mode: none\n    command: [/flood, \"%d\", \"%d\"]\n",
			i, p.floodImage(), perSecond, floodSeconds)
		if i == 0 {
			file.WriteString(
				"    build: {context: ., dockerfile_inline: \"FROM scratch\\nCOPY flood /flood\\n\"}\n")
		}
	}
	return p, p.write("compose.yaml", []byte(file.String()))
}

func (p *project) floodImage() string { return p.name + "-flood" }

// signalAll sends a signal to every container of the project.
func (p *project) signalAll(signal string) error {
	var wg sync.WaitGroup
	errs := make([]error, floodServices)
	for i := range floodServices {
		id, err := p.b.engine.container(p.name, fmt.Sprintf("s%d", i))
		if err != nil {
			return err
		}
		wg.Go(func() { errs[i] = p.b.engine.do(http.MethodPost, "/containers/"+id+"/kill?signal="+signal) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// screen is bulkhead on a terminal of 200x50.
type screen struct {
	c      *exec.Cmd
	master *os.File
	emu    *vt.Emulator
	over   chan struct{}
	seen   chan struct{} // holds a token when something was drawn
	mu     sync.Mutex
}

// screen opens one on a project that runs, and waits until its services are seen.
func (p *project) screen() (*screen, error) {
	master, slave, err := openPTY(200, 50)
	if err != nil {
		return nil, err
	}
	s := &screen{c: p.cmd("up", "--no-watch"), master: master, emu: vt.NewEmulator(200, 50),
		over: make(chan struct{}), seen: make(chan struct{}, 1)}
	s.c.Env = append(os.Environ(), "TERM=xterm-256color")
	s.c.Stdin, s.c.Stdout, s.c.Stderr = slave, slave, slave
	s.c.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	err = s.c.Start()
	slave.Close()
	if err != nil {
		master.Close()
		return nil, err
	}
	go func() { _, _ = io.Copy(master, s.emu) }() // what a terminal answers; it ends with the emulator
	go func() {
		defer close(s.over)
		buf := make([]byte, 64<<10)
		for {
			n, err := master.Read(buf)
			s.mu.Lock()
			_, _ = s.emu.Write(buf[:n]) // it takes everything
			s.mu.Unlock()
			select {
			case s.seen <- struct{}{}:
			default:
			}
			if err != nil {
				_ = s.c.Wait() // it was killed
				return
			}
		}
	}()
	if err := s.until("the services", func() bool {
		return s.selected(0) && strings.Contains(s.text(), fmt.Sprintf("%d up", floodServices))
	}); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *screen) close() {
	_ = s.c.Process.Kill() // the containers stay
	<-s.over
	s.emu.Close()
	s.master.Close()
}

// text is what the screen shows; callers hold mu.
func (s *screen) text() string {
	var b strings.Builder
	for y := range s.emu.Height() {
		for x := range s.emu.Width() {
			if c := s.emu.CellAt(x, y); c != nil && c.Content != "" {
				b.WriteString(c.Content)
			}
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// selected tells whether the cursor is on a service; callers hold mu.
func (s *screen) selected(service int) bool {
	c := s.emu.CellAt(1, 3+service)
	return c != nil && c.Content == ">"
}

// until waits for something on the screen.
func (s *screen) until(what string, ok func() bool) error {
	limit := time.After(time.Minute)
	for {
		s.mu.Lock()
		done, text := ok(), ""
		if !done {
			text = s.text()
		}
		s.mu.Unlock()
		if done {
			return nil
		}
		select {
		case <-s.seen:
		case <-s.over:
			return fmt.Errorf("the screen ended before %s:\n%s", what, text)
		case <-limit:
			return fmt.Errorf("wait for %s: %w\n%s", what, errLate, text)
		}
	}
}

// answers moves the selection down and up, and returns the times from a key to its effect.
func (s *screen) answers(keys int) (out samples, err error) {
	for i := range keys {
		key := "jk"[i%2 : i%2+1]
		pressed := time.Now()
		if _, err := s.master.WriteString(key); err != nil {
			return nil, err
		}
		if err := s.until("the effect of a key", func() bool { return s.selected(1 - i%2) }); err != nil {
			return nil, err
		}
		took := time.Since(pressed)
		out.add(took)
		time.Sleep(max(0, floodPace-took))
	}
	return out, nil
}

// logsCPU returns the CPU time that `logs -f` of a tool takes to print the same lines into a pipe.
func (p *project) logsCPU(t tool, perSecond int) (time.Duration, error) {
	if _, err := p.run("restart"); err != nil { // they say "ready" again
		return 0, err
	}
	c := exec.CommandContext(p.b.ctx, t.command[0],
		append(append(t.command[1:len(t.command):len(t.command)], "-p", p.name), "logs", "-f",
			"--tail", "1")...)
	c.Dir = p.dir
	out, err := c.StdoutPipe()
	if err != nil {
		return 0, err
	}
	if err := c.Start(); err != nil {
		return 0, err
	}
	defer func() {
		_ = c.Process.Signal(syscall.SIGINT) // it follows for ever
		_ = c.Wait()
	}()
	lines := bufio.NewReaderSize(out, 1<<20)
	next := func(n int) error {
		for range n {
			if _, err := lines.ReadSlice('\n'); err != nil {
				return fmt.Errorf("%s logs: %w", t.name, err)
			}
		}
		return nil
	}
	if err := next(floodServices); err != nil {
		return 0, err
	}
	before, err := cpuOf(c.Process.Pid)
	if err == nil {
		err = p.signalAll("SIGUSR1")
	}
	if err == nil {
		err = next(floodServices * perSecond * floodSeconds)
	}
	if err != nil {
		return 0, err
	}
	after, err := cpuOf(c.Process.Pid)
	return after - before, err
}

// follow measures the CPU time of `logs -f` while ten containers write together.
func (b *bench) follow() error {
	for _, rate := range []struct {
		all  int // lines a second, of all together
		most float64
	}{{10_000, 0.70}, {100_000, 0.40}} {
		var used [2]samples
		err := b.onFlood(rate.all/floodServices, func(p *project) error {
			for range max(b.rounds/5, 1) {
				for i, t := range b.tools {
					cpu, err := p.logsCPU(t, rate.all/floodServices)
					if err != nil {
						return err
					}
					used[i].add(cpu)
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		b.table.row(fmt.Sprintf("logs -f, %d lines/s for 10 s: CPU time", rate.all), used[0], used[1],
			rate.most)
	}
	return nil
}

// onFlood runs f on a project whose containers wait for a signal to write.
func (b *bench) onFlood(perSecond int, f func(p *project) error) error {
	p, err := b.newFlood(perSecond)
	if err != nil {
		return err
	}
	defer b.engine.removeImage(p.floodImage())
	defer p.remove()
	if _, err := p.run("up", "-d"); err != nil {
		return err
	}
	return f(p)
}

// cpuOf is the CPU time that a process and its children have used.
func cpuOf(pid int) (time.Duration, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	var ticks int
	for _, i := range []int{11, 12} { // utime, stime
		n, err := strconv.Atoi(fields[i])
		if err != nil {
			return 0, err
		}
		ticks += n
	}
	used := time.Duration(ticks) * time.Second / 100 // USER_HZ is 100 on all that Go runs on
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, file := range tasks {
		children, _ := os.ReadFile(file) // the thread may be gone
		for _, child := range strings.Fields(string(children)) {
			n, err := strconv.Atoi(child)
			if err != nil {
				return 0, err
			}
			more, err := cpuOf(n)
			if err != nil {
				return 0, err
			}
			used += more
		}
	}
	return used, nil
}
