package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"bulkhead/engine"
	"bulkhead/engine/logs"
	"bulkhead/engine/project"
)

type upVerb struct {
	app   *app
	flags upFlags
}

func (v *upVerb) command() *cobra.Command {
	c := &cobra.Command{
		Use:   "up [SERVICE…]",
		Short: "Run the project: on the screen, or as text where there is no terminal",
		Long: `Run the project, or the named services and what they depend on: on the screen where stdin and stdout are terminals, else
as with --plain. Ctrl+c, SIGTERM and SIGHUP stop it in reverse dependency order; a second one, a second later or more, kills.`,
		ValidArgsFunction: v.app.loader.completeServices,
		RunE:              v.run,
	}
	v.addFlags(c)
	v.app.addTakeOver(c)
	return c
}

// Why a session ends, beside an engine that does.
var (
	errSignal = errors.New("a signal came")
	errDowned = errors.New("the project was taken down from another terminal")
)

func (v *upVerb) run(cmd *cobra.Command, services []string) error {
	ctx, f, out := cmd.Context(), &v.flags, v.app.console
	compose, err := f.settle(cmd, v.app.asCompose)
	if err != nil {
		return err
	}
	opts := v.app.loader.options()
	opts.NoDeps = f.noDeps
	if err := f.loadOptions(&opts, services); err != nil {
		return err
	}
	keep, err := v.logSize()
	if err != nil {
		return err
	}
	screen := !compose && !f.noStart && out.interactive() && v.app.env.get("TERM") != "dumb" &&
		!f.plain && !f.json && !f.detach && !v.app.loader.flags.dryRun
	p, err := v.app.loadAndConnect(ctx, opts, !screen)
	if err != nil {
		return err
	}
	o := f.engineOptions(cmd, services)
	o.Replace.Again = compose || v.app.asCompose
	if o.RemoveOrphans, o.IgnoreOrphans, err = v.app.orphanFlags(cmd, p, f.orphans); err != nil {
		return err
	}
	if v.app.loader.flags.dryRun {
		return v.app.dryRun(ctx, p, o)
	}
	o.Logs = logs.New(logs.Options{ServiceBytes: keep})
	u := &upRun{upVerb: v, p: p, load: opts, o: o, services: services, screen: screen, compose: compose}
	for try := 1; ; try++ {
		done, err := u.throughRunning(ctx)
		if done || err != nil {
			return err
		}
		err = u.here(ctx)
		// Another one may have begun since we looked. It does what we were to do, or is over by then.
		if !errors.Is(err, errRunning) || !f.detach && !f.noStart || try == upTries {
			return err
		}
	}
}

// upTries is how often an up that leaves the project running meets others that begin at the same moment.
const upTries = 20

// upRun is an up whose project is loaded and whose engine is connected.
type upRun struct {
	*upVerb
	p        *project.Project
	load     project.Options // which p was loaded with
	o        engine.Options
	services []string // that were named
	// It is shown on the screen, as docker compose does, or, with neither, as lines of its own.
	screen, compose bool
}

// throughRunning has the `up` that runs the project do it. done is false when there is none, or none any more.
func (u *upRun) throughRunning(ctx context.Context) (done bool, err error) {
	done, err = u.app.conn.through(ctx, u.p.Name, func(c *client) error {
		if !u.flags.detach && !u.flags.noStart {
			return fmt.Errorf("up %s: %w (process %d)", u.p.Name, errRunning, c.hello.PID)
		}
		r := &remoteUp{upRun: u, client: c}
		return u.app.conn.supervised(ctx, u.p.Name, r.run)
	})
	if err != nil && !done {
		err = fmt.Errorf("up %s: %w", u.p.Name, err)
	}
	return done, err
}

// here runs the project in this process.
func (u *upRun) here(ctx context.Context) error {
	f, out, o := &u.flags, u.app.console, u.o
	if !u.screen {
		o.LogTail = -1 // lines from before this run are for `bulkhead logs`
	}
	o.Ignore = ownOutput(out.stdout, out.stderr)
	var at *attachment
	var err error
	if u.compose && !f.noStart {
		if at, err = newAttachment(f, u.p, u.services, out); err != nil {
			return err
		}
		o.NoWatch = !f.watch
	}
	s, err := u.app.open(ctx, u.p, o, sessionOptions{signals: true, load: u.app.reloader(u.load)})
	if err != nil {
		return fmt.Errorf("up %s: %w", u.p.Name, err)
	}
	s.keep, s.grace, s.quiet, s.attach = f.leave, o.Grace, f.quiet(), at
	switch {
	case u.screen:
		return s.run(s.screen)
	case at != nil:
		return at.result(s, s.run(s.attached))
	case f.detach || f.noStart:
		err = s.runAndLeave(func(ctx context.Context) error {
			return u.app.conn.supervised(ctx, u.p.Name, func(ctx context.Context) error { return s.detach(ctx, f) })
		})
	default:
		err = s.runAsText(f)
	}
	if err != nil || f.detach {
		return err
	}
	return s.untrustedError()
}

// dryRun prints the plan.
func (a *app) dryRun(ctx context.Context, p *project.Project, o engine.Options) error {
	o.Runtime, o.Project, o.StateDir = a.conn.rt, p, a.env.stateDir()
	steps, failed := engine.New(o).DryRun(ctx)
	trust := a.trust(p)
	for _, c := range engine.HostCommands(p) {
		mark := ""
		if !trust.Allows(c) {
			mark = "; not allowed yet, see `bulkhead trust`"
		}
		if _, err := fmt.Fprintf(a.console.stdout, "%s: runs on the host: %s%s\n",
			clean(c.Service), oneLine(c.String()), mark); err != nil {
			return err
		}
	}
	if _, err := fmt.Fprint(a.console.stdout, logs.CleanAll(steps)); err != nil {
		return err
	}
	if failed != nil {
		return fmt.Errorf("up %s: %w", p.Name, failed)
	}
	return nil
}

// runAsText runs a session whose events and log lines are printed, as text or as JSON.
func (s *session) runAsText(f *upFlags) error {
	out := s.a.console
	s.printer = newPrinter(out.stdout)
	s.printer.json, s.printer.stamps = f.json, f.stamps
	s.printer.colour = out.colours() && !f.noColor
	s.printer.width = nameWidth(s.p)
	return s.run(func(ctx context.Context) (engine.Ending, error) { return s.stream(ctx, f) })
}

// logSize is how many bytes of each service's log are kept: the flag's, else the person's setting,
// else 0 for the default.
func (v *upVerb) logSize() (int64, error) {
	text, what := v.flags.logSize, "--log-size"
	if text == "" && v.app.logSize != nil {
		var err error
		if text, err = v.app.logSize(); err != nil {
			return 0, &exit{code: exitUsage, err: err}
		}
		what = "log_size"
	}
	if text == "" {
		return 0, nil
	}
	n, err := logs.ParseSize(text)
	if err != nil {
		return 0, usagef("%s: %w", what, err)
	}
	return n, nil
}

// ownOutput recognizes the files that our output is redirected to: in a build context each line of
// it would be a change.
func ownOutput(streams ...any) func(path string) bool {
	var own []os.FileInfo
	for _, s := range streams {
		if g, ok := s.(*guard); ok {
			s = g.w
		}
		if f, ok := s.(*os.File); ok {
			if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
				own = append(own, info)
			}
		}
	}
	if len(own) == 0 {
		return nil
	}
	return func(path string) bool {
		info, err := os.Stat(path)
		return err == nil && slices.ContainsFunc(own, func(o os.FileInfo) bool { return os.SameFile(o, info) })
	}
}

// nameWidth is how wide the names before log lines are.
func nameWidth(p *project.Project) int {
	w := 0
	for _, s := range p.Services {
		n := len(s.Name)
		if s.Replicas > 1 {
			n += 1 + len(strconv.Itoa(s.Replicas))
		}
		w = max(w, n)
	}
	return min(w, 30)
}

// screen shows the screen until the user leaves it.
func (s *session) screen(ctx context.Context) (engine.Ending, error) {
	o, err := s.a.screen(ctx, s.e, version())
	s.onScreen = true
	if err == nil && o == engine.EndLeave && ctx.Err() == nil {
		fmt.Fprintf(s.a.console.stdout,
			"%s runs on; `bulkhead` comes back to it, `bulkhead down` removes it\n", s.p.Name)
	}
	return o, err
}

// stream prints until something ends the session. The printing itself goes on until the engine has ended.
func (s *session) stream(ctx context.Context, f *upFlags) (engine.Ending, error) {
	over := make(chan error, 1)
	s.tasks.Go("jobs", func(context.Context) error {
		if err, ended := s.awaitJobs(ctx, f.noWatch); ended {
			over <- err
		}
		return nil
	})
	s.tasks.Go("wait", func(context.Context) error {
		var up *engine.UpError
		if errors.As(s.e.WaitUp(ctx, engine.Wait{Ready: true, Limit: time.Duration(f.wait)}), &up) {
			for _, f := range up.Failures {
				if f.Late { // what else went wrong is printed as an event
					s.a.console.printError(fmt.Sprintf("up %s: %s", s.p.Name, f.Err))
				}
			}
		}
		return nil
	})
	select {
	case <-ctx.Done():
		return engine.EndLeave, nil // the cause of ctx says what is to happen
	case <-s.printer.broken:
		return engine.EndStop, s.printer.failed()
	case err := <-over:
		return engine.EndLeave, err
	}
}
