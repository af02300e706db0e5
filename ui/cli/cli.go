// Package cli is bulkhead without a screen: its verbs, their flags, and the printers of text and JSON. It knows no
// container engine and no screen; main hands both in.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"strconv"
	"sync"
	"syscall"

	"github.com/spf13/pflag"

	"bulkhead/engine"
	"bulkhead/engine/container"
	"bulkhead/engine/project"
)

// Exit codes, which scripts rely on.
const (
	exitDone     = 0
	exitFailed   = 1 // something did not work
	exitUsage    = 2 // wrong usage, or a Compose file that does not load
	exitNoEngine = 3 // no engine answers
)

// Parts is what main builds the verbs from. All fields but Keys and LogSize are required.
type Parts struct {
	Stdin  io.Reader
	Stdout io.Writer
	Stderr io.Writer
	// Environ is the environment as "KEY=value".
	Environ []string
	// Compose starts verbs in docker compose's own mode: a program that was called docker-compose.
	Compose bool
	// Runtimes are the kinds that Connect opens, the one that is used unless another is named first; none: docker.
	Runtimes []string
	// Connect opens the runtime. It is called once at most, by verbs that need one.
	Connect Connector
	// Screen shows an engine until the user leaves, or until ctx ends (then with EndLeave), and restores
	// the terminal.
	Screen func(ctx context.Context, e *engine.Engine, version string) (engine.Ending, error)
	// Tour is Screen with a tour of the shop; nil: there is none.
	Tour func(ctx context.Context, e *engine.Engine, version string) (engine.Ending, error)
	// Keys prints the key map in the form of the config file.
	Keys func() (string, error)
	// LogSize is the person's setting of what to keep of each service's log, as "16MiB"; "" and a
	// nil function leave it to us.
	LogSize func() (string, error)
}

// Connector opens a runtime, and a builder on it. It asks nothing of either; it returns an error that
// wraps engine.ErrNoEngine when none is chosen.
type Connector func(ctx context.Context, o ConnectOptions) (engine.Runtime, container.Builder, error)

// ConnectOptions are what a connection is opened with.
type ConnectOptions struct {
	Runtime  string               // its kind, one of Parts.Runtimes
	Found    func(address string) // is called with the engine's address before anything is asked of it
	Warn     func(line string)    // may be called until the runtime is closed
	State    string               // folder for what is known of engines; "": they are asked each time
	Parallel int                  // how many creations, starts, stops and pulls run at a time; 0: no limit
}

// Main runs one command line, without the program's name, and returns the exit code. The signals that end a program
// are caught from its beginning to its end: the first one ends the verb's context. A verb that is stuck all the same is
// left behind, so the caller has to end the process then.
func Main(ctx context.Context, args []string, parts Parts) int {
	go project.Warm()
	a := newApp(parts)
	a.terminal.remember(parts.Stdin, parts.Stdout)
	ctx, stop := a.interrupts.listen(ctx)
	defer stop()
	done := make(chan int, 1)
	go func() { done <- a.run(ctx, args) }()
	return a.await(done)
}

// app is one run of the program: its parts, and what it has come to.
type app struct {
	env     *environment
	console *console
	loader  *loader
	conn    *connection

	screen  func(ctx context.Context, e *engine.Engine, version string) (engine.Ending, error)
	tour    func(ctx context.Context, e *engine.Engine, version string) (engine.Ending, error) // may be nil
	keys    func() (string, error)
	logSize func() (string, error) // may be nil

	asCompose  bool
	takeOver   bool // a project that somebody else runs on the engine is worked on all the same
	interrupts *interrupts
	terminal   terminalState

	mu      sync.Mutex
	verdict error // of a verb that has only to end; nil: it is not that far
}

func newApp(parts Parts) *app {
	env := newEnvironment(parts.Environ)
	console := newConsole(parts.Stdin, parts.Stdout, parts.Stderr, env)
	if len(parts.Runtimes) == 0 {
		parts.Runtimes = []string{"docker"}
	}
	return &app{
		env: env, console: console,
		loader: &loader{console: console, env: env, typed: &project.Typed{}},
		conn:   &connection{console: console, env: env, open: parts.Connect, kinds: parts.Runtimes},
		screen: parts.Screen, tour: parts.Tour, keys: parts.Keys, logSize: parts.LogSize,
		interrupts: newInterrupts(), asCompose: parts.Compose,
	}
}

// run runs the verb that the arguments name to its end and returns the exit code.
func (a *app) run(ctx context.Context, args []string) (code int) {
	// A goroutine of ours that panics is turned into an error where it is started; this is for the verb itself.
	defer func() {
		if r := recover(); r != nil {
			fmt.Fprintf(a.console.stderr, "bulkhead: panic: %v\n%s", r, debug.Stack())
			code = exitFailed
		}
	}()
	defer a.conn.close()
	ctx, a.conn.giveUp = context.WithCancelCause(ctx)
	defer a.conn.giveUp(nil)
	root := a.root()
	root.SetArgs(args)
	root.SetIn(a.console.stdin)
	root.SetOut(a.console.stdout)
	root.SetErr(a.console.stderr)
	err := root.ExecuteContext(ctx)
	// One of the flags before the verb comes here as it is.
	var bad *pflag.InvalidValueError
	var said *exit
	if errors.As(err, &bad) && !errors.As(err, &said) {
		err = usagef("%w; see `bulkhead --help`", wrongValue(err))
	}
	err = cutShort(ctx, err)
	if lost := a.console.lost(); lost != nil {
		switch code, _ := exitCode(err); {
		case code == exitDone || errors.Is(err, context.Canceled):
			err = lost
		case code == exitFailed && !errors.Is(err, errLost):
			a.console.printError(lost.Error())
		}
	}
	a.console.over.Store(true)
	return a.code(err)
}

// wrongValue is an error about the value of a flag without the words of a parser: in the flag's own, where it has them.
func wrongValue(err error) error {
	var bad *pflag.InvalidValueError
	if !errors.As(err, &bad) {
		return err
	}
	wants := bad.Unwrap().Error()
	var parser *strconv.NumError
	if errors.As(bad, &parser) {
		wants = map[string]string{"int": "write a whole number",
			"bool": "write true or false"}[bad.GetFlag().Value.Type()]
	}
	if wants == "" {
		return err
	}
	return fmt.Errorf("--%s %s: %s", bad.GetFlag().Name, bad.GetValue(), wants)
}

// cutShort is the result of a verb whose ctx may have been ended because the engine fell silent: that is
// the reason then, whatever came of it, but for an exit code of the verb's own.
func cutShort(ctx context.Context, err error) error {
	var silent *silentError
	var own *exit
	if errors.As(context.Cause(ctx), &silent) && !errors.As(err, &own) {
		return silent
	}
	return err
}

// exit is an error that asks for an exit code of its own. A nil err prints nothing.
type exit struct {
	code int
	err  error
}

func (e *exit) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}

func (e *exit) Unwrap() error { return e.err }

// usagef is an error of the person at the keyboard.
func usagef(format string, args ...any) error {
	return &exit{code: exitUsage, err: fmt.Errorf(format, args...)}
}

// code prints an error as one line and returns its exit code.
func (a *app) code(err error) int {
	code, text := exitCode(err)
	if text != "" {
		a.console.printError(text)
	}
	return code
}

// exitCode returns the exit code that an error asks for, and what to print of it: "" for nothing.
func exitCode(err error) (int, string) {
	if err == nil || stdoutClosed(err) {
		return exitDone, ""
	}
	var (
		e    *exit
		load *project.LoadError
		code = exitFailed
	)
	switch {
	case errors.As(err, &e):
		code = e.code
		if e.err == nil {
			return code, ""
		}
	case errors.Is(err, engine.ErrNoEngine):
		code = exitNoEngine
	case errors.Is(err, context.Canceled):
		err = errors.New("interrupted")
	case errors.As(err, &load):
		code = exitUsage
	}
	return code, err.Error()
}

// stdoutClosed says that the reader of our output has gone, as `| head` does. That is an end, not a fault.
func stdoutClosed(err error) bool {
	return errors.Is(err, syscall.EPIPE) || errors.Is(err, io.ErrClosedPipe) || errors.Is(err, errStdoutClosed)
}

var errStdoutClosed = errors.New("stdout is closed")
