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
	if o.RemoveOrphans, o.IgnoreOrphans, err = v.app.orphanFlags(cmd, p, f.orphans); err != nil {
		return err
	}
	if v.app.loader.flags.dryRun {
		return v.dryRun(ctx, p, o)
	}
	o.Logs = logs.New(logs.Options{ServiceBytes: keep})
	for try := 1; ; try++ {
		done, err := v.throughRunning(ctx, p, services)
		if done || err != nil {
			return err
		}
		err = v.here(ctx, p, o, opts, services, upManner{screen: screen, compose: compose})
		// Another one may have begun since we looked. It does what we were to do, or is over by then.
		if !errors.Is(err, errRunning) || !f.detach && !f.noStart || try == upTries {
			return err
		}
	}
}

// upTries is how often an up that leaves the project running meets others that begin at the same moment.
const upTries = 20

// throughRunning has the `up` that runs the project do it. done is false when there is none, or none any more.
func (v *upVerb) throughRunning(ctx context.Context, p *project.Project, services []string) (done bool, err error) {
	f := &v.flags
	done, err = v.app.conn.through(ctx, p.Name, func(c *client) error {
		if !f.detach && !f.noStart {
			return fmt.Errorf("up %s: %w (process %d)", p.Name, errRunning, c.hello.PID)
		}
		u := &remoteUp{app: v.app, client: c, p: p, f: f, services: services}
		return v.app.conn.supervised(ctx, p.Name, u.run)
	})
	if err != nil && !done {
		err = fmt.Errorf("up %s: %w", p.Name, err)
	}
	return done, err
}

// upManner is how an up shows what happens: on the screen, as docker compose does, or, with neither,
// as lines of its own.
type upManner struct{ screen, compose bool }

// here runs the project in this process.
func (v *upVerb) here(
	ctx context.Context, p *project.Project, o engine.Options, opts project.Options,
	services []string, how upManner,
) error {
	f, out := &v.flags, v.app.console
	if !how.screen {
		o.LogTail = -1 // lines from before this run are for `bulkhead logs`
	}
	o.Ignore = ownOutput(out.stdout, out.stderr)
	var at *attachment
	var err error
	if how.compose && !f.noStart {
		if at, err = newAttachment(f, p, services, out); err != nil {
			return err
		}
		o.NoWatch = !f.watch
	}
	s, err := v.app.open(ctx, p, o, sessionOptions{signals: true,
		load: v.again(opts)})
	if err != nil {
		return fmt.Errorf("up %s: %w", p.Name, err)
	}
	s.keep, s.grace, s.quiet, s.attach = f.leave, o.Grace, f.quiet(), at
	switch {
	case how.screen:
		return s.run(s.screen)
	case at != nil:
		return at.result(s, s.run(s.attached))
	}
	if err := v.withoutScreen(s); err != nil || f.detach {
		return err
	}
	return s.leftOut()
}

// again loads the project again, when a file of it was saved.
func (v *upVerb) again(opts project.Options) func(context.Context) (*project.Project, error) {
	return func(ctx context.Context) (*project.Project, error) { return v.app.loadToRun(ctx, opts) }
}

// dryRun prints the plan.
func (v *upVerb) dryRun(ctx context.Context, p *project.Project, o engine.Options) error {
	o.Runtime, o.Project, o.StateDir = v.app.conn.rt, p, v.app.env.stateDir()
	steps, failed := engine.New(o).DryRun(ctx)
	trust := v.app.trust(p)
	for _, c := range engine.HostCommands(p) {
		mark := ""
		if !trust.Allows(c) {
			mark = "; not allowed yet, see `bulkhead trust`"
		}
		if _, err := fmt.Fprintf(v.app.console.stdout, "%s: runs on the host: %s%s\n",
			clean(c.Service), oneLine(c.String()), mark); err != nil {
			return err
		}
	}
	if _, err := fmt.Fprint(v.app.console.stdout, logs.CleanAll(steps)); err != nil {
		return err
	}
	if failed != nil {
		return fmt.Errorf("up %s: %w", p.Name, failed)
	}
	return nil
}

// withoutScreen runs a session detached, or as text or JSON.
func (v *upVerb) withoutScreen(s *session) error {
	f, out := &v.flags, v.app.console
	if f.detach || f.noStart {
		return s.run(func(ctx context.Context) (Outcome, error) {
			return Leave, v.app.conn.supervised(ctx, s.p.Name, func(ctx context.Context) error {
				return s.detach(ctx, f)
			})
		})
	}
	s.printer = newPrinter(out.stdout)
	s.printer.json, s.printer.stamps = f.json, f.stamps
	s.printer.colour = out.colours() && !f.noColor
	s.printer.width = nameWidth(s.p)
	return s.run(func(ctx context.Context) (Outcome, error) { return s.stream(ctx, time.Duration(f.wait)) })
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
func (s *session) screen(ctx context.Context) (Outcome, error) {
	o, err := s.a.screen(ctx, s.e, version())
	s.onScreen = true
	if err == nil && o == Leave && ctx.Err() == nil {
		fmt.Fprintf(s.a.console.stdout,
			"%s runs on; `bulkhead` comes back to it, `bulkhead down` removes it\n", s.p.Name)
	}
	return o, err
}

// stream prints until something ends the session. The printing itself goes on until the engine has ended.
func (s *session) stream(ctx context.Context, wait time.Duration) (Outcome, error) {
	s.tasks.Go("wait", func(context.Context) error {
		var up *engine.UpError
		if errors.As(s.e.WaitUp(ctx, engine.Wait{Ready: true, Limit: wait}), &up) {
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
		return Leave, nil // the cause of ctx says what is to happen
	case <-s.printer.broken:
		return Stop, s.printer.failed()
	}
}
