package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"bulkhead/engine"
	"bulkhead/engine/fault"
	"bulkhead/engine/project"
)

type faultVerb struct {
	app          *app
	from, to     string
	lasts        time.Duration
	replica      int
	cut          bool
	asJSON, list bool
}

func (v *faultVerb) command() *cobra.Command {
	c := &cobra.Command{
		Use:   "fault SERVICE FAULT[=VALUE]",
		Short: "Break one thing on purpose, for a while: latency, loss, partition, CPU, kill, …",
		Long: `fault does one thing to a service on purpose and heals it when its time is over. --list shows what can be done here.
With a running "up" it returns once the fault is in force; without one it stays until the fault is healed,
by its time, by ctrl+c, or by "bulkhead heal".`,
		Example: `  bulkhead fault orders latency=500ms --from gateway --for 30s
  bulkhead fault orders loss=10%
  bulkhead fault orders partition --to payments
  bulkhead fault orders cpu=0.1 --for 5m`,
		ValidArgsFunction: v.complete,
		RunE:              func(cmd *cobra.Command, args []string) error { return v.run(cmd.Context(), args) },
	}
	v.app.addTakeOver(c)
	c.Flags().StringVar(&v.from, "from", "", "only the calls of this `service` to it")
	c.Flags().StringVar(&v.to, "to", "", "only its calls to this service, HOST[:PORT] or CIDR")
	c.Flags().DurationVar(&v.lasts, "for", fault.DefaultFor, "how long, one hour at most")
	c.Flags().Var(number{&v.replica, 0, mostReplica}, "replica", "only this replica; 0 is all")
	c.Flags().BoolVar(&v.cut, "cut", false, "connections that exist are cut, too")
	c.Flags().BoolVar(&v.asJSON, "json", false, "one JSON object a line")
	c.Flags().BoolVar(&v.list, "list", false, "show all faults, and what this engine and its kernel cannot do")
	return c
}

// complete offers services, then faults.
func (v *faultVerb) complete(
	cmd *cobra.Command, args []string, word string,
) ([]string, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return v.app.loader.completeServices(cmd, args, word)
	}
	var out []string
	for _, k := range fault.Kinds() {
		out = append(out, k.Example+"\t"+k.Help)
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}

func (v *faultVerb) run(ctx context.Context, args []string) error {
	if v.list {
		if len(args) > 0 {
			return usagef("fault --list: it takes no arguments")
		}
		return v.show(ctx)
	}
	if len(args) != 2 {
		return usagef(
			"fault: it takes a service and a fault, as in `bulkhead fault orders latency=500ms`; `bulkhead fault --list` shows all")
	}
	f, err := fault.Parse(args[1], args[0])
	if err != nil {
		return usagef("%w", err)
	}
	f.From, f.To, f.For, f.Replica, f.Cut = v.from, v.to, v.lasts, v.replica, v.cut
	if v.lasts <= 0 {
		return usagef("fault: --for %s: it may last between a moment and one hour", v.lasts)
	}
	if err := f.Check(); err != nil {
		return usagef("%w", err)
	}
	named := []string{f.Service}
	if f.From != "" {
		named = append(named, f.From)
	}
	x := &faultAction{app: v.app, json: v.asJSON}
	return x.with(ctx, named, func(ctx context.Context) error {
		if v.app.would("fault %s: %s", f.Edge(), f.Words()) {
			return nil
		}
		return x.inject(ctx, f)
	})
}

// faultAction is a fault, or a heal, on a project that runs.
type faultAction struct {
	app  *app
	json bool
	out  *printer

	name   string
	p      *project.Project // nil where there is only a name
	healed int              // faults that were reported to be
}

// with finds the project and its engine, and calls f.
func (x *faultAction) with(ctx context.Context, services []string, f func(context.Context) error) (err error) {
	connected := x.app.conn.startConnect(ctx)
	x.name, x.p, err = x.app.loader.find(ctx, services...)
	if err = connected(err); err != nil {
		return err
	}
	x.out = newPrinter(x.app.console.stdout)
	x.out.json = x.json
	if err := x.app.conn.supervised(ctx, x.name, f); err != nil {
		return err
	}
	return x.out.failed()
}

func (x *faultAction) inject(ctx context.Context, f fault.Fault) error {
	c, err := x.app.conn.dial(ctx, x.name)
	if err != nil {
		return err
	}
	if c != nil {
		return x.remote(ctx, c, engine.Command{Verb: engine.VerbFault, Fault: &f})
	}
	faults, err := x.direct(ctx)
	if err != nil {
		return err
	}
	// Until the fault is healed this process keeps it in force.
	run, end := context.WithCancel(ctx)
	defer end()
	ended := background("faults", func() error { return faults.Run(run) })
	f.Why = "you asked for it"
	a, err := faults.Inject(ctx, f)
	if err == nil {
		faults.Wait(ctx, a.Fault.ID)
	}
	end()
	return errors.Join(err, <-ended)
}

// direct returns the faults of a project that no `up` runs, once those of dead processes are healed.
func (x *faultAction) direct(ctx context.Context) (*fault.Injector, error) {
	if err := x.app.checkHolder(ctx, x.name); err != nil {
		return nil, err
	}
	faults, err := x.faults(ctx)
	if err != nil {
		return nil, err
	}
	_, err = faults.Recover(ctx, false)
	return faults, err
}

// faults are those of the project, which are worked on without an engine that runs it.
func (x *faultAction) faults(ctx context.Context) (*fault.Injector, error) {
	return engine.DirectFaults(ctx, x.app.conn.rt, x.name, x.p, x.app.env.stateDir(), x.report)
}

func (x *faultAction) report(r engine.Record) {
	if r.Time.IsZero() {
		r.Time = time.Now()
	}
	if r.Kind == "fault" && r.Action == "heal" {
		x.healed++
	}
	x.out.records([]engine.Record{r}, func(engine.Record) []string { return nil })
}

// remote has the running `up` do it.
func (x *faultAction) remote(ctx context.Context, c *client, cmd engine.Command) error {
	lines, err := c.do(ctx, cmd)
	for _, l := range lines {
		if !x.json {
			x.out.text(l)
		}
	}
	if x.json && err == nil {
		rows, ferr := c.faults(ctx)
		if ferr != nil {
			return ferr
		}
		x.out.text(string(encode(rows)))
	}
	return err
}

// faultKindRow is one line of the catalogue as scripts see it.
type faultKindRow struct {
	Fault   string `json:"fault"`
	Value   string `json:"value,omitempty"`
	Example string `json:"example"`
	Edge    bool   `json:"edge"` // takes --from and --to
	Help    string `json:"help"`
	Lacks   string `json:"lacks,omitempty"` // why it is not possible here
}

// show lists the catalogue, with what is not possible here. That is about the engine and its kernel, so it
// takes no project.
func (v *faultVerb) show(ctx context.Context) error {
	conn := v.app.conn
	if err := conn.connect(ctx); err != nil {
		return err
	}
	// The agent that tries the kernel has to be of some project, and is gone in a moment.
	faults, err := engine.DirectFaults(ctx, conn.rt, "bulkhead", nil, "", nil)
	if err != nil {
		return err
	}
	lacks, err := faults.Support.Offer(ctx)
	if err != nil {
		return err
	}
	var rows []faultKindRow
	for _, k := range fault.Kinds() {
		rows = append(rows, faultKindRow{k.Name, k.Value, k.Example, k.Scope == fault.ScopeEdge, k.Help,
			clean(lacks[k.Name])})
	}
	if v.asJSON {
		out := newPrinter(v.app.console.stdout)
		out.text(string(encode(rows)))
		return out.failed()
	}
	w := tabwriter.NewWriter(v.app.console.stdout, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "FAULT\tEXAMPLE\tEDGE\tWHAT IT DOES")
	for _, r := range rows {
		edge, help := "", r.Help
		if r.Edge {
			edge = "yes"
		}
		if r.Lacks != "" {
			help = "not possible here: " + r.Lacks
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", r.Fault, r.Example, edge, help)
	}
	return w.Flush()
}

// listOrAll names services; none are all.
func listOrAll(services []string) string {
	if len(services) == 0 {
		return "all services"
	}
	return strings.Join(services, ", ")
}

type healVerb struct {
	app    *app
	force  bool
	asJSON bool
}

func (v *healVerb) command() *cobra.Command {
	c := &cobra.Command{
		Use:               "heal [SERVICE…]",
		Short:             "End faults, of these services or all",
		ValidArgsFunction: v.app.loader.completeServices,
		RunE: func(cmd *cobra.Command, services []string) error {
			x := &faultAction{app: v.app, json: v.asJSON}
			return x.with(cmd.Context(), services, func(ctx context.Context) error {
				if v.app.would("heal %s", listOrAll(services)) {
					return nil
				}
				return x.heal(ctx, services, v.force)
			})
		},
	}
	v.app.addTakeOver(c)
	c.Flags().BoolVar(&v.force, "force", false, "those that another running process keeps in force, too")
	c.Flags().BoolVar(&v.asJSON, "json", false, "one JSON object a line")
	return c
}

// heal ends faults, whoever keeps them in force, and says which, or that there were none.
func (x *faultAction) heal(ctx context.Context, services []string, force bool) error {
	c, err := x.app.conn.dial(ctx, x.name)
	if err != nil {
		return err
	}
	if c != nil && !force {
		rows, err := c.faults(ctx)
		if err != nil {
			return err
		}
		if err := x.remote(ctx, c, engine.Command{Verb: engine.VerbHeal, Services: services}); err != nil {
			return err
		}
		x.healed += len(slices.DeleteFunc(rows, func(r faultRow) bool { return !r.touches(services) }))
	}
	faults, err := x.faults(ctx)
	if err != nil {
		return err
	}
	held, err := faults.Recover(ctx, force)
	err = errors.Join(err, faults.Ask(ctx, held, services...))
	// The rows that --json prints for a running up tell it, too.
	if err == nil && x.healed+x.app.conn.healed == 0 && (c == nil || force || !x.json) {
		text := "nothing to heal: no fault is in force"
		if len(services) > 0 {
			text += " on " + strings.Join(services, ", ")
		}
		x.report(engine.Record{Kind: "notice", Text: text})
	}
	return err
}

// healLeft heals the faults that a process which died has left in a project. What does not work is
// printed and keeps nobody from their verb.
func (c *connection) healLeft(ctx context.Context, name string) {
	if c.env == nil || !fault.Left(c.env.stateDir(), name) {
		return
	}
	faults, err := engine.DirectFaults(ctx, c.rt, name, nil, c.env.stateDir(), func(r engine.Record) {
		if r.Action == "heal" {
			c.healed++
		}
		c.console.notify(eventText(r))
	})
	if err == nil {
		_, err = faults.Recover(ctx, false)
	}
	if err != nil {
		c.console.printWarning(clean(err.Error()))
	}
}
