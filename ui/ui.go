// Package ui is the interactive screen of bulkhead. It reads snapshots and logs, turns keys into commands, and knows
// no container engine.
package ui

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"sync"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"
	"github.com/charmbracelet/x/term"

	"bulkhead/engine"
	"bulkhead/engine/drill"
	"bulkhead/engine/logs"
)

// Backend is what the screen needs of an engine; *engine.Engine is one. All methods may be called from any goroutine.
type Backend interface {
	// Snapshot is the latest state. Nobody writes to it again.
	Snapshot() *engine.Snapshot
	// Subscribe returns a channel of capacity one that holds a token whenever state or logs changed since it was last
	// taken; stop ends that.
	Subscribe() (changed <-chan struct{}, stop func())
	Logs() *logs.Store
	// Do carries out a command and returns when it is done, or taken over by the lanes.
	Do(context.Context, engine.Command) error
	// Exec runs a command in a replica (0: the first that runs) and returns its exit code.
	Exec(ctx context.Context, service string, replica int, o engine.ExecOptions) (int, error)
	// Preview shows the line that a replica of a service (0: the first) has not ended, as it was written, until ctx ends:
	// show gets it with each change, "" once it has ended. It wraps engine.ErrUnsupported where that cannot be seen.
	Preview(ctx context.Context, service string, replica int, show func(text string)) error
	// LoadOlder reads older lines of services (nil: all) into Logs, where they begin at or after a time that is seen.
	LoadOlder(ctx context.Context, services []string, from time.Time) (engine.Older, error)
	// FaultsLacking says why faults are not possible here, by their kinds.
	FaultsLacking(context.Context) (map[string]string, error)
	// Drill puts a fault on each service in turn, and returns once all is healed; its report is a part of the snapshots
	// all the while. DrillAct holds or aborts it, or has it run a row again.
	Drill(context.Context, drill.Options) (*drill.Report, error)
	DrillAct(a drill.Act, row string) error
	// SetAttention says whose readings are seen; those of others are taken less often.
	SetAttention(engine.Attention)
}

// Options are the parts and wishes of one screen. Only Backend is required.
type Options struct {
	Backend Backend
	Config  Config
	Stdin   io.Reader // nil: os.Stdin
	Stdout  io.Writer // nil: os.Stdout
	Environ []string  // nil: os.Environ(); TERM, NO_COLOR and TMUX are looked at
	Tour    bool      // lead the person through the shop, which is what runs
	Version string    // shown in the help
	// StateDir is where it is kept that the first-run hint was shown; "": it is not shown.
	StateDir string
	OpenURL  func(string) error // opens a browser; nil: the system's way
	Now      func() time.Time   // nil: time.Now

	run     run                 // runs clipboard commands; nil: really
	program []tea.ProgramOption // further options of tests
	started func(*tea.Program)
}

// setDefaults fills what the caller left empty with the process's own.
func (o *Options) setDefaults() {
	if o.Stdin == nil {
		o.Stdin = os.Stdin
	}
	if o.Stdout == nil {
		o.Stdout = os.Stdout
	}
	if o.Environ == nil {
		o.Environ = os.Environ()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.OpenURL == nil {
		o.OpenURL = openURL
	}
	if o.run == nil {
		o.run = runCommand
	}
}

// Run shows the screen until the user leaves it or ctx ends, and returns after the terminal was
// restored, with what the user wants to become of the project; where the screen itself failed that is
// EndLeave. A panic on the screen, in one of its goroutines or in the Backend's methods becomes an error.
func Run(ctx context.Context, o Options) (ending engine.Ending, err error) {
	o.setDefaults()
	work, cancel := context.WithCancel(ctx)
	changed, unsubscribe := o.Backend.Subscribe()
	m, err := newModel(work, o, changed)
	if err != nil {
		cancel()
		unsubscribe()
		return engine.EndLeave, err
	}
	restore := func() {}
	if f, ok := o.Stdin.(term.File); ok {
		if state, err := term.GetState(f.Fd()); err == nil { // else it is no terminal
			// Bubble Tea does so, too; but a shell that ends after it, because the screen fell over, may leave it otherwise.
			restore = func() { _ = term.Restore(f.Fd(), state) }
			defer term.Restore(f.Fd(), state)
		}
	}
	// Bubble Tea does not wait for its commands; ours end with work, and Run waits for them.
	defer m.e.jobs.wg.Wait()
	defer unsubscribe()
	defer cancel()

	if firstRun(o.StateDir) {
		m.e.hint()
	}
	opts := []tea.ProgramOption{
		tea.WithInput(o.Stdin), tea.WithOutput(o.Stdout), tea.WithEnvironment(o.Environ),
		tea.WithFPS(frames), tea.WithoutSignalHandler(),
	}
	if m.theme == "none" {
		opts = append(opts, tea.WithColorProfile(colorprofile.ASCII)) // colours in log lines too
	}
	p := tea.NewProgram(m, append(opts, o.program...)...)
	m.shell.program = p
	if o.started != nil {
		o.started(p)
	}
	// Not p.Quit: a shell that has the terminal gives it back first.
	stop := context.AfterFunc(ctx, func() { p.Send(quitMsg{}) })
	defer stop()
	defer onFatalSignal(p, restore)()
	_, err = p.Run()
	m.shell.ended.Store(true)
	switch {
	case m.end.err != nil:
		return m.end.ending, m.end.err
	case errors.Is(err, tea.ErrProgramPanic):
		return engine.EndLeave, fmt.Errorf("show the screen: %w", err)
	case err != nil && !errors.Is(err, tea.ErrInterrupted):
		return engine.EndLeave, fmt.Errorf("show the screen: %w", err)
	}
	return m.end.ending, nil
}

// jobs runs work outside of the event loop. Its commands end when ctx does, and a panic in one ends the program.
type jobs struct {
	ctx context.Context
	wg  sync.WaitGroup
}

// fatalMsg ends the program with an error.
type fatalMsg struct{ err error }

// do makes a command of f.
func (j *jobs) do(name string, f func(ctx context.Context) tea.Msg) tea.Cmd {
	j.wg.Add(1)
	// Bubble Tea drops a command that is returned after it decided to quit, so the count must not depend on its running:
	// whichever comes first, its run or the end of ctx, claims it.
	var once sync.Once
	stop := context.AfterFunc(j.ctx, func() { once.Do(j.wg.Done) })
	return func() (msg tea.Msg) {
		claimed := false
		once.Do(func() { claimed = true })
		if !claimed {
			return nil
		}
		stop()
		defer j.wg.Done()
		defer func() {
			if r := recover(); r != nil {
				msg = fatalMsg{err: fmt.Errorf("%s: panic: %v\n%s", name, r, debug.Stack())}
			}
		}()
		return f(j.ctx)
	}
}
