package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"bulkhead/engine"
	"bulkhead/engine/edge"
	"bulkhead/engine/logs"
	"bulkhead/engine/project"
)

// tapVerb looks at the calls between services.
type tapVerb struct {
	app       *app
	from      string
	off, show bool
	lasts     time.Duration
	every     time.Duration
	json      bool

	p *project.Project
}

func (v *tapVerb) command() *cobra.Command {
	c := &cobra.Command{
		Use:   "tap [SERVICE…]",
		Short: "Look at the calls between services: who calls whom, how often, how well",
		Long: `tap counts the connections, bytes and HTTP requests between services, without changing them: new TCP connections
of the callers go through a small program of ours that runs in their network. Without a SERVICE it looks at all calls,
else at those from and to the named ones. Connections that exist already are not seen, and counted as such.

With a running "up" it returns once the tap is on; the screen (c) and drills use it, and --off ends it. Without one, and
with --for, it stays and prints the edges, until its time is over or ctrl+c, and takes the tap away again.

An edge that is used and not declared (depends_on, links, x-bulkhead.calls) is named, and so is one that is declared and
was not used in a minute.`,
		Example: `  bulkhead tap                          all calls
  bulkhead tap orders --from gateway    one edge
  bulkhead tap --for 30s --json         half a minute of all calls, for a script
  bulkhead tap --show                   what a tap that is on has seen so far`,
		ValidArgsFunction: v.app.loader.completeServices,
		RunE:              withServices(v.run),
	}
	f := c.Flags()
	f.StringVar(&v.from, "from", "", "only the calls of this `service`")
	f.BoolVar(&v.off, "off", false, "end the tap of a running up, of these services or all")
	f.BoolVar(&v.show, "show", false, "print what the tap of a running up has seen")
	f.DurationVar(&v.lasts, "for", 0, "stay so long, and print what was seen")
	f.DurationVar(&v.every, "every", 5*time.Second, "how often the edges are printed; 0: only in the end")
	f.BoolVar(&v.json, "json", false, "one JSON object an edge and line")
	exclusive(c, "off", "show", "for")
	v.app.addTakeOver(c)
	return c
}

func (v *tapVerb) run(ctx context.Context, services []string) (err error) {
	if v.lasts < 0 || v.every < 0 || v.every > 0 && v.every < time.Second {
		return usagef("tap: --for and --every are 0, or a second and more")
	}
	named := slices.Clone(services)
	if v.from != "" {
		named = append(named, v.from)
	}
	if v.p, err = v.app.loader.loadLenient(ctx, named...); err != nil {
		return err
	}
	if err := v.app.conn.connect(ctx); err != nil {
		return err
	}
	c, err := v.app.conn.dial(ctx, v.p.Name)
	if err != nil {
		return err
	}
	if !v.show && v.app.would("tap %s", listOrAll(services)) {
		return nil
	}
	cmd := engine.Command{Verb: engine.VerbTap, Services: services, From: v.from}
	switch {
	case c == nil && (v.off || v.show):
		return fmt.Errorf("tap %s: no `up` runs it, so nothing of it is tapped", v.p.Name)
	case v.off:
		cmd.Verb = engine.VerbUntap
		return v.printAnswer(c.do(ctx, cmd))
	case v.show:
		rows, err := c.edges(ctx)
		if err != nil {
			return err
		}
		return v.print(rows)
	case c == nil:
		return v.alone(ctx, cmd)
	case v.lasts == 0:
		return v.printAnswer(c.do(ctx, cmd))
	}
	return v.throughUp(ctx, c, cmd)
}

// printAnswer prints what came of a command of the running `up`.
func (v *tapVerb) printAnswer(lines []string, err error) error {
	for _, l := range lines {
		if !v.json {
			fmt.Fprintln(v.app.console.stdout, logs.CleanLine(l))
		}
	}
	return err
}

// throughUp has the running `up` tap for a while.
func (v *tapVerb) throughUp(ctx context.Context, c *client, cmd engine.Command) error {
	before, err := c.edges(ctx)
	if err != nil {
		return err
	}
	if _, err := c.do(ctx, cmd); err != nil {
		return err
	}
	end := func() error {
		if len(before.Tapping) > 0 { // whoever tapped before still wants it
			return nil
		}
		tidy, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
		defer cancel()
		cmd.Verb = engine.VerbUntap
		_, err := c.do(tidy, cmd)
		return err
	}
	err = v.follow(ctx, func(ctx context.Context) (tapRows, error) { return c.edges(ctx) })
	if after := end(); err == nil {
		err = after
	}
	return err
}

// alone taps in an engine of its own, which changes nothing else.
func (v *tapVerb) alone(ctx context.Context, cmd engine.Command) error {
	s, err := v.app.openAsItRuns(ctx, "tap", v.p, engine.Options{NoLogs: true})
	if err != nil {
		return err
	}
	return s.runAndLeave(func(sctx context.Context) error {
		sctx, stop := context.WithCancel(sctx)
		defer stop()
		defer context.AfterFunc(ctx, stop)()
		if err := s.e.Do(sctx, cmd); err != nil {
			return err
		}
		return v.follow(sctx, func(context.Context) (tapRows, error) {
			return edgeRows(s.e.Snapshot()), nil
		})
	})
}

// follow prints the edges every now and then, and in the end.
func (v *tapVerb) follow(ctx context.Context, look func(context.Context) (tapRows, error)) error {
	if !v.json {
		v.app.console.notify("tapping; ctrl+c ends it")
	}
	var over, due <-chan time.Time
	if v.lasts > 0 {
		over = time.After(v.lasts)
	}
	if v.every > 0 {
		tick := time.NewTicker(v.every)
		defer tick.Stop()
		due = tick.C
	}
	for done := false; !done; {
		select {
		case <-due:
		case <-over:
			done = true
		case <-ctx.Done():
			done = true
		}
		rows, err := look(context.WithoutCancel(ctx))
		if err != nil {
			return err
		}
		if err := v.print(rows); err != nil {
			return err
		}
	}
	return nil
}

func (v *tapVerb) print(rows tapRows) error {
	out := v.app.console.stdout
	if v.json {
		for _, r := range rows.Edges {
			if _, err := fmt.Fprintln(out, string(encode(r))); err != nil {
				return err
			}
		}
		return nil
	}
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, strings.Join(edge.Heads, "\t"))
	for i := range rows.all {
		cells := rows.all[i].Cells()
		for n := range cells {
			cells[n] = clean(cells[n])
		}
		fmt.Fprintln(w, strings.Join(cells, "\t"))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if len(rows.all) == 0 {
		fmt.Fprintln(out, "no calls yet")
	}
	for i := range rows.all {
		for n := range rows.all[i].Routes[:min(3, len(rows.all[i].Routes))] {
			fmt.Fprintln(out, logs.CleanLine(fmt.Sprintf("  %s → %s  %s", rows.all[i].From,
				rows.all[i].To, rows.all[i].Routes[n].Text())))
		}
	}
	_, err := fmt.Fprintln(out)
	return err
}

// tapRows is the answer to GET /v1/edges.
type tapRows struct {
	Tapping []tapRow  `json:"tapping"`
	Edges   []edgeRow `json:"edges"`

	all []edge.Edge
}

type tapRow struct {
	From string `json:"from,omitempty"`
	To   string `json:"to,omitempty"`
}

// edgeRow is an edge as scripts see it.
type edgeRow struct {
	Time      string     `json:"time"`
	From      string     `json:"from"`
	To        string     `json:"to"`
	Machine   bool       `json:"machine,omitempty"` // To is the engine's machine, and no service
	Declared  []string   `json:"declared"`
	Tapped    bool       `json:"tapped"`
	Finding   string     `json:"finding,omitempty"` // undeclared, unused
	Conns     int        `json:"connections"`
	Refused   int        `json:"refused,omitempty"`
	Kept      int        `json:"kept,omitempty"` // connections from before the tap, which it does not see
	Sent      int64      `json:"sent_bytes"`
	Received  int64      `json:"received_bytes"`
	Requests  int        `json:"requests"`
	Failed    int        `json:"failed"`
	PerSecond float64    `json:"requests_per_second"`
	Errors    float64    `json:"error_share"`
	P50       float64    `json:"p50_ms"`
	P95       float64    `json:"p95_ms"`
	Routes    []routeRow `json:"routes"`
}

type routeRow struct {
	Method   string      `json:"method"`
	Path     string      `json:"path"`
	Requests int         `json:"requests"`
	Failed   int         `json:"failed"`
	Statuses map[int]int `json:"statuses"` // 0: no answer
	P50      float64     `json:"p50_ms"`
	P95      float64     `json:"p95_ms"`
}

func edgeRows(n *engine.Snapshot) tapRows {
	out := tapRows{Tapping: []tapRow{}, Edges: []edgeRow{}, all: n.Edges}
	for _, t := range n.Tapping {
		out.Tapping = append(out.Tapping, tapRow{t.From, t.To})
	}
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	for _, e := range n.Edges {
		row := edgeRow{Time: n.Time.UTC().Format(stamp), From: e.From, To: e.To, Machine: e.Machine,
			Declared: append([]string{}, e.Declared...), Tapped: e.Tapped, Finding: e.Finding.String(),
			Conns: e.Conns, Refused: e.Refused, Kept: e.Kept, Sent: e.Sent, Received: e.Received,
			Requests: e.Requests, Failed: e.Failed,
			PerSecond: e.PerSecond, Errors: e.Errors, P50: ms(e.P50), P95: ms(e.P95), Routes: []routeRow{}}
		for _, r := range e.Routes {
			row.Routes = append(row.Routes, routeRow{Method: clean(r.Method), Path: clean(r.Path),
				Requests: r.Requests, Failed: r.Failed, Statuses: r.Statuses, P50: ms(r.P50), P95: ms(r.P95)})
		}
		out.Edges = append(out.Edges, row)
	}
	return out
}

// edges returns what the running `up` has seen of who calls whom.
func (c *client) edges(ctx context.Context) (tapRows, error) {
	var rows tapRows
	err := c.call(ctx, "/v1/edges", nil, &rows)
	for _, r := range rows.Edges {
		rows.all = append(rows.all, r.edge())
	}
	return rows, err
}

// edge is the row as the engine has it.
func (r *edgeRow) edge() edge.Edge {
	d := func(ms float64) time.Duration { return time.Duration(ms * float64(time.Millisecond)) }
	e := edge.Edge{From: r.From, To: r.To, Machine: r.Machine, Declared: r.Declared, Tapped: r.Tapped,
		Conns: r.Conns, Refused: r.Refused, Kept: r.Kept, Sent: r.Sent, Received: r.Received,
		Requests: r.Requests, Failed: r.Failed, PerSecond: r.PerSecond, Errors: r.Errors,
		P50: d(r.P50), P95: d(r.P95), Finding: edge.FindingOf(r.Finding)}
	for _, o := range r.Routes {
		e.Routes = append(e.Routes, edge.Route{Method: o.Method, Path: o.Path, Requests: o.Requests,
			Failed: o.Failed, Statuses: o.Statuses, P50: d(o.P50), P95: d(o.P95)})
	}
	return e
}
