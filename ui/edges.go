package ui

import (
	"fmt"
	"strings"

	tea "charm.land/bubbletea/v2"

	"bulkhead/engine"
	"bulkhead/engine/edge"
	"bulkhead/engine/fault"
)

// tapKey begins and ends the tap, in the dependency graph.
const tapKey = "t"

// tap taps all calls between services, or ends the tap.
func (g *graph) tap() tea.Cmd {
	if why := fault.KindOf("latency").Lacking(g.e.snap.Caps); why != "" {
		g.e.status.fail("tap: " + why)
		return nil
	}
	c := engine.Command{Verb: engine.VerbTap}
	if len(g.e.snap.Tapping) > 0 {
		c.Verb = engine.VerbUntap
	}
	return g.verb.send(string(c.Verb), tapKey, c)
}

func (g *graph) tapLabel() string {
	if len(g.e.snap.Tapping) > 0 {
		return "end the tap"
	}
	return "tap the calls"
}

// shownRoutes is how many kinds of requests of an edge are shown.
const shownRoutes = 4

// calls are the edges: who calls whom, how often, and how well, beside what is declared.
func (g *graph) calls(w int) []string {
	st, n := &g.e.st, g.e.snap
	if len(n.Edges) == 0 {
		if len(n.Tapping) > 0 {
			return []string{st.dim.s("the tap is on; no calls yet")}
		}
		return []string{st.key.s(tapKey) +
			st.dim.s(" taps the calls between services: who calls whom, how often, how well")}
	}
	state := "calls as last seen; the tap has ended"
	if len(n.Tapping) > 0 {
		state = "calls of the last 30 s"
	}
	name := len("CALLS")
	for i := range n.Edges {
		name = max(name, width(n.Edges[i].From+" → "+n.Edges[i].To))
	}
	name = min(name, max(w/2-8, 12))
	row := func(cells ...string) string {
		out := cells[0] + fit(cells[1], name)
		for _, c := range cells[2 : len(cells)-1] {
			out += fmt.Sprintf("%8s", c)
		}
		return out + "  " + cells[len(cells)-1]
	}
	out := []string{st.dim.s(state), "", st.bold.s(row("  ", "CALLS", "REQ/S", "ERRORS", "P50", "P95",
		"DECLARED"))}
	for i := range n.Edges {
		e := &n.Edges[i]
		c := e.Cells()
		what := strings.Join(e.Declared, ", ")
		if e.Machine {
			what = "not a service, never faulted"
		}
		switch e.Finding {
		case edge.Undeclared:
			what = "used, not declared"
		case edge.Unused:
			what += ", never used"
		}
		mark := "  "
		if e.Finding != edge.FindingNone {
			mark = "! "
		}
		line := row(mark, c[0], c[2], c[3], c[4], c[5], what)
		switch {
		case e.Errors > 0 || e.Refused > 0:
			line = st.bad.s(line)
		case e.Finding != edge.FindingNone:
			line = st.warn.s(line)
		}
		out = append(out, line)
	}
	return append(out, g.routes()...)
}

// routes are the kinds of requests on the edges of the selected service.
func (g *graph) routes() []string {
	var out []string
	for i := range g.e.snap.Edges {
		e := &g.e.snap.Edges[i]
		if e.From != g.sel.service && e.To != g.sel.service || len(e.Routes) == 0 {
			continue
		}
		out = append(out, "", e.From+" → "+e.To)
		for n := range e.Routes[:min(shownRoutes, len(e.Routes))] {
			out = append(out, g.e.st.dim.s("  "+oneLine(e.Routes[n].Text())))
		}
		if more := len(e.Routes) - shownRoutes; more > 0 {
			out = append(out, g.e.st.dim.s(fmt.Sprintf("  … and %d more", more)))
		}
	}
	return out
}

// tapped says whether the drill sees the calls between services.
func (p *drillPane) tapped() string {
	if len(p.e.snap.Tapping) > 0 {
		return "tapped: failed ones are evidence"
	}
	return "not tapped" + p.e.st.dim.s("   "+p.e.keyOf("graph")+" and "+tapKey+" tap them")
}
