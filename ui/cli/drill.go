package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"bulkhead/engine"
	"bulkhead/engine/drill"
	"bulkhead/engine/fault"
	"bulkhead/engine/logs"
	"bulkhead/engine/machine"
	"bulkhead/engine/project"
)

// exitFound is the exit code of a drill that ran and came to what --fail-on names.
const exitFound = 4

// drillVerb puts a fault on each service in turn.
type drillVerb struct {
	app     *app
	o       drill.Options
	load    string
	json    bool
	junit   string
	report  string
	compare string
	failOn  string

	p       *project.Project
	verdict []drill.Verdict // of failOn
	old     *drill.Report   // of compare; nil: none
}

func (v *drillVerb) command() *cobra.Command {
	c := &cobra.Command{
		Use:   "drill [SERVICE…]",
		Short: "Put a fault on each service in turn, and say who else suffers",
		Long: `Put a fault on one service after the other, watch all others by their probes, health, logs and containers, heal, and
come to a verdict for each: isolated, expected (may_degrade allows it), leak, stuck, unproven, flaky or failed.
Services with named volumes are left out unless --stateful is set. Ctrl+C heals first.

Exit codes: 4 when the drill came to a verdict that --fail-on names, 1 when it could not run.`,
		Example: `  bulkhead drill                                      kill every service without a volume
  bulkhead drill --stateful --fault pause             every service hangs in turn
  bulkhead drill orders --fault latency=500ms         one service answers late
  bulkhead drill --load http://localhost:8081/api/home@20 --report drill.html --junit drill.xml`,
		ValidArgsFunction: v.app.loader.completeServices,
		RunE: func(cmd *cobra.Command, services []string) error {
			v.o.Services = services
			return v.run(cmd.Context())
		},
	}
	v.app.addTakeOver(c)
	f := c.Flags()
	f.StringVar(&v.o.Fault, "fault", "kill",
		"the `fault`, as `bulkhead fault` takes it: kill, pause, latency=500ms")
	f.DurationVar(&v.o.Hold, "hold", drill.DefaultHold, "how long each fault lasts")
	f.DurationVar(&v.o.Settle, "settle", drill.DefaultSettle, "how long everybody may take to recover")
	f.IntVar(&v.o.Repeat, "repeat", 1, "run each row so many `times`; flaky is where they differ")
	f.StringVar(&v.load, "load", "", "make requests all the while: `URL[@RATE]`, RATE a second (5)")
	f.StringVar(&v.o.Load.Command, "load-cmd", "", "run this `command` on this machine all the while")
	f.BoolVar(&v.o.Tap, "tap", false, "look at the calls between services, too: their errors are evidence")
	f.BoolVar(&v.o.Cut, "cut", false, "a fault of connections cuts those that exist, which else go on without it")
	f.BoolVar(&v.o.Stateful, "stateful", false, "services with named volumes get the fault, too")
	f.BoolVar(&v.o.AllowUnhealthy, "allow-unhealthy", false,
		"run though a service is unhealthy; nothing is said of it then")
	f.BoolVar(&v.json, "json", false, "the report as JSON on stdout; the matrix goes to stderr")
	f.StringVar(&v.report, "report", "", "write a report to this `file`, .md or .html")
	f.StringVar(&v.junit, "junit", "", "write the rows as JUnit XML to this `file`")
	f.StringVar(&v.compare, "compare", "", "say what changed since the drill whose JSON is in this `file`")
	f.StringVar(&v.failOn, "fail-on", "leak,stuck,failed",
		"`verdicts` that lead to exit code 4; none: no verdict does")
	return c
}

// check refuses flags that cannot be meant, before anything is done to anybody.
func (v *drillVerb) check() (err error) {
	if v.verdict, err = drill.ParseVerdicts(v.failOn); err != nil {
		return usagef("--fail-on: %w", err)
	}
	if v.load != "" {
		command := v.o.Load.Command
		if v.o.Load, err = drill.ParseLoad(v.load); err != nil {
			return usagef("--load: %w", err)
		}
		v.o.Load.Command = command
	}
	f, err := fault.Parse(v.o.Fault, "")
	if err != nil {
		return usagef("--fault: %w", err)
	}
	if k := fault.KindOf(f.Kind); v.o.Cut && k.Scope != fault.ScopeEdge {
		return usagef("--cut: %s is not a fault of connections", k.Name)
	}
	for flag, file := range map[string]string{"--report": v.report, "--junit": v.junit} {
		if file == "" {
			continue
		}
		if err := writable(file); err != nil { // better now than after the drill
			return usagef("%s: %w", flag, err)
		}
	}
	if v.o.Hold < time.Second || v.o.Hold > time.Hour/2 {
		return usagef("--hold %s: it may be between 1s and 30m", v.o.Hold)
	}
	if v.o.Settle < time.Second {
		return usagef("--settle %s: it may be 1s or more", v.o.Settle)
	}
	if v.o.Repeat < 1 || v.o.Repeat > 100 {
		return usagef("--repeat %d: it may be between 1 and 100", v.o.Repeat)
	}
	switch ext := strings.ToLower(filepath.Ext(v.report)); {
	case v.report == "" || ext == ".md" || ext == ".html" || ext == ".htm":
	default:
		return usagef("--report %s: its name has to end in .md or .html", v.report)
	}
	if v.compare != "" {
		data, err := os.ReadFile(v.compare)
		if err != nil {
			return usagef("--compare: %w", err)
		}
		if v.old, err = drill.Parse(data); err != nil {
			return usagef("--compare %s: %w", v.compare, err)
		}
	}
	return nil
}

func (v *drillVerb) run(ctx context.Context) (err error) {
	if err := v.check(); err != nil {
		return err
	}
	if v.p, err = v.app.loader.loadLenient(ctx, v.o.Services...); err != nil {
		return err
	}
	if err := v.app.conn.connect(ctx); err != nil {
		return err
	}
	if v.app.would("drill %s: %s on each in turn", listOrAll(v.o.Services), v.o.Fault) {
		return nil
	}
	out := &drillPrinter{console: v.app.console, json: v.json}
	var report *drill.Report
	done, err := v.app.conn.through(ctx, v.p.Name, func(c *client) (err error) {
		report, err = v.remote(ctx, c, out.show)
		return err
	})
	if !done && err == nil {
		report, err = v.alone(ctx, out)
	}
	if report == nil {
		return err
	}
	if end := v.finish(report, out); err == nil {
		err = end
	}
	if err != nil {
		return err
	}
	if found := report.Find(v.verdict); len(found) > 0 {
		return &exit{code: exitFound, err: fmt.Errorf("%s", report.Summary())}
	}
	return nil
}

// alone runs the drill in an engine of its own, which changes nothing else.
func (v *drillVerb) alone(ctx context.Context, out *drillPrinter) (*drill.Report, error) {
	s, err := v.app.openAsItRuns(ctx, "drill", v.p, engine.Options{LogTail: -1})
	if err != nil {
		return nil, err
	}
	var report *drill.Report
	err = s.runAndLeave(func(sctx context.Context) (err error) {
		defer context.AfterFunc(ctx, func() { _ = s.e.DrillAct(drill.ActAbort, "") })() // it may have ended
		if err := v.settled(ctx, s); err != nil {
			return fmt.Errorf("drill %s: %w", v.p.Name, err)
		}
		report, err = followDrill(sctx, s.e, v.o, out.show)
		return err
	})
	return report, err
}

// settleWait is how long a drill without an `up` waits until what runs is seen to be ready: our own probes
// begin with it.
const settleWait = 30 * time.Second

// settled waits until all is ready. What is not by then is the drill's to judge, which says what a person
// can do about it.
func (v *drillVerb) settled(ctx context.Context, s *session) error {
	wait, cancel := context.WithTimeout(ctx, settleWait)
	defer cancel()
	defer v.app.console.notifyAfter(slowAnswer, "waiting until all services are ready")()
	err := s.e.WaitReady(wait)
	// Where the machine has no CPU left, the drill looks for itself whether a check says anything.
	if ctx.Err() != nil || err != nil && wait.Err() == nil && !v.o.AllowUnhealthy && !machine.Read().Starved() {
		return cmp.Or(ctx.Err(), err)
	}
	return nil
}

// followDrill runs a drill and shows it as it goes on.
func followDrill(
	ctx context.Context, e *engine.Engine, o drill.Options, show func(*drill.Report),
) (*drill.Report, error) {
	var other time.Time // when the drill began that is shown already, which is not this one
	if n := e.Snapshot(); n.Drill != nil {
		other = n.Drill.Began
	}
	changed, stop := e.Subscribe()
	defer stop()
	type ended struct {
		report *drill.Report
		err    error
	}
	done := make(chan ended, 1)
	go func() {
		var end ended
		end.err = guarded("drill", func() (err error) { end.report, err = e.Drill(ctx, o); return err })
		done <- end
	}()
	var shown *drill.Report
	for {
		select {
		case end := <-done:
			return end.report, end.err
		case <-changed:
			if n := e.Snapshot(); n.Drilling && n.Drill != nil && n.Drill != shown &&
				!n.Drill.Began.Equal(other) {
				shown = n.Drill
				show(shown)
			}
		}
	}
}

// finish writes the reports.
func (v *drillVerb) finish(r *drill.Report, out *drillPrinter) error {
	out.end(r)
	if v.old != nil {
		changed := drill.Compare(v.old, r)
		for _, d := range changed {
			out.line("since " + filepath.Base(v.compare) + ": " + d.String())
		}
		if len(changed) == 0 {
			out.line("since " + filepath.Base(v.compare) + ": nothing changed in the rows that both have")
		}
	}
	if v.json {
		if err := v.app.console.printJSON(r); err != nil {
			return err
		}
	}
	if v.report != "" {
		if err := r.Save(v.report); err != nil {
			return fmt.Errorf("--report: %w", err)
		}
	}
	if v.junit != "" {
		err := drill.WriteFile(v.junit, func(w io.Writer) error { return r.WriteJUnit(w, v.verdict) })
		if err != nil {
			return fmt.Errorf("--junit: %w", err)
		}
	}
	return nil
}

// drillPrinter prints a drill as its rows come to their ends.
type drillPrinter struct {
	console *console
	json    bool
	printed map[string]string // the last line of each row
	headed  bool
	based   bool
	noted   int // notes that are printed
}

func (p *drillPrinter) line(text string) {
	w := p.console.stdout
	if p.json {
		w = p.console.stderr
	}
	fmt.Fprintln(w, logs.CleanLine(text)) // when its reader is gone, the drill still has to heal
}

// show prints what is new in a report.
func (p *drillPrinter) show(r *drill.Report) {
	if !p.headed {
		p.headed = true
		p.printed = map[string]string{}
		p.line("Isolation drill · " + r.Title())
		if r.Load != "" {
			p.line("load: " + r.Load)
		}
	}
	for ; p.noted < len(r.Notes); p.noted++ {
		p.line(r.Notes[p.noted])
	}
	if text := r.BaselineText(); text != "" && !p.based {
		p.based = true
		p.line("baseline: " + text)
		p.line("")
		p.line(r.Head())
	}
	for i := range r.Rows {
		row := &r.Rows[i]
		if row.Phase != drill.PhaseDone || !p.based && row.Verdict == drill.Failed {
			continue
		}
		// Later baselines may show that what looked like trouble was noise.
		if text := r.Line(i); p.printed[row.Killed] != text {
			p.printed[row.Killed] = text
			p.line(text)
		}
	}
}

// end prints what a matrix does not say.
func (p *drillPrinter) end(r *drill.Report) {
	p.show(r)
	if p.based { // else there is no matrix
		p.line("")
		for _, l := range drill.Legend() {
			p.line(l)
		}
	}
	for _, n := range r.RowNotes() {
		p.line(n)
	}
	for i := range r.Rows {
		row := &r.Rows[i]
		if row.Verdict < drill.Unproven {
			continue
		}
		for _, c := range row.Cells {
			if c.Outcome == drill.Untouched || c.Declared {
				continue
			}
			p.line("")
			p.line(fmt.Sprintf("%s > %s: %s%s", row.Killed, c.Service, c.Outcome, because(c.Why)))
			for _, e := range c.Evidence {
				p.line("  " + e.String())
			}
		}
	}
	p.line("")
	p.line(r.Summary())
}

func because(why string) string {
	if why == "" {
		return ""
	}
	return ", " + why
}
