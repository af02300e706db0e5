package ui

import (
	tea "charm.land/bubbletea/v2"

	"bulkhead/engine"
)

// graph is who needs whom.
type graph struct {
	e    *env
	sel  *selection
	clip *clipboard
	verb *verbs
}

// open shows who needs whom, and who calls whom.
func (g *graph) open() tea.Cmd {
	keys := map[string]func() tea.Cmd{tapKey: g.tap}
	more := func() []hint { return []hint{{tapKey, g.tapLabel()}} }
	g.e.over = &textView{e: g.e, title: "Dependencies and calls", close: []string{g.e.keyOf("graph")},
		copy: g.clip.text("the graph"), keys: keys, more: more, lines: func(w int) []string {
			calls, tree := g.calls(w),
				append([]string{g.e.st.dim.s("a service stands above what it needs"), ""}, g.lines()...)
			for _, row := range wrapped(
				"● running  ◐ unhealthy  ◌ starting  ⟳ building  ‖ paused  ✗ down  ✓ done  (+) drawn above", w) {
				tree = append(tree, g.e.st.dim.s(row))
			}
			out := append(append(tree, ""), calls...)
			if len(g.e.snap.Edges) > 0 {
				out = append(append(calls, ""), tree...)
			}
			return out
		}}
	return nil
}

// lines draws the dependencies as trees, with states. What was drawn with its own needs before is only named.
func (g *graph) lines() []string {
	needed := map[string]bool{}
	for i := range g.e.snap.Services {
		for _, d := range g.e.snap.Services[i].DependsOn {
			needed[d] = true
		}
	}
	var out []string
	drawn := map[string]bool{}
	var draw func(name, lead, branch, below string)
	draw = func(name, lead, branch, below string) {
		s := g.e.snap.service(name)
		text := lead + branch
		if s == nil {
			out = append(out, text+g.e.st.dim.s(name+" (not enabled)"))
			return
		}
		sign, t := signOf(s)
		label := s.Name
		if name == g.sel.service {
			label = g.e.st.bold.s(label)
		}
		text += g.e.st.tone(t).s(sign) + " " + label
		if s.State != engine.StateRunning || s.Health == engine.Unhealthy {
			word := stateText(s)
			if s.State == engine.StateRunning {
				word = s.Health.String()
			}
			text += g.e.st.dim.s(" " + word)
		}
		if drawn[name] && len(s.DependsOn) > 0 {
			out = append(out, text+g.e.st.dim.s(" (+)"))
			return
		}
		drawn[name] = true
		out = append(out, text)
		for i, d := range s.DependsOn {
			if i == len(s.DependsOn)-1 {
				draw(d, lead+below, "└─ ", "   ")
			} else {
				draw(d, lead+below, "├─ ", "│  ")
			}
		}
	}
	for i := range g.e.snap.Services {
		if name := g.e.snap.Services[i].Name; !needed[name] {
			draw(name, "", "", "")
		}
	}
	return out
}
