package ui

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/term"
	"github.com/muesli/cancelreader"

	"bulkhead/engine"
)

type (
	// shellMsg says which shell a service has.
	shellMsg struct {
		over   *opening // that waits for it
		target target
		cmd    []string
		err    error
	}
	// handedMsg says that Bubble Tea reads no more, so that the shell can.
	handedMsg struct{ shellMsg }
	// backMsg says that the terminal is back without a shell having had it.
	backMsg      struct{}
	shellDoneMsg struct {
		target target
		err    error
	}
)

// shells are tried in this order.
func (c Config) shells() []string {
	if len(c.Shells) > 0 {
		return c.Shells
	}
	return []string{"bash", "sh"}
}

// shellOpener opens a shell in the selected service.
type shellOpener struct {
	e       *env
	sel     *selection
	program *tea.Program // set by Run
}

// receive takes in how far the opening of a shell is.
func (o *shellOpener) receive(msg tea.Msg) (tea.Cmd, bool) {
	switch msg := msg.(type) {
	case shellMsg:
		return o.handOver(msg), true
	case handedMsg:
		return o.startShell(msg.shellMsg), true
	case backMsg:
		return tea.ClearScreen, true
	case shellDoneMsg:
		o.shellDone(msg)
		return nil, true
	}
	return nil, false
}

// open looks for a shell in the selected service, aside, under a layer that keeps what is typed; handOver then goes into it.
func (o *shellOpener) open() tea.Cmd {
	t, tried := o.sel.target, o.e.opts.Config.shells()
	ctx, cancel := context.WithTimeout(o.e.jobs.ctx, 10*time.Second)
	backend := o.e.backend
	over := &opening{e: o.e, target: t, cancel: cancel}
	o.e.over = over
	return o.e.jobs.do("look for a shell", func(context.Context) tea.Msg {
		defer cancel()
		var last error
		for _, sh := range tried {
			var out bytes.Buffer
			code, err := backend.Exec(ctx, t.service, t.replica, engine.ExecOptions{Cmd: []string{sh, "-c", "exit 0"}, Stdout: &out, Stderr: &out})
			if err == nil && code == 0 {
				return shellMsg{over: over, target: t, cmd: []string{sh}}
			}
			if err != nil {
				last = err
			}
		}
		if ctx.Err() != nil {
			return shellMsg{over: over, target: t, err: fmt.Errorf("look for a shell in %s: %w", t, ctx.Err())}
		}
		_ = last // engines word a missing program each in their own way; that none of the shells starts is what counts
		return shellMsg{over: over, target: t, err: fmt.Errorf("%s has no shell (tried %s); use an image that has one, or run a program of its own with bulkhead exec", t, strings.Join(tried, ", "))}
	})
}

// handOver takes the keys from Bubble Tea for the shell that was found, unless the person has given it up.
func (o *shellOpener) handOver(msg shellMsg) tea.Cmd {
	if o.e.over != msg.over {
		return nil
	}
	if msg.err != nil {
		o.e.over = nil
		o.e.status.fail(msg.err.Error())
		return nil
	}
	msg.over.ready = true
	program := o.program
	return o.e.jobs.do("hand the terminal over", func(ctx context.Context) tea.Msg {
		drainInput(ctx, program)
		return handedMsg{msg}
	})
}

// startShell gives the terminal to the shell, and what was typed for it.
func (o *shellOpener) startShell(msg shellMsg) tea.Cmd {
	if o.e.over == msg.over {
		o.e.over = nil
	}
	if msg.over.canceled {
		return tea.Exec(&nothing{}, func(error) tea.Msg { return backMsg{} })
	}
	o.e.status.clear()
	t := msg.target
	env := []string{"TERM=xterm-256color"}
	if v := envOf(o.e.opts.Environ, "TERM"); v != "" && v != "dumb" {
		env[0] = "TERM=" + v
	}
	backend := o.e.backend
	sh := &shell{
		ctx: o.e.jobs.ctx, typed: msg.over.typed.String(), banner: fmt.Sprintf("%s in %s; exit or ctrl+d comes back to bulkhead\r\n", msg.cmd[0], t), size: engine.Size{Width: o.e.w, Height: o.e.h},
		run: func(ctx context.Context, o engine.ExecOptions) (int, error) {
			o.Cmd, o.Env, o.TTY = msg.cmd, env, true
			return backend.Exec(ctx, t.service, t.replica, o)
		},
	}
	return tea.Exec(sh, func(err error) tea.Msg { return shellDoneMsg{target: t, err: err} })
}

func (o *shellOpener) shellDone(msg shellDoneMsg) {
	if msg.err != nil && !errors.Is(msg.err, context.Canceled) {
		o.e.status.fail(fmt.Sprintf("shell in %s: %s", msg.target, oneLine(msg.err.Error())))
		o.e.over = &lostShell{e: o.e, target: msg.target} // who was typing goes on for a moment
		return
	}
	o.e.status.set("back from " + msg.target.String())
}

// shell runs a command on the user's own terminal; it implements tea.ExecCommand. Bubble Tea has released the terminal
// when Run is called and takes it back after.
type shell struct {
	ctx    context.Context
	typed  string // read before what is typed now
	banner string
	size   engine.Size // used where the terminal cannot be asked
	run    func(ctx context.Context, o engine.ExecOptions) (int, error)
	in     io.Reader
	out    io.Writer
}

func (s *shell) SetStdin(r io.Reader)  { s.in = r }
func (s *shell) SetStdout(w io.Writer) { s.out = w }
func (s *shell) SetStderr(io.Writer)   {}

// Run implements tea.ExecCommand. Whatever happens in between, it gives the terminal back as it got it.
func (s *shell) Run() (err error) {
	ctx, cancel := context.WithCancel(s.ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
		}
	}()

	in := s.in
	if f, ok := s.in.(term.File); ok && term.IsTerminal(f.Fd()) {
		old, err := term.MakeRaw(f.Fd())
		if err != nil {
			return fmt.Errorf("set the terminal to raw: %w", err)
		}
		defer term.Restore(f.Fd(), old)
	}
	// A plain read would sit on the terminal after the shell ended and swallow the next key.
	cancelable, err := cancelreader.NewReader(in)
	if err != nil {
		return fmt.Errorf("read the terminal: %w", err)
	}
	reader := &keyboard{reader: cancelable, typed: s.typed}
	defer reader.close()

	resize := make(chan engine.Size, 1)
	resize <- s.terminalSize()
	signals := make(chan os.Signal, 1)
	notifyResize(signals)
	defer signal.Stop(signals)
	wg.Add(1)
	go func() {
		defer wg.Done()
		for {
			select {
			case <-signals:
			case <-ctx.Done():
				return
			}
			size := s.terminalSize()
			select {
			case resize <- size:
			case <-ctx.Done():
				return
			}
		}
	}()

	// The alternate screen, so that what stood in the terminal before bulkhead is there again after it.
	fmt.Fprint(s.out, "\x1b[?1049h\x1b[2J\x1b[H"+s.banner)
	defer fmt.Fprint(s.out, "\x1b[m\x1b[?1049l")
	code, err := s.run(ctx, engine.ExecOptions{Stdin: reader, Stdout: s.out, Stderr: s.out, Resize: resize})
	if err == nil && (code == 126 || code == 127) {
		err = fmt.Errorf("it ended with code %d: the shell does not start", code)
	}
	if err == nil && (code == 128+9 || code == 128+15) { // what a container's end does to a shell in it
		err = fmt.Errorf("it was ended from outside (code %d)", code)
	}
	return err
}

// keyboard is what a shell reads from. Its end waits for the read that is under way: one that outlived it would take the next keys that
// are typed, and nobody would get them.
type keyboard struct {
	mu     sync.Mutex // held while reading
	reader cancelreader.CancelReader
	typed  string // comes first
	closed bool
}

func (k *keyboard) Read(p []byte) (int, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed {
		return 0, io.EOF
	}
	if k.typed != "" {
		n := copy(p, k.typed)
		k.typed = k.typed[n:]
		return n, nil
	}
	return k.reader.Read(p)
}

func (k *keyboard) close() {
	if !k.reader.Cancel() {
		return // not a terminal or a pipe: reads end by themselves, and nothing is shared
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.closed = true
	k.reader.Close() // only its own descriptors; the terminal stays open
}

// terminalSize asks the terminal.
func (s *shell) terminalSize() engine.Size {
	if f, ok := s.out.(term.File); ok {
		if w, h, err := term.GetSize(f.Fd()); err == nil && w > 0 && h > 0 {
			return engine.Size{Width: w, Height: h}
		}
	}
	return s.size
}
