package ui

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/term"
	"github.com/muesli/cancelreader"

	"bulkhead/engine"
	"bulkhead/engine/container"
)

type (
	// shellMsg says which shell a service has.
	shellMsg struct {
		over   *opening // that waits for it
		target target
		cmd    []string
		err    error
	}
	// drainedMsg comes after every key that the screen read before the terminal was released.
	drainedMsg struct {
		over     *opening
		canceled chan<- bool // of capacity one
	}
	// returnedMsg says that the terminal is the screen's again.
	returnedMsg struct {
		over *opening
		msg  tea.Msg // shellDoneMsg, or of what went wrong
	}
	// shellDoneMsg is the end of a shell.
	shellDoneMsg struct {
		target   target
		err      error
		canceled bool // no shell had the terminal
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
	program terminalHolder // set by Run

	lent   bool               // the terminal is the shell's, or on its way to it or back
	cancel context.CancelFunc // ends the shell; valid while lent
	after  tea.Cmd            // what is to be done once the terminal is back
	ended  atomic.Bool        // the program has ended: nobody may touch the terminal any more
}

// terminalHolder is what a *tea.Program does with the terminal.
type terminalHolder interface {
	ReleaseTerminal() error
	RestoreTerminal() error
	Send(tea.Msg)
}

// receive takes in how far the opening of a shell is.
func (o *shellOpener) receive(msg tea.Msg) (tea.Cmd, bool) {
	switch msg := msg.(type) {
	case shellMsg:
		return o.handOver(msg), true
	case drainedMsg:
		msg.canceled <- msg.over.canceled
		return nil, true
	case returnedMsg:
		return o.returned(msg), true
	}
	return nil, false
}

// whenBack does something now, or when the terminal is the screen's again. A shell that has it is ended for that.
func (o *shellOpener) whenBack(cmd tea.Cmd) tea.Cmd {
	if !o.lent {
		return cmd
	}
	o.after = cmd
	o.cancel()
	return nil
}

// open looks for a shell in the selected service in the background, under an overlay that keeps
// what is typed; handOver then goes into it.
func (o *shellOpener) open() tea.Cmd {
	t, tried := o.sel.target, o.e.opts.Config.shells()
	ctx, cancel := context.WithTimeout(o.e.jobs.ctx, 10*time.Second)
	backend := o.e.backend
	over := &opening{e: o.e, target: t, cancel: cancel, keys: &keyboard{}}
	o.e.over = over
	return o.e.jobs.do("find a shell", func(context.Context) tea.Msg {
		defer cancel()
		var last error
		for _, sh := range tried {
			code, err := backend.Exec(ctx, t.service, t.replica,
				engine.ExecOptions{Cmd: []string{sh, "-c", "exit 0"}, Stdout: io.Discard, Stderr: io.Discard})
			if err == nil && code == 0 {
				return shellMsg{over: over, target: t, cmd: []string{sh}}
			}
			if err != nil {
				last = err
			}
		}
		if ctx.Err() != nil {
			return shellMsg{over: over, target: t, err: fmt.Errorf("find a shell in %s: %w", t, ctx.Err())}
		}
		// engines word a missing program each in their own way; that none of the shells starts is
		// what counts
		_ = last
		return shellMsg{over: over, target: t,
			err: fmt.Errorf(
				"%s has no shell (tried %s); use an image that has one, or run a program of its own with bulkhead exec", t, strings.Join(tried, ", "))}
	})
}

// handOver lends the terminal to the shell that was found, unless the person has canceled it.
func (o *shellOpener) handOver(msg shellMsg) tea.Cmd {
	if o.e.over != msg.over {
		return nil
	}
	if msg.err != nil {
		o.e.over = nil
		o.e.status.fail(msg.err.Error())
		return nil
	}
	o.e.status.clear()
	msg.over.ready = true
	ctx, cancel := context.WithCancel(o.e.jobs.ctx)
	o.lent, o.cancel = true, cancel
	sh := o.shellOf(ctx, msg)
	lend := o.e.jobs.do("shell", func(context.Context) tea.Msg { return o.lend(sh, msg) })
	return func() tea.Msg {
		defer cancel()
		return returnedMsg{over: msg.over, msg: lend()}
	}
}

// shellOf is the shell that was found.
func (o *shellOpener) shellOf(ctx context.Context, msg shellMsg) *shell {
	t, backend := msg.target, o.e.backend
	env := []string{"TERM=xterm-256color"}
	if v := envOf(o.e.opts.Environ, "TERM"); v != "" && v != "dumb" {
		env[0] = "TERM=" + v
	}
	return &shell{
		ctx: ctx, keys: msg.over.keys, in: o.e.opts.Stdin, out: o.e.opts.Stdout,
		size:   engine.Size{Width: o.e.w, Height: o.e.h},
		banner: fmt.Sprintf("%s in %s; exit or ctrl+d comes back to bulkhead\r\n", msg.cmd[0], t),
		run: func(ctx context.Context, opts engine.ExecOptions) (int, error) {
			opts.Cmd, opts.Env, opts.TTY = msg.cmd, env, true
			return backend.Exec(ctx, t.service, t.replica, opts)
		},
	}
}

// lend runs a shell on the terminal. It must not run in the event loop, which goes on meanwhile: it
// takes the keys that were read before the terminal was released. Those are the shell's, too, and
// it reads nothing before it has them.
func (o *shellOpener) lend(sh *shell, msg shellMsg) tea.Msg {
	done := shellDoneMsg{target: msg.target}
	done.err = o.release(sh.ctx)
	if done.err == nil {
		done.err = sh.Run(func() bool {
			canceled := make(chan bool, 1)
			o.program.Send(drainedMsg{over: msg.over, canceled: canceled})
			select {
			case done.canceled = <-canceled:
			case <-sh.ctx.Done():
				done.canceled = true
			}
			return !done.canceled
		})
	}
	if o.ended.Load() {
		return done
	}
	if err := o.program.RestoreTerminal(); done.err == nil {
		done.err = err
	}
	return done
}

// unread is below what a release takes that gave up waiting until the keys that were read are taken
// (it does after 500 ms).
const unread = 250 * time.Millisecond

// release takes the terminal from the screen once all keys that it read are on their way to Update,
// however long Update takes for them. That a release gave up shows in its time only. The next one
// goes on waiting, and changes nothing more.
func (o *shellOpener) release(ctx context.Context) error {
	for {
		began := time.Now()
		if err := o.program.ReleaseTerminal(); err != nil || time.Since(began) < unread || ctx.Err() != nil {
			return err
		}
	}
}

// returned takes the terminal back.
func (o *shellOpener) returned(msg returnedMsg) tea.Cmd {
	o.lent = false
	if o.e.over == msg.over {
		o.e.over = nil
	}
	if o.after != nil {
		return o.after
	}
	if done, ok := msg.msg.(shellDoneMsg); ok {
		o.shellDone(done)
		return nil
	}
	return func() tea.Msg { return msg.msg } // of what went wrong
}

// shellDone says how a shell ended.
func (o *shellOpener) shellDone(msg shellDoneMsg) {
	if msg.err != nil && !errors.Is(msg.err, context.Canceled) {
		o.e.status.fail(fmt.Sprintf("shell in %s: %s", msg.target, oneLine(msg.err.Error())))
		o.e.over = &lostShell{e: o.e, target: msg.target} // who was typing goes on for a moment
		return
	}
	if !msg.canceled {
		o.e.status.set("back from " + msg.target.String())
	}
}

// shell runs a command on the user's own terminal.
type shell struct {
	ctx    context.Context
	keys   *keyboard
	banner string
	size   engine.Size // used where the terminal cannot be asked
	run    func(ctx context.Context, o engine.ExecOptions) (int, error)
	in     io.Reader
	out    io.Writer
}

// Run runs it once ready says yes, which is asked when the terminal passes on every key as it is.
// Whatever happens in between, the terminal is as before in the end.
func (s *shell) Run(ready func() bool) (err error) {
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
	if !ready() {
		return nil
	}
	// A plain read would sit on the terminal after the shell ended and swallow the next key.
	cancelable, err := cancelreader.NewReader(in)
	if err != nil {
		return fmt.Errorf("read the terminal: %w", err)
	}
	reader := s.keys
	reader.open(cancelable)
	defer reader.close()

	resize := make(chan engine.Size, 1)
	resize <- s.terminalSize()
	signals := make(chan os.Signal, 1)
	notifyResize(signals)
	defer signal.Stop(signals)
	wg.Add(1)
	go func() {
		defer wg.Done()
		s.passSizes(ctx, signals, resize)
	}()

	// The alternate screen, so that what stood in the terminal before bulkhead is there again after it.
	fmt.Fprint(s.out, "\x1b[?1049h\x1b[2J\x1b[H"+s.banner)
	defer fmt.Fprint(s.out, "\x1b[m\x1b[?1049l")
	code, err := s.run(ctx, engine.ExecOptions{Stdin: reader, Stdout: s.out, Stderr: s.out, Resize: resize})
	if errors.Is(err, container.ErrDetached) {
		return nil // by docker's keys: the shell runs on
	}
	if err != nil {
		return err
	}
	switch code {
	case 126, 127:
		return fmt.Errorf("it ended with code %d: the shell does not start", code)
	case 128 + 9, 128 + 15: // what a container's end does to a shell in it
		return fmt.Errorf("it was ended from outside (code %d)", code)
	}
	return nil
}

// passSizes sends the terminal's size to resize after every signal, until ctx ends.
func (s *shell) passSizes(ctx context.Context, signals <-chan os.Signal, resize chan<- engine.Size) {
	for {
		select {
		case <-signals:
		case <-ctx.Done():
			return
		}
		select {
		case resize <- s.terminalSize():
		case <-ctx.Done():
			return
		}
	}
}

// keyboard is what a shell reads from: keys that others took for it, then the terminal. Its end
// waits for the read that is under way: one that outlived it would take the next keys that are
// typed, and nobody would get them.
type keyboard struct {
	mu     sync.Mutex // held while reading
	reader cancelreader.CancelReader
	closed bool

	fedMu sync.Mutex
	fed   string // comes first
}

// feed has the shell read a text next.
func (k *keyboard) feed(text string) {
	k.fedMu.Lock()
	defer k.fedMu.Unlock()
	k.fed += text
}

// readFed reads what was fed, if there is any.
func (k *keyboard) readFed(p []byte) int {
	k.fedMu.Lock()
	defer k.fedMu.Unlock()
	n := copy(p, k.fed)
	k.fed = k.fed[n:]
	return n
}

func (k *keyboard) open(r cancelreader.CancelReader) { k.reader = r }

func (k *keyboard) Read(p []byte) (int, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed {
		return 0, io.EOF
	}
	if n := k.readFed(p); n > 0 {
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
