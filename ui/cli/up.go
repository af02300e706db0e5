package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"bulkhead/engine"
	"bulkhead/engine/logs"
	"bulkhead/engine/project"
)

// upFlags are the flags of up.
type upFlags struct {
	plain, json, detach bool
	noWatch, leave      bool
	build, noBuild      bool
	removeOrphans       bool
	recreate            bool
	noColor, stamps     bool
	ready               bool // --wait
	wait                seconds
	scale               []string
	logSize             string
}

func (a *app) addUpFlags(c *cobra.Command, f *upFlags) {
	fs := c.Flags()
	fs.BoolVar(&f.plain, "plain", false, "no screen: log lines after the name of their service, and a line for each event")
	fs.BoolVar(&f.json, "json", false, "no screen: a JSON object a line")
	fs.BoolVarP(&f.detach, "detach", "d", false, "start what has to be started and leave it running; with --json the list of ps in the end")
	fs.BoolVar(&f.ready, "wait", false, "as -d, and wait until all are ready: what has exited, or does not become ready, is an error")
	fs.BoolVar(&f.noWatch, "no-watch", false, "do not watch files")
	fs.BoolVar(&f.build, "build", false, "build the images even if they are there")
	fs.BoolVar(&f.noBuild, "no-build", false, "build nothing; a missing image is an error")
	fs.BoolVar(&f.removeOrphans, "remove-orphans", false, "remove containers of services that the file does not name")
	fs.BoolVar(&f.recreate, "force-recreate", false, "make all containers anew")
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

func (a *app) upCommand() *cobra.Command {
	f := &upFlags{}
	c := &cobra.Command{
		Use:   "up [SERVICE…]",
		Short: "Run the project: on the screen, or as text where there is no terminal",
		Long: `Run the project, or the named services and what they depend on: on the screen where stdin and stdout are terminals, else
as with --plain. Ctrl+c, SIGTERM and SIGHUP stop it in reverse dependency order; a second one, a second later or more, kills.`,
		ValidArgsFunction: a.completeServices,
		RunE:              func(cmd *cobra.Command, services []string) error { return a.up(cmd, f, services) },
	}
	a.addUpFlags(c, f)
	return c
}

// Why a session ends, beside an engine that does.
var (
	errSignal = errors.New("a signal came")
	errDowned = errors.New("the project was taken down from another terminal")
)

func (a *app) up(cmd *cobra.Command, f *upFlags, services []string) error {
	ctx := cmd.Context()
	f.detach = f.detach || f.ready

	opts := a.options()
	opts.Services = services
	var err error
	if opts.Scale, err = scales(f.scale); err != nil {
		return err
	}
	keep, err := a.logSize(f.logSize)
	if err != nil {
		return err
	}
	connected := a.connecting(ctx)
	p, err := project.Load(ctx, opts)
	noEngine := connected(err)
	if err != nil {
		return err
	}
	_, in := terminal(a.parts.Stdin)
	_, out := terminal(a.parts.Stdout)
	screen := in && out && a.env["TERM"] != "dumb" && !f.plain && !f.json && !f.detach
	if !screen {
		a.warn(p)
	}
	if noEngine != nil {
		return noEngine
	}
	if c := a.dial(ctx, p.Name); c != nil {
		if f.detach {
			ctx, explain := a.attended(ctx, p.Name, nil)
			return explain(a.upThrough(ctx, c, p, f, services))
		}
		return fmt.Errorf("up %s: %w (process %d)", p.Name, errRunning, c.hello.PID)
	}
	o := f.engineOptions()
	o.Logs = logs.New(logs.Options{ServiceBytes: keep})
	if !screen {
		o.LogTail = -1 // what was said before is `bulkhead logs`' matter
	}
	o.Ignore = ownOutput(a.parts.Stdout, a.parts.Stderr)
	s, err := a.open(ctx, p, o, func(ctx context.Context) (*project.Project, error) { return project.Load(ctx, opts) }, true)
	if err != nil {
		return fmt.Errorf("up %s: %w", p.Name, err)
	}
	s.keep = f.leave
	switch {
	case screen:
		return s.run(s.screen)
	case f.detach:
		return s.run(func(ctx context.Context) (Outcome, error) {
			ctx, explain := a.attended(ctx, p.Name, nil)
			o, err := s.detach(ctx, f)
			return o, explain(err)
		})
	}
	s.printer = newPrinter(a.parts.Stdout)
	s.printer.json, s.printer.stamps = f.json, f.stamps
	s.printer.colour = a.colours() && !f.noColor
	s.printer.width = nameWidth(p)
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

// logSize is how many bytes of each service's log are kept: the flag's, else the person's setting, else 0 for the default.
func (a *app) logSize(flag string) (int64, error) {
	text, what := flag, "--log-size"
	if text == "" && a.parts.LogSize != nil {
		var err error
		if text, err = a.parts.LogSize(); err != nil {
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

// ownOutput tells the files that our output is redirected to: in a build context each line of it would be a change.
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

// scales reads SERVICE=N.
func scales(list []string) (map[string]int, error) {
	out := map[string]int{}
	for _, s := range list {
		name, count, ok := strings.Cut(s, "=")
		n, err := strconv.Atoi(count)
		if !ok || name == "" || err != nil || n < 0 {
			return nil, usagef("scale %s: write SERVICE=N, as web=2", s)
		}
		out[name] = n
	}
	return out, nil
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
	o, err := s.a.parts.Screen(ctx, s.e, version())
	if err == nil && o == Leave && ctx.Err() == nil {
		fmt.Fprintf(s.a.parts.Stdout, "%s runs on; `bulkhead` comes back to it, `bulkhead down` removes it\n", s.p.Name)
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
					s.a.complain(fmt.Sprintf("up %s: %s", s.p.Name, f.Err))
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
