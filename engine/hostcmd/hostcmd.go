// Package hostcmd is the one way to run a program of the project on the host.
// It owns the process group, the splitting of output into lines, and the error
// that says what went wrong, and what a person has agreed to: nothing runs
// before that. It knows no service and no container, and decides nothing. The
// engine's lanes call it for x-bulkhead.prepare and for provider services, and
// so does a verb without a running engine.
package hostcmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"time"
)

// keptTail is how many lines of output an Error has.
const keptTail = 20

// waitDelay is how long to wait for the output to end once the program has:
// what it left running in the background may hold it open.
const waitDelay = 2 * time.Second

// Command is a program to run: a line for the shell, or the program and its
// arguments.
type Command struct {
	Dir   string   // where it runs; empty: the current folder
	Shell string   // for sh -c, or cmd /C on Windows
	Args  []string // used when Shell is empty; the first is the program
	Env   []string // "KEY=value", over the environment of this process
	Terms Terms    // what a person has to have agreed to

	stdin  io.Reader // nil: nothing to read
	stdout io.Writer // nil: it is lines, like stderr
}

// Error is a program that could not be run, or did not succeed.
type Error struct {
	Tail     []string // last 20 lines of output, uncleaned
	Place    string   // the first line of Tail that names a line of a file; "" when none does
	ExitCode int      // -1 when it did not run, or a signal ended it
	Err      error
}

// place finds "file:12:" or "file:12:34:" at the start of a compiler's line.
var place = regexp.MustCompile(`^\S*:\d+(:\d+)?:`)

// Error returns one line: why it ended, and the line of output that names a
// place in a file, or else the last one.
func (e *Error) Error() string {
	text := e.Err.Error()
	switch {
	case e.Place != "":
		return text + ": " + e.Place
	case len(e.Tail) > 0:
		return text + ": " + e.Tail[len(e.Tail)-1]
	}
	return text
}

func (e *Error) Unwrap() error { return e.Err }

// Run runs a program if trust allows its terms, else it returns an
// *UntrustedError, and calls onLine for each line that it prints, stdout and
// stderr together, one call at a time. The end of ctx kills the program with
// all that it started (on Windows, the program alone), and the error is the
// cause of that end. Every other error is an *Error.
func Run(ctx context.Context, trust *Trust, c Command, onLine func(line string)) error {
	if err := trust.Check(c.Terms); err != nil {
		return err
	}
	cmd := command(ctx, c)
	cmd.Dir = c.Dir
	cmd.Env = append(os.Environ(), c.Env...)
	cmd.WaitDelay = waitDelay
	var tail []string
	out := &lines{emit: func(line string) {
		if tail = append(tail, line); len(tail) > keptTail {
			tail = tail[1:]
		}
		onLine(line)
	}}
	// For the same writer exec has one goroutine, which has ended when Run returns.
	cmd.Stdin, cmd.Stdout, cmd.Stderr = c.stdin, out, out
	if c.stdout != nil {
		cmd.Stdout = c.stdout
	}
	err := cmd.Run()
	out.flush()
	if err == nil {
		return nil
	}
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	failed := &Error{Tail: tail, ExitCode: -1, Err: err}
	if i := slices.IndexFunc(tail, place.MatchString); i >= 0 {
		failed.Place = tail[i]
	}
	var notRun *exec.Error
	var exited *exec.ExitError
	switch {
	case errors.As(err, &notRun):
		failed.Err = fmt.Errorf("it cannot be run: %w", err)
	case errors.As(err, &exited):
		failed.ExitCode = exited.ExitCode()
	}
	return failed
}
