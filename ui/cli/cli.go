// Package cli is bulkhead without a screen: its verbs, their flags, and the printers of text and JSON. It knows no
// container engine and no screen; main hands both in.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"
	"sync"
	"syscall"

	"github.com/charmbracelet/x/term"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"bulkhead/engine"
	"bulkhead/engine/container"
	"bulkhead/engine/logs"
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
	// Connect opens the runtime. It is called once at most, by verbs that need one, and returns an error that wraps
	// engine.ErrNoEngine when nothing answers. It calls found with the engine's address before it asks anything of it;
	// warn may be called until the runtime is closed.
	Connect func(ctx context.Context, found, warn func(string)) (engine.Runtime, container.Builder, error)
	// Screen shows an engine until the user leaves, or until ctx ends (then with Leave), and gives the terminal back.
	Screen func(ctx context.Context, e *engine.Engine, version string) (Outcome, error)
	// Keys prints the key map in the form of the config file.
	Keys func() (string, error)
	// LogSize is the person's setting of what to keep of each service's log, as "16MiB"; "" and a nil function leave it to us.
	LogSize func() (string, error)
}

// Outcome is what shall happen to the project when the screen is left.
type Outcome uint8

// The outcomes.
const (
	Leave       Outcome = iota // go on running
	Stop                       // stop the containers
	Down                       // remove containers and networks
	DownVolumes                // and named volumes
)

// Main runs one command line, without the program's name, and returns the exit code. The signals that end a program
// are heard from its beginning to its end: the first one ends the verb's context. A verb that is stuck all the same is
// left behind, so the caller has to end the process then.
func Main(ctx context.Context, args []string, parts Parts) int {
	a := &app{parts: parts, env: environ(parts.Environ), interrupts: newInterrupts(), typed: &project.Typed{}}
	a.terminal.remember(parts.Stdin, parts.Stdout)
	a.guardStreams()
	ctx, stop := a.interrupts.listen(ctx)
	defer stop()
	done := make(chan int, 1)
	go func() { done <- a.verb(ctx, args) }()
	return a.await(done)
}

// verb runs the verb to its end and returns the exit code.
func (a *app) verb(ctx context.Context, args []string) (code int) {
	// A goroutine of ours that panics is turned into an error where it is started; this is for the verb itself.
	defer func() {
		if r := recover(); r != nil {
			fmt.Fprintf(a.parts.Stderr, "bulkhead: panic: %v\n%s", r, debug.Stack())
			code = exitFailed
		}
	}()
	defer a.close()
	root := a.root()
	root.SetArgs(args)
	root.SetIn(a.parts.Stdin)
	root.SetOut(a.parts.Stdout)
	root.SetErr(a.parts.Stderr)
	return a.code(root.ExecuteContext(ctx))
}

// app is one run of the program.
type app struct {
	parts  Parts
	env    map[string]string
	shared sharedFlags

	interrupts *interrupts
	terminal   terminalState
	typed      *project.Typed // what was read from pipes that were named on the command line

	rt      engine.Runtime // nil before connect
	builder container.Builder
	info    engine.Info

	mu      sync.Mutex
	where   string // the engine's address, "" before it is known
	verdict error  // what a verb that is left behind had come to; nil: nothing yet
}

// sharedFlags are taken by every verb.
type sharedFlags struct {
	files    []string
	name     string
	profiles []string
	envFiles []string
	dir      string
	runtime  string
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

// code prints an error as one line and gives its exit code.
func (a *app) code(err error) int {
	code, text := exitCode(err)
	if text != "" {
		a.complain(text)
	}
	return code
}

// exitCode gives the exit code that an error asks for, and what to print of it: "" for nothing.
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

// complain prints one line on stderr.
func (a *app) complain(text string) {
	fmt.Fprintf(a.parts.Stderr, "bulkhead: %s\n", oneLine(text)) // where nobody reads, nobody needs to know
}

// stdoutClosed tells that the reader of our output has gone, as `| head` does. That is an end, not a fault.
func stdoutClosed(err error) bool {
	return errors.Is(err, syscall.EPIPE) || errors.Is(err, errStdoutClosed)
}

var errStdoutClosed = errors.New("nobody reads the output any more")

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "bulkhead",
		Short: "Run a Compose project, each service in its own container, rebuilt when its files change",
		Long: `bulkhead runs a Compose project on a screen: every service in its own container, rebuilt or synced when its
files change, with logs, health, restart and kill for each. Without a verb it is "bulkhead up".`,
		Version:       version(),
		SilenceErrors: true,
		SilenceUsage:  true,
		// Flags before the verb are read as the root's: the -f of logs is --follow, the one before it --file.
		TraverseChildren: true,
	}
	root.SetVersionTemplate("{{.Version}}\n")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usagef("%s: %w; see `%s --help`", cmd.Name(), err, cmd.CommandPath())
	})
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error {
		if cmd != root {
			var misplaced error
			root.LocalNonPersistentFlags().VisitAll(func(f *pflag.Flag) {
				if !f.Changed {
					return
				}
				misplaced = usagef("--%s: it belongs after the verb; write bulkhead %s --%s", f.Name, cmd.Name(), f.Name)
			})
			if misplaced != nil {
				return misplaced
			}
		}
		if a.shared.runtime != "docker" {
			return usagef("--runtime %s: no such runtime; write docker", a.shared.runtime)
		}
		return nil
	}
	p := root.PersistentFlags()
	p.StringArrayVarP(&a.shared.files, "file", "f", nil, "Compose `file`, repeatable; - is stdin")
	p.StringVarP(&a.shared.name, "project-name", "p", "", "project `name`")
	p.StringArrayVar(&a.shared.profiles, "profile", nil, "enable a `profile`, repeatable")
	p.StringArrayVar(&a.shared.envFiles, "env-file", nil, "read this `file` instead of .env, repeatable")
	p.StringVar(&a.shared.dir, "project-directory", "", "project `folder`; else that of the first Compose file")
	p.StringVar(&a.shared.runtime, "runtime", "docker", "what runs the containers; docker is the only `kind` today")

	up := &upFlags{}
	a.addUpFlags(root, up)
	root.Flags().VisitAll(func(f *pflag.Flag) { f.Hidden = true }) // `bulkhead up --help` lists them
	root.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		hint := "`bulkhead --help` lists the verbs"
		var verbs []string
		for _, c := range cmd.Commands() {
			verbs = append(verbs, c.Name())
		}
		if verb := nearest(args[0], verbs); verb != "" {
			hint = fmt.Sprintf("did you mean %q?", verb)
		}
		return usagef("unknown verb %q; %s", args[0], hint)
	}
	root.RunE = func(cmd *cobra.Command, args []string) error { return a.up(cmd, up, nil) }
	root.AddCommand(a.upCommand(), a.downCommand(), a.psCommand(), a.logsCommand())
	root.AddCommand(a.actCommands()...)
	root.AddCommand(a.execCommand(), a.configCommand(), a.doctorCommand(), a.demoCommand(), a.keysCommand(), a.versionCommand())
	root.InitDefaultCompletionCmd()
	for _, c := range root.Commands() {
		if c.Name() == "completion" {
			c.Args, c.RunE = nil, func(_ *cobra.Command, args []string) error {
				return usagef("completion: %s; write one of bash, zsh, fish, powershell", wrongShell(args))
			}
		}
	}
	return root
}

func wrongShell(args []string) string {
	if len(args) == 0 {
		return "it needs a shell"
	}
	return args[0] + " is not known"
}

func (a *app) close() {
	if a.builder != nil {
		_ = a.builder.Close() // the connection ends with the process anyway
	}
	if a.rt != nil {
		_ = a.rt.Close() // likewise
	}
}

// terminal gives the file descriptor of a stream that is a terminal.
func terminal(stream any) (fd uintptr, ok bool) {
	if g, ok := stream.(*guard); ok {
		stream = g.w
	}
	f, ok := stream.(*os.File)
	if !ok || !term.IsTerminal(f.Fd()) {
		return 0, false
	}
	return f.Fd(), true
}

// colours says whether text for people is coloured.
func (a *app) colours() bool {
	_, ok := terminal(a.parts.Stdout)
	return ok && a.env["NO_COLOR"] == "" && a.env["TERM"] != "dumb"
}

// environ makes a map of "KEY=value" lines; of equal keys the last one counts.
func environ(lines []string) map[string]string {
	m := make(map[string]string, len(lines))
	for _, line := range lines {
		if k, v, ok := strings.Cut(line, "="); ok {
			m[k] = v
		}
	}
	return m
}

// oneLine makes one line of a text of several, safe for a terminal.
func oneLine(s string) string {
	return logs.CleanLine(s)
}
