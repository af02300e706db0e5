package ui

import (
	"fmt"
	"slices"
	"strings"

	"bulkhead/engine"
	"bulkhead/engine/logs"
	"bulkhead/ui/duration"
)

// nothingYet is what the log pane shows while there is no line: what is being built, pulled or
// waited for, as it goes on, and what a newcomer can do.
func (p *logPane) nothingYet(w, h int) []string {
	st := &p.e.st
	text := p.filter.emptyText()
	if text != noLinesYet {
		return []string{st.dim.s(fit(" "+text, w))}
	}
	hints := p.hints()
	var rows []string
	for _, row := range p.underWay(w, h-len(hints)-1) {
		rows = append(rows, fit(row, w))
	}
	if len(rows) == 0 {
		rows = append(rows, st.dim.s(fit(" "+text+"; what the services write comes here", w)))
	}
	rows = append(rows, "")
	for _, row := range hints {
		rows = append(rows, fit(row, w))
	}
	for i := range rows {
		rows[i] = fit(rows[i], w)
	}
	return rows[:min(len(rows), h)]
}

// hints are three lines about the keys that matter first.
func (p *logPane) hints() []string {
	var out []string
	for _, h := range []struct{ action, text string }{
		{"up", "brings back what you stopped or killed, and applies what was saved"},
		{"kill", "kills the selected service; the ledger says who suffers from that"},
		{"search", "in the logs searches them; in the services it filters the list"},
	} {
		if k := p.e.keyOf(h.action); k != "" {
			out = append(out, " "+p.e.st.key.s(k)+" "+p.e.st.keyHint.s(h.text))
		}
	}
	return out
}

// underWay says what builds, pulls and waits, with the last lines of what builds put out, in at most h rows.
func (p *logPane) underWay(w, h int) []string {
	st := &p.e.st
	var heads, rows []string
	var running []*engine.Build
	for i := range p.e.snap.Builds {
		b := &p.e.snap.Builds[i]
		if b.Ended.IsZero() && p.concerns(b.Services) {
			running = append(running, b)
		}
	}
	for i := range p.e.snap.Services {
		s := &p.e.snap.Services[i]
		if !p.concerns([]string{s.Name}) || slices.ContainsFunc(running, func(b *engine.Build) bool {
			return slices.Contains(b.Services, s.Name)
		}) {
			continue
		}
		if len(s.WaitsFor) > 0 || s.State != engine.StateRunning && s.Doing != "" {
			heads = append(heads, " "+p.e.namePaint(s.Name).s(fit(s.Name, p.e.snap.nameWidth(4, 16)))+
				" "+lastChange(st, s, p.e.now, w))
		}
	}
	for _, b := range running {
		text := fmt.Sprintf(" %s %s %s  %s", p.e.namePaint(b.Services[0]).s(strings.Join(b.Services,
			", ")), b.Kind, progressText(b), duration.Age(p.e.now.Sub(b.Began)))
		if i := slices.IndexFunc(b.Steps, func(s engine.BuildStep) bool {
			return !s.Began.IsZero() && s.Ended.IsZero()
		}); i >= 0 {
			text += "  " + st.busy.s(oneLine(b.Steps[i].Name))
		}
		rows = append(rows, text)
		room := max((h-len(heads))/len(running)-1, 0)
		for _, l := range b.Lines[max(len(b.Lines)-room, 0):] {
			rows = append(rows, st.dim.s("   "+string(logs.Plain(nil, []byte(l)))))
		}
	}
	all := append(rows, heads...)
	if len(all) > h && h > 0 {
		all = append(all[:h-1], st.dim.s(fmt.Sprintf(" and %d more", len(all)-h+1)))
	}
	return all[:max(min(len(all), h), 0)]
}

// concerns says whether the pane shows lines of one of some services.
func (p *logPane) concerns(services []string) bool {
	return slices.ContainsFunc(services, p.filter.shows)
}
