package ui

import (
	"fmt"
	"strings"

	"bulkhead/engine"
)

// detail is everything about one service: in short in the column of a very wide screen, whole in inspect.
type detail struct {
	e    *env
	sel  *selection
	clip *clipboard

	reveal bool // what looks secret is shown, until inspect is opened again
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
		gen = fmt.Sprintf("  run %d", s.Generation)
	}
	rows = append(rows, justify(" "+d.e.st.bold.s(s.Name)+d.e.st.dim.s(gen),
		d.e.st.dim.s("["+d.e.fromHere("inspect")+"] inspect "), r.w))
	sign, t := signOf(s)
	add("state", d.e.st.tone(t).s(sign+" "+stateText(s))+d.e.st.dim.s(sinceText(s, clock(s.Since), d.e.now)))
	if s.ReadyBy != "" {
		add("ready", readyText(s))
	}
	d.sideCheck(s, add, r.w-9)
	if s.State == engine.StateCrashing {
		add("crash", d.e.st.bad.s(crashText(s, d.e.now)))
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
		add("waits", d.e.st.busy.s(s.WaitsFor.String()))
	}
	d.sideError(s, add, r.w-9)
	d.sideCharts(s, add, func() { rows = append(rows, "") })
	d.sideRules(s, section, func(l string) { rows = append(rows, l) })
	d.sideFiles(s, section, func(l string) { rows = append(rows, l) })
	d.sideHistory(s, section, func(l string) { rows = append(rows, l) }, r.w)
	for i := range rows {
		rows[i] = fit(rows[i], r.w)
	}
	return fill(rows, r)
}

// sideCheck is what an unhealthy service's check says.
func (d *detail) sideCheck(s *engine.Service, add func(key, value string), w int) {
	if s.Health != engine.Unhealthy {
		return
	}
	for i, row := range wrapped(checkText(s), w) {
		if i == 0 {
			add("check", d.e.st.warn.s(row))
		} else {
			add(" ", d.e.st.warn.s(row))
		}
	}
}

// sideError is what is wrong with a service, in six rows at most, and what to do about it.
func (d *detail) sideError(s *engine.Service, add func(key, value string), w int) {
	if s.Err == "" {
		return
	}
	for i, row := range wrapped(oneLine(s.Err), w) {
		key := " "
		if i == 0 {
			key = "error"
		}
		if i < 6 {
			add(key, d.e.st.bad.s(row))
		}
	}
	add("do", s.Remedy)
}

func (d *detail) sideRules(s *engine.Service, section func(title, hint string), add func(string)) {
	if len(s.Rules) == 0 {
		return
	}
	section("WATCH  "+s.Mode.String(), "["+d.e.fromHere("watch")+"] cycle ")
	for _, rule := range s.Rules {
		text := fmt.Sprintf("   %-12s %s", rule.Action, d.e.snap.relative(rule.Path))
		if rule.Target != "" {
			text += " -> " + rule.Target
		}
		add(text)
	}
}

// readyText says whether a service is ready, and what decides that.
func readyText(s *engine.Service) string {
	switch {
	case s.ReadyBy == "running" && s.Ready:
		return "yes, it runs"
	case s.ReadyBy == "running":
		return "not yet, it does not run"
	case s.Ready:
		return "yes, by " + s.ReadyBy
	}
	return "not yet, by " + s.ReadyBy
}
