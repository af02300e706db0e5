package ui

import (
	"fmt"
	"strings"

	"bulkhead/engine"
)

// detail is everything about one service: in short in the column of a very wide screen, whole in inspect.
type detail struct {
	e   *env
	sel *selection
}

// render shows the selected service in short.
func (d *detail) render(r rect) []string {
	s := d.sel.one()
	if s == nil {
		return fill(nil, r)
	}
	var rows []string
	add := func(key, value string) {
		if value != "" {
			rows = append(rows, " "+d.e.st.dim.s(fit(key, 7))+value)
		}
	}
	section := func(title, hint string) {
		rows = append(rows, "", d.e.st.title.s(justify(" "+title, hint, r.w)))
	}
	gen := ""
	if s.Generation > 0 {
		gen = fmt.Sprintf("  gen %d", s.Generation)
	}
	rows = append(rows, justify(" "+d.e.st.bold.s(s.Name)+d.e.st.dim.s(gen), d.e.st.dim.s("["+d.e.keyOf("inspect")+"] inspect "), r.w))
	sign, t := stateSign(s.State, s.Health, s.ExitCode, s.ByHand)
	add("state", d.e.st.tone(t).s(sign+" "+stateText(s))+d.e.st.dim.s(sinceText(s, clock(s.Since), d.e.now)))
	if s.ReadyBy != "" {
		add("ready", readyText(s))
	}
	add("image", s.Image)
	if len(s.Replicas) > 0 {
		add("id", shortID(s.Replicas[0].Identity.ID))
	}
	if cmd := s.Config.Config.Command; len(cmd) > 0 {
		add("cmd", strings.Join(cmd, " "))
	}
	if len(s.Replicas) > 0 && s.Replicas[0].Cause != "" {
		add("why", s.Replicas[0].Cause)
	}
	add("needs", strings.Join(s.DependsOn, ", "))
	if len(s.WaitsFor) > 0 {
		add("waits", d.e.st.busy.s(strings.Join(s.WaitsFor, ", ")))
	}
	if s.Err != "" {
		add("error", d.e.st.bad.s(oneLine(s.Err)))
		add("do", s.Remedy)
	}
	d.sideCharts(s, add, func() { rows = append(rows, "") })
	if len(s.Rules) > 0 {
		section("WATCH  "+s.Mode.String(), "["+d.e.keyOf("watch")+"] cycle ")
		for _, rule := range s.Rules {
			text := fmt.Sprintf("   %-12s %s", rule.Action, d.e.snap.relative(rule.Path))
			if rule.Target != "" {
				text += " -> " + rule.Target
			}
			rows = append(rows, text)
		}
	}
	d.sideFiles(s, section, func(l string) { rows = append(rows, l) })
	d.sideHistory(s, section, func(l string) { rows = append(rows, l) }, r.w)
	for i := range rows {
		rows[i] = fit(rows[i], r.w)
	}
	return fill(rows, r)
}

func readyText(s *engine.Service) string {
	if s.Ready {
		return "yes, by " + s.ReadyBy
	}
	return "not yet, by " + s.ReadyBy
}
