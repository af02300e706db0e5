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
	wait                time.Duration
	scale               []string
	logSize             string
}

func (a *app) addUpFlags(c *cobra.Command, f *upFlags) {
	fs := c.Flags()
	fs.BoolVar(&f.plain, "plain", false, "no screen: log lines after the name of their service, and a line for each event")
	fs.BoolVar(&f.json, "json", false, "no screen: a JSON object a line")
	fs.BoolVarP(&f.detach, "detach", "d", false, "wait until all is ready, print the table of ps, and leave it running")
	fs.BoolVar(&f.noWatch, "no-watch", false, "do not watch files")
	fs.BoolVar(&f.build, "build", false, "build the images even if they are there")
	fs.BoolVar(&f.noBuild, "no-build", false, "build nothing; a missing image is an error")
	fs.BoolVar(&f.removeOrphans, "remove-orphans", false, "remove containers of services that the file does not name")
	fs.BoolVar(&f.recreate, "force-recreate", false, "make all containers anew")
	fs.BoolVar(&f.leave, "leave", false, "leave the project running when this ends")
	fs.BoolVar(&f.noColor, "no-color", false, "with --plain: no colours")
	fs.BoolVarP(&f.stamps, "timestamps", "t", false, "with --plain: the time before each log line")
	fs.DurationVar(&f.wait, "wait-timeout", 5*time.Minute, "how long to wait for all to be ready; without -d, say so when it takes longer")
	fs.StringArrayVar(&f.scale, "scale", nil, "`SERVICE=N` replicas, repeatable")
	fs.StringVar(&f.logSize, "log-size", "", "keep this `size` of each service's log in memory, 16 times that in all (default 16MiB, or log_size of the config file)")
	exclusive(c, "plain", "json", "detach")
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
			return explain(a.upThrough(ctx, c, f, services))
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
			o, err := s.detach(ctx, f.wait)
			return o, explain(err)
		})
	}
	s.printer = newPrinter(a.parts.Stdout)
	s.printer.json, s.printer.stamps = f.json, f.stamps
	s.printer.colour = a.colours() && !f.noColor
	s.printer.width = nameWidth(p)
	return s.run(func(ctx context.Context) (Outcome, error) { return s.stream(ctx, f.wait) })
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
		wctx, cancel := context.WithTimeout(ctx, wait)
		defer cancel()
		if s.e.WaitReady(wctx) != nil && ctx.Err() == nil && errors.Is(wctx.Err(), context.DeadlineExceeded) {
			s.a.complain(fmt.Sprintf("up %s: not ready after %s: %s", s.p.Name, took(wait), unready(s.e.Snapshot())))
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

// detach waits until all is ready and prints the table.
func (s *session) detach(ctx context.Context, wait time.Duration) (Outcome, error) {
	if _, ok := terminal(s.a.parts.Stderr); !ok {
		defer s.warnings()
	} else {
		progress := newPrinter(s.a.parts.Stderr)
		s.tasks.Go("progress", func(context.Context) error {
			return eachRecord(ctx, s.e, 0, func(recs []engine.Record) error {
				progress.records(recs, func(engine.Record) []string { return nil })
				return nil
			})
		})
	}
	wctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	err := s.e.WaitReady(wctx)
	if err == nil && s.settled(wctx) {
		err = s.e.WaitReady(wctx)
	}
	switch {
	case err == nil:
		return Leave, printTable(s.a.parts.Stdout, snapshotRows(s.e.Snapshot()))
	case ctx.Err() != nil: // the cause of ctx says what is to happen
		why := context.Cause(ctx)
		if errors.Is(why, errSignal) {
			why = errors.New("interrupted before all was ready; what was started is stopped again")
		}
		return Leave, fmt.Errorf("up %s: %w", s.p.Name, why)
	case wctx.Err() != nil:
		snap := s.e.Snapshot()
		s.a.quote(lastWords(ctx, s.a.rt, s.e, troubled(snap, nil)))
		return Leave, fmt.Errorf("up %s: not ready after %s: %s; give it longer with --wait-timeout, or look with `bulkhead logs`", s.p.Name, took(wait), unready(snap))
	}
	s.a.quote(lastWords(ctx, s.a.rt, s.e, troubled(s.e.Snapshot(), err)))
	return Leave, fmt.Errorf("up %s: %w", s.p.Name, err)
}

// warnings prints what the engine had to leave out, where no progress was printed.
func (s *session) warnings() {
	recs, _ := s.e.Records(0)
	for _, r := range recs {
		if r.Kind == "notice" && r.Notice == "warning" {
			s.a.complain("warning: " + r.Text)
		}
	}
}

// firstBreath is how long a service that nothing checks is looked at before its start is called good: what dies of a missing
// file or a wrong flag has died by then. It is short, for it is a part of every such `up -d`.
const firstBreath = 250 * time.Millisecond

// settled waits until whatever was started without a healthcheck has lived that long, and tells whether there was anything to wait for.
func (s *session) settled(ctx context.Context) bool {
	youngest := time.Time{}
	for _, svc := range s.e.Snapshot().Services {
		for _, r := range svc.Replicas {
			if r.State == engine.StateRunning && r.Health <= engine.HealthNone && r.Identity.Started.After(youngest) {
				youngest = r.Identity.Started
			}
		}
	}
	// The engine's clock may be another machine's: no wait is longer than the whole of it.
	left := min(firstBreath-time.Since(youngest), firstBreath)
	if left <= 0 {
		return false
	}
	select {
	case <-time.After(left):
	case <-ctx.Done():
	}
	return true
}

// upThrough asks the `up` that runs already.
func (a *app) upThrough(ctx context.Context, c *client, f *upFlags, services []string) error {
	name := c.hello.Project
	if _, err := c.do(ctx, engine.Command{Verb: engine.VerbUp, Services: services, Cause: "up -d from another terminal"}); err != nil {
		return fmt.Errorf("up %s: %w", name, err)
	}
	wctx, cancel := context.WithTimeout(ctx, f.wait)
	defer cancel()
	lines, err := c.wait(wctx, services)
	if wctx.Err() != nil && ctx.Err() == nil {
		err = fmt.Errorf("not ready after %s; `bulkhead ps` shows what is missing", took(f.wait))
	}
	if err != nil {
		a.quote(lines)
		return fmt.Errorf("up %s: %w", name, err)
	}
	rows, err := c.snapshot(ctx)
	if err != nil {
		return err
	}
	return printTable(a.parts.Stdout, rows)
}

// quote prints the last words of a service on stderr.
func (a *app) quote(lines []string) {
	for _, l := range lines {
		fmt.Fprintln(a.parts.Stderr, clean(l)) // as complain
	}
}

// unready names the services that are not ready and why.
func unready(s *engine.Snapshot) string {
	var out []string
	for _, svc := range s.Services {
		if svc.Ready {
			continue
		}
		text := svc.Name + " is " + svc.State.String()
		switch {
		case svc.Err != "":
			text += ": " + svc.Err
		case len(svc.WaitsFor) > 0:
			text += ", waits for " + strings.Join(svc.WaitsFor, ", ")
		case svc.Doing != "":
			text += ", " + svc.Doing
		case svc.Health > engine.HealthNone:
			text += ", " + svc.Health.String()
		}
		out = append(out, text)
	}
	return strings.Join(out, "; ")
}

// troubled finds the service that an error of WaitReady is about; nil when there is none.
func troubled(s *engine.Snapshot, err error) *engine.Service {
	var found *engine.Service
	for i := range s.Services {
		svc := &s.Services[i]
		if svc.Ready {
			continue
		}
		if err != nil && strings.HasPrefix(err.Error(), svc.Name+":") {
			return svc
		}
		if found == nil || len(svc.WaitsFor) == 0 && len(found.WaitsFor) > 0 {
			found = svc
		}
	}
	return found
}

// quoted is how many lines of a service are shown with an error.
const quoted = 15

// lastWords gives the last lines of a service: of its build when that is what went wrong, else of its log.
func lastWords(ctx context.Context, rt engine.Runtime, e *engine.Engine, svc *engine.Service) []string {
	if svc == nil {
		return nil
	}
	out := []string{}
	builds := e.Snapshot().Builds
	for i := len(builds) - 1; i >= 0; i-- {
		b := builds[i]
		for _, name := range b.Services {
			if name == svc.Name && b.Err != "" && len(svc.Replicas) == 0 {
				for _, l := range b.Lines[max(0, len(b.Lines)-quoted):] {
					out = append(out, svc.Name+" | "+clean(l))
				}
				return out
			}
		}
	}
	// From the runtime, not from the log store: what a container wrote just before it ended may be on its way there.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
	defer cancel()
	for _, r := range svc.Replicas {
		if r.Identity.ID == "" {
			continue
		}
		err := rt.Logs(ctx, r.Identity.ID, engine.LogOptions{Tail: quoted}, func(l logs.Line) {
			out = append(out, replicaName(svc.Name, r.Number)+" | "+clean(string(l.Text)))
		})
		if err != nil {
			out = append(out, fmt.Sprintf("%s | (its log cannot be read: %s)", svc.Name, oneLine(err.Error())))
		}
	}
	return out
}
