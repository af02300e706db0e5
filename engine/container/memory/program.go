package memory

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"bulkhead/engine/container"
)

// Program is what a container or an exec runs.
type Program struct {
	// Handles are the signals that it reacts to: "TERM". As with any first process
	// of a container, the others have no effect on it, but for KILL.
	Handles []string
	// Run returns the exit code. It must return soon after p.Killed is closed; its
	// code does not count then.
	Run func(p *Process) int
}

// Process is a program that runs.
type Process struct {
	Args    []string // with the program's name
	Env     []string
	Stdin   io.Reader     // never nil
	Signals <-chan string // those that the program handles: "TERM"
	// closed by SIGKILL, by an engine that closes, and for an exec by the end of its container
	Killed <-chan struct{}

	e       *engine
	box     *box
	life    *life
	out     func(stream container.Stream, text string)
	outcome *outcome
}

// outcome is how a program says that it ended in another way than with its exit
// code.
type outcome struct{ oom bool }

// Print writes a line to stdout.
func (p *Process) Print(format string, args ...any) {
	p.out(container.Stdout, fmt.Sprintf(format, args...)+"\n")
}

// Complain writes a line to stderr.
func (p *Process) Complain(format string, args ...any) {
	p.out(container.Stderr, fmt.Sprintf(format, args...)+"\n")
}

// Write writes text to stdout as it is: a line that has no end stays open until the
// next one, or the end.
func (p *Process) Write(text string) { p.out(container.Stdout, text) }

// Sleep waits for d. It is false when the process was killed meanwhile.
func (p *Process) Sleep(d time.Duration) bool {
	return p.e.pause(context.Background(), d, p.Killed)
}

// Wait waits for a signal that the program handles. It is "KILL" when the process
// is to end at once.
func (p *Process) Wait() string {
	select {
	case s := <-p.Signals:
		return s
	case <-p.Killed:
	case <-p.e.closed:
	}
	return "KILL"
}

// OutOfMemory returns what a program returns that the kernel killed for want of
// memory.
func (p *Process) OutOfMemory() int {
	p.outcome.oom = true
	return 128 + 9
}

// Name is the name of the process's container, which may have been renamed.
func (p *Process) Name() string {
	p.e.mu.Lock()
	defer p.e.mu.Unlock()
	return p.box.in.Name
}

// ReadFile reads a file of the container. ok is false when there is none.
func (p *Process) ReadFile(path string) (text string, ok bool) {
	p.e.mu.Lock()
	defer p.e.mu.Unlock()
	n := p.e.files(p.box).reachable(path, true)
	if n == nil || !n.mode.IsRegular() {
		return "", false
	}
	return string(n.data), true
}

// WriteFile makes a file of the container, and the folders above it.
func (p *Process) WriteFile(path, text string) {
	p.e.mu.Lock()
	defer p.e.mu.Unlock()
	f := p.e.files(p.box)
	if at := f.resolve(path, true); at != "" {
		f.set(at, &node{mode: 0o644, data: []byte(text)})
	}
}

// Listen answers on a port of the container until the process ends. Each connection
// is one end of a pipe.
func (p *Process) Listen(port int) <-chan net.Conn {
	p.e.mu.Lock()
	defer p.e.mu.Unlock()
	ch := make(chan net.Conn)
	p.life.ports[port] = ch
	return ch
}

// Builtins are the programs of a new engine. Those that run until they are ended:
// "loop" says hello and ends with 0 at TERM, "sleep N" ends after N seconds and
// knows no signal. The others serve execs and hooks: echo, cat, touch, cp, test -f,
// true, false, and sh -c TEXT, which runs the program that is registered under TEXT
// as a whole, or splits a single command at its blanks.
func Builtins() map[string]Program {
	all := map[string]Program{
		"loop": {Handles: []string{"TERM"}, Run: func(p *Process) int {
			p.Print("hello")
			p.Wait()
			return 0
		}},
		"sleep": {Run: runSleep},
		"true":  {Run: func(*Process) int { return 0 }},
		"false": {Run: func(*Process) int { return 1 }},
		"echo":  {Run: func(p *Process) int { p.Print("%s", strings.Join(p.Args[1:], " ")); return 0 }},
		"cat":   {Run: runCat},
		"touch": {Run: runTouch},
		"cp":    {Run: runCopy},
		"test":  {Run: runTest},
		"sh":    {Run: runShell},
	}
	return all
}

func runSleep(p *Process) int {
	d := time.Duration(1<<63 - 1)
	if len(p.Args) > 1 {
		if n, err := time.ParseDuration(p.Args[1] + "s"); err == nil {
			d = n
		}
	}
	p.Sleep(d)
	return 0
}

func runCat(p *Process) (code int) {
	for _, name := range p.Args[1:] {
		text, ok := p.ReadFile(name)
		if !ok {
			p.Complain("cat: can't open '%s': No such file or directory", name)
			code = 1
		}
		p.Write(text)
	}
	return code
}

func runTouch(p *Process) int {
	for _, name := range p.Args[1:] {
		text, _ := p.ReadFile(name)
		p.WriteFile(name, text)
	}
	return 0
}

func runCopy(p *Process) int {
	if len(p.Args) != 3 {
		return 2
	}
	text, ok := p.ReadFile(p.Args[1])
	if !ok {
		return 1
	}
	p.WriteFile(p.Args[2], text)
	return 0
}

func runTest(p *Process) int {
	if len(p.Args) != 3 || p.Args[1] != "-f" {
		return 2
	}
	if _, ok := p.ReadFile(p.Args[2]); !ok {
		return 1
	}
	return 0
}

func runShell(p *Process) int {
	if len(p.Args) != 3 || p.Args[1] != "-c" {
		return 2
	}
	p.e.mu.Lock()
	prog, ok := p.e.programs[p.Args[2]]
	args := []string{p.Args[2]}
	if !ok {
		args = strings.Fields(p.Args[2])
		prog, ok = p.e.program(args)
	}
	p.e.mu.Unlock()
	if !ok {
		p.Complain("sh: %s: not found", p.Args[2])
		return 127
	}
	inner := *p
	inner.Args = args
	return prog.Run(&inner)
}

// program finds the program of a command. Callers hold mu.
func (e *engine) program(command []string) (Program, bool) {
	if len(command) == 0 {
		return Program{}, false
	}
	p, ok := e.programs[command[0]]
	if !ok { // "/bin/sh" is sh
		p, ok = e.programs[command[0][strings.LastIndexByte(command[0], '/')+1:]]
	}
	return p, ok
}
