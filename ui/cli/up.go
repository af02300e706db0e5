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

// upFlags are the flags of up.
type upFlags struct {
	plain, json, detach bool
	noWatch, leave      bool
	build, noBuild      bool
	dryRun              bool
	removeOrphans       bool
	recreate            bool
	noColor, stamps     bool
	ready               bool // --wait
	wait                seconds
	scale               []string
	logSize             string
}

func (v *upVerb) addFlags(c *cobra.Command) {
	fs, f := c.Flags(), &v.flags
	fs.BoolVar(&f.plain, "plain", false, "no screen: log lines after the name of their service, and a line for each event")
	fs.BoolVar(&f.json, "json", false, "no screen: a JSON object a line")
	fs.BoolVarP(&f.detach, "detach", "d", false, "start what has to be started and leave it running; with --json the list of ps in the end")
	fs.BoolVar(&f.ready, "wait", false, "as -d, and wait until all are ready: what has exited, or does not become ready, is an error")
	fs.BoolVar(&f.noWatch, "no-watch", false, "do not watch files")
	fs.BoolVar(&f.build, "build", false, "build the images even if they are there")
	fs.BoolVar(&f.dryRun, "dry-run", false, "print what would be done, with the reasons, and do nothing")
	fs.BoolVar(&f.noBuild, "no-build", false, "build nothing; a missing image is an error")
	fs.BoolVar(&f.removeOrphans, "remove-orphans", false, "remove containers of services that the file does not name")
	fs.BoolVar(&f.recreate, "force-recreate", false, "replace all containers")
	fs.BoolVar(&f.leave, "leave", false, "leave the project running when this ends")
	fs.BoolVar(&f.noColor, "no-color", false, "with --plain: no colours")
	fs.BoolVarP(&f.stamps, "timestamps", "t", false, "with --plain: the time before each log line")
	f.wait = seconds(5 * time.Minute)
	fs.Var(&f.wait, "wait-timeout", "how `long` a service that is waited for may take from its start on, as 60 or 90s; 0 is for ever. Without -d, say so when one takes longer")
	fs.StringArrayVar(&f.scale, "scale", nil, "`SERVICE=N` replicas, repeatable")
	fs.StringVar(&f.logSize, "log-size", "", "keep this `size` of each service's log in memory, 16 times that in all (default 16MiB, or log_size of the config file)")
	exclusive(c, "plain", "json")
	exclusive(c, "plain", "detach")
	exclusive(c, "plain", "wait")
	exclusive(c, "leave", "wait")
	exclusive(c, "build", "no-build")
	exclusive(c, "leave", "detach")
}

func (v *upVerb) command() *cobra.Command {
	c := &cobra.Command{
		Use:   "up [SERVICE…]",
		Short: "Run the project: on the screen, or as text where there is no terminal",
		Long: `Run the project, or the named services and what they depend on: on the screen where stdin and stdout are terminals, else
as with --plain. Ctrl+c, SIGTERM and SIGHUP stop it in reverse dependency order; a second one, a second later or more, kills.`,
		ValidArgsFunction: v.app.loader.completeServices,
		RunE:              func(cmd *cobra.Command, services []string) error { return v.run(cmd.Context(), services) },
	}
	v.addFlags(c)
	return c
}

// Why a session ends, beside an engine that does.
var (
	errSignal = errors.New("a signal came")
	errDowned = errors.New("the project was taken down from another terminal")
)

func (v *upVerb) run(ctx context.Context, services []string) error {
	f, out := &v.flags, v.app.console
	f.detach = f.detach || f.ready
	opts := v.app.loader.options()
	opts.Services = services
	var err error
	if opts.Scale, err = scales(f.scale); err != nil {
		return err
	}
	keep, err := v.logSize()
	if err != nil {
		return err
	}
	connected := v.app.conn.startConnect(ctx)
	p, err := project.Load(ctx, opts)
	noEngine := connected(err)
	if err != nil {
		return err
	}
	screen := out.interactive() && v.app.env.get("TERM") != "dumb" && !f.plain && !f.json && !f.detach && !f.dryRun
	if !screen {
		out.printWarnings(p)
	}
	if noEngine != nil {
		return noEngine
	}
	if f.dryRun {
		return v.dryRun(ctx, p)
	}
	if c := v.app.conn.dial(ctx, p.Name); c != nil {
		if !f.detach {
			return fmt.Errorf("up %s: %w (process %d)", p.Name, errRunning, c.hello.PID)
		}
		ctx, explain := v.app.conn.supervise(ctx, p.Name, nil)
		return explain((&remoteUp{app: v.app, client: c, p: p, f: f, services: services}).run(ctx))
	}
	o := f.engineOptions()
	o.Logs = logs.New(logs.Options{ServiceBytes: keep})
	if !screen {
		o.LogTail = -1 // lines from before this run are for `bulkhead logs`
	}
	o.Ignore = ownOutput(out.stdout, out.stderr)
	s, err := v.app.open(ctx, p, o, func(ctx context.Context) (*project.Project, error) { return project.Load(ctx, opts) }, true)
	if err != nil {
		return fmt.Errorf("up %s: %w", p.Name, err)
	}
	s.keep = f.leave
	if screen {
		return s.run(s.screen)
	}
	return v.withoutScreen(s)
}

// dryRun prints the plan.
func (v *upVerb) dryRun(ctx context.Context, p *project.Project) error {
	o := v.flags.engineOptions()
	o.Runtime, o.Project, o.StateDir = v.app.conn.rt, p, v.app.env.stateDir()
	steps, err := engine.New(o).DryRun(ctx)
	if err != nil {
		return fmt.Errorf("up %s: %w", p.Name, err)
	}
	_, err = fmt.Fprint(v.app.console.stdout, steps)
	return err
}

// withoutScreen runs a session detached, or as text or JSON.
func (v *upVerb) withoutScreen(s *session) error {
	f, out := &v.flags, v.app.console
	if f.detach {
		return s.run(func(ctx context.Context) (Outcome, error) {
			ctx, explain := v.app.conn.supervise(ctx, s.p.Name, nil)
			o, err := s.detach(ctx, f)
			return o, explain(err)
		})
	}
	s.printer = newPrinter(out.stdout)
	s.printer.json, s.printer.stamps = f.json, f.stamps
	s.printer.colour = out.colours() && !f.noColor
	s.printer.width = nameWidth(s.p)
	return s.run(func(ctx context.Context) (Outcome, error) { return s.stream(ctx, time.Duration(f.wait)) })
}

func (f *upFlags) engineOptions() engine.Options {
	// What -d shows of logs it asks for itself, when it comes to that.
	o := engine.Options{NoWatch: f.noWatch || f.detach, NoStats: f.detach, NoLogs: f.detach, RemoveOrphans: f.removeOrphans, Recreate: f.recreate}
	switch {
	case f.build:
		o.Build = engine.BuildAlways
	case f.noBuild:
		o.Build = engine.BuildNever
	}
	return o
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
	if err == nil && o == Leave && ctx.Err() == nil {
		fmt.Fprintf(s.a.console.stdout, "%s runs on; `bulkhead` comes back to it, `bulkhead down` removes it\n", s.p.Name)
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
