package ui

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"bulkhead/engine"
)

// renderColumns draws the wide screen's upper part and the timeline into rows.
func (m *Model) renderColumns(rows []string) {
	f := &m.f
	left := append(m.svc.Render(m, f.services)[:len(m.svc.cache.rows):len(m.svc.cache.rows)], m.leftPane(f.left)...)
	shown := m.mainPane(f.main) // before the rule above it, which says what is seen
	mid := append([]string{m.tabLine(f.tabs.w)}, shown...)
	bar := m.st.line.s("│")
	var side []string
	if !f.side.empty() {
		side = m.sidePane(f.side)
	}
	for i := 0; i < f.tabs.h+f.main.h; i++ {
		row := left[i] + bar + mid[i]
		if side != nil {
			row += bar + side[i]
		}
		rows[f.tabs.y+i] = row
	}
	for i, row := range m.line.Render(m, f.timeline) {
		rows[f.timeline.y+i] = row
	}
}

// leftPane stands below the services: what the last changes took, dependencies, ports, the host.
func (m *Model) leftPane(r rect) []string {
	var rows []string
	section := func(title, hint string, lines []string) {
		if len(lines) == 0 || len(rows)+3 > r.h {
			return
		}
		rows = append(rows, "", m.st.title.s(ends(" "+title, hint, r.w)))
		rows = append(rows, lines...)
	}
	section("LAST SAVE -> READY", "", m.lastChanges(r.w))
	section("PORTS ("+m.keyOf("open")+", then a digit)", "", m.portLines(r.w))
	var deps []string
	for _, l := range m.graphLines() {
		deps = append(deps, "   "+l)
	}
	section("DEPENDENCIES", "["+m.keyOf("graph")+"] ", deps)
	s := m.snap
	host := fmt.Sprintf("   %s %s · context %s", s.Runtime.Name, s.Runtime.Version, s.Runtime.Context)
	if len(s.Files) > 0 {
		host += " · " + baseName(s.Files[0])
	}
	if s.Runtime.Name != "" {
		section("HOST", "", []string{host})
	}
	for i := range rows {
		rows[i] = fit(rows[i], r.w)
	}
	if len(rows) > r.h && r.h > 0 {
		rows = rows[:r.h]
		rows[r.h-1] = m.st.dim.s(fit("   … "+m.keyOf("graph")+" shows the rest", r.w))
	}
	return fill(rows, r)
}

// lastChanges lists per service the last piece of work with its stages.
func (m *Model) lastChanges(w int) []string {
	var out []string
	names := 7
	for i := range m.snap.Services {
		names = min(max(names, width(m.snap.Services[i].Name)), 12)
	}
	for _, t := range m.svc.rows {
		s := m.service(t.service)
		if s == nil || t.replica > 0 {
			continue
		}
		head := "   " + fit(s.Name, names) + " "
		switch c := s.Last; {
		case len(s.Stale) > 0 && (c == nil || !c.Ended.IsZero()):
			out = append(out, head+m.st.badge.s("STALE")+" "+m.st.warn.s(plural(len(s.Stale), "file")+" newer than what runs"))
		case c == nil:
		default:
			text := fmt.Sprintf("%-12s %6s  ", c.Action, took(ended(c.Ended, m.now).Sub(c.Began)))
			if c.Err != "" {
				text = m.st.bad.s(fmt.Sprintf("%-12s failed  ", c.Action))
			} else if c.Ended.IsZero() {
				text = m.st.busy.s(fmt.Sprintf("%-12s %5s.. ", c.Action, age(m.now.Sub(c.Began))))
			}
			out = append(out, head+text+m.st.dim.s(stagesIn(c, w-width(head)-width(text))))
		}
	}
	return out
}

// stagesIn lists the stages that fit into w cells: the shortest leave first, but never a slow one.
func stagesIn(c *engine.Change, w int) string {
	short := *c
	short.Stages = slices.DeleteFunc(slices.Clone(c.Stages), func(s engine.Stage) bool { return s.Name == "total" })
	for text := stagesText(&short); ; text = stagesText(&short) {
		least := -1
		for i, s := range short.Stages {
			if !slices.Contains(c.Slow, s.Name) && (least < 0 || s.Took < short.Stages[least].Took) {
				least = i
			}
		}
		if width(text) <= w || least < 0 {
			return text
		}
		short.Stages = slices.Delete(short.Stages, least, least+1)
	}
}

// stagesText lists the stages of a change: "detect .05 copy .11 restart .7".
func stagesText(c *engine.Change) string {
	var parts []string
	for _, s := range c.Stages {
		if s.Name == "total" {
			continue
		}
		text := fmt.Sprintf("%.2f", s.Took.Seconds())
		if s.Took >= 10*time.Second {
			text = fmt.Sprintf("%.0f", s.Took.Seconds())
		} else if s.Took >= time.Second {
			text = fmt.Sprintf("%.1f", s.Took.Seconds())
		}
		if slices.Contains(c.Slow, s.Name) {
			text += "!"
		}
		parts = append(parts, s.Name+" "+strings.TrimPrefix(text, "0"))
	}
	return strings.Join(parts, " ")
}

// sidePane shows the selected service in short.
func (m *Model) sidePane(r rect) []string {
	s := m.selected()
	if s == nil {
		return fill(nil, r)
	}
	var rows []string
	add := func(key, value string) {
		if value != "" {
			rows = append(rows, " "+m.st.dim.s(fit(key, 7))+value)
		}
	}
	section := func(title, hint string) {
		rows = append(rows, "", m.st.title.s(ends(" "+title, hint, r.w)))
	}
	gen := ""
	if s.Generation > 0 {
		gen = fmt.Sprintf("  gen %d", s.Generation)
	}
	rows = append(rows, ends(" "+m.st.bold.s(s.Name)+m.st.dim.s(gen), m.st.dim.s("["+m.keyOf("inspect")+"] inspect "), r.w))
	sign, t := stateSign(s.State, s.Health, s.ExitCode, s.ByHand)
	add("state", m.paintOf(t).s(sign+" "+stateText(s))+m.st.dim.s(m.sinceText(s, clock(s.Since))))
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
		add("waits", m.st.busy.s(strings.Join(s.WaitsFor, ", ")))
	}
	if s.Err != "" {
		add("error", m.st.bad.s(oneLine(s.Err)))
		add("do", s.Remedy)
	}
	m.sideCharts(s, add, func() { rows = append(rows, "") })
	if len(s.Rules) > 0 {
		section("WATCH  "+s.Mode.String(), "["+m.keyOf("watch")+"] cycle ")
		for _, rule := range s.Rules {
			text := fmt.Sprintf("   %-12s %s", rule.Action, m.relative(rule.Path))
			if rule.Target != "" {
				text += " -> " + rule.Target
			}
			rows = append(rows, text)
		}
	}
	m.sideFiles(s, section, func(l string) { rows = append(rows, l) })
	m.sideHistory(s, section, func(l string) { rows = append(rows, l) }, r.w)
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

// relative shortens a path below the project's folder.
func (m *Model) relative(path string) string {
	if path == m.snap.Dir {
		return "."
	}
	if rest, ok := strings.CutPrefix(path, m.snap.Dir+"/"); ok && m.snap.Dir != "" {
		return "./" + rest
	}
	return path
}

// portOf is one published port that can be opened.
type portOf struct {
	service string
	port    engine.Port
}

// allPorts lists what is published, by service, each port once.
func (m *Model) allPorts(of []*engine.Service) []portOf {
	var out []portOf
	for _, s := range of {
		seen := map[int]bool{}
		for _, p := range s.Ports {
			if p.Published > 0 && p.Protocol != "udp" && !seen[p.Published] {
				seen[p.Published] = true
				out = append(out, portOf{service: s.Name, port: p})
			}
		}
	}
	return out
}

func (m *Model) everyService() []*engine.Service {
	out := make([]*engine.Service, len(m.snap.Services))
	for i := range m.snap.Services {
		out[i] = &m.snap.Services[i]
	}
	return out
}

func (m *Model) portLines(w int) []string {
	var out []string
	line := "  "
	for i, p := range m.portChoices() {
		if i == 9 {
			break
		}
		item := fmt.Sprintf(" %d %s :%d ", i+1, p.service, p.port.Published)
		if width(line)+width(item) > w && line != "  " {
			out = append(out, line)
			line = "  "
		}
		line += item
	}
	if line != "  " {
		out = append(out, line)
	}
	return out
}
