package cli

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/charmbracelet/x/term"
)

// await returns the exit code of a verb that runs, or, some time after a signal, that of one that
// does not end: a call of the engine, a disk or a reader of our output may hang where no context
// reaches.
func (a *app) await(done <-chan int) int {
	select {
	case code := <-done:
		return code
	case <-a.interrupts.first:
	}
	notice := time.NewTimer(signalPause)
	defer notice.Stop()
	for {
		select {
		case code := <-done:
			return code
		case <-notice.C:
			if !a.interrupts.held() { // work that holds the program prints its own notice
				a.interrupts.acknowledge()
				a.console.notify(
					fmt.Sprintf("interrupted; what is under way has %d s to end, ctrl+c again ends at once", int(exitGrace.Seconds())))
			}
		case <-a.interrupts.overdue:
			return a.leave(done)
		}
	}
}

// leave ends the program without its verb.
func (a *app) leave(done <-chan int) int {
	a.terminal.restore()
	a.mu.Lock()
	err := a.verdict
	a.mu.Unlock()
	if err == nil {
		err = errors.New("interrupted; what was under way did not end and is left behind")
	}
	code, text := exitCode(err)
	// A reader that is stuck on stdout may be stuck on stderr too.
	printed := background("print", func() error {
		if text != "" {
			a.console.printError(text)
		}
		return nil
	})
	select {
	case code := <-done:
		return code // it has ended after all
	case <-printed:
	case <-time.After(time.Second):
	}
	return code
}

// setVerdict keeps what a verb has come to, for when it is stuck in what is left to do.
func (a *app) setVerdict(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.verdict = err
}

// terminalState is how a terminal was when the program began.
type terminalState struct {
	out   io.Writer
	fd    uintptr
	state *term.State // nil without a terminal
}

func (t *terminalState) remember(in io.Reader, out io.Writer) {
	fd, ok := terminal(in)
	if !ok {
		return
	}
	if state, err := term.GetState(fd); err == nil {
		t.out, t.fd, t.state = out, fd, state
	}
}

// screenOff leaves the alternate screen, shows the cursor, and switches off the mouse, focus
// reports, bracketed paste, and the ways of reporting keys that a screen asks for.
const screenOff = "\x1b[?1049l\x1b[?25h\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?1004l\x1b[?2004l\x1b[<u\x1b[>4m\x1b[m"

// restore makes the terminal what it was, for when the one that changed it is stuck. Where nothing
// was changed it does nothing.
func (t *terminalState) restore() {
	if t.state == nil {
		return
	}
	now, err := term.GetState(t.fd)
	if err != nil || *now == *t.state {
		return
	}
	_ = term.Restore(t.fd, t.state) // there is nothing else to try
	if _, ok := terminal(t.out); ok {
		done := background("switch the screen off", func() error {
			_, err := io.WriteString(t.out, screenOff)
			return err
		})
		select {
		case <-done: // likewise
		case <-time.After(time.Second): // it is stopped, as by ctrl+s
		}
	}
}
