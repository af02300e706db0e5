package ui

import (
	"slices"
	"strings"
	"time"

	"bulkhead/engine"
	"bulkhead/engine/project"
)

// banners are the lines above the footer: what happened, what is wrong, and the key that does something about it.
type banners struct {
	e     *env
	sel   *selection
	verbs *verbs
	end   *shutdown
	ports *portOpener
}

// rows are the lines above the footer, the most important first.
func (b *banners) rows() []string {
	var out []string
	add := func(p paint, text, offer string) {
		if offer != "" {
			offer = "   " + b.e.st.key.s(offer)
		}
		room := max(b.e.w-width(offer)-2, 0)
		rows := []string{text}
		if room > 40 { // else a long text would take the screen
			rows = wrapped(text, room)
		}
		for i, row := range rows[:min(len(rows), 2)] {
			if i == 1 && len(rows) > 2 {
				row += " …"
			}
			out = append(out, " "+p.s(cut(row, room))+offer)
			offer = ""
		}
	}
	if b.e.status.text != "" {
		p := b.e.st.plain
		if b.e.status.bad {
			p = b.e.st.fail
		}
		add(p, b.e.status.text, "")
	}
	if b.ports.picking {
		add(b.e.st.plain, "open "+strings.Join(b.ports.items(), "   "), "")
	}
	b.stop(add)
	up := b.verbs.upPlan()
	if b.end.stopping {
		up = upPlan{}
	}
	b.ledger(up, add)
	if r := b.e.snap.Reload; r != nil {
		b.reload(r, up, add)
	}
	b.failure(add)
	if text := causeLine(b.e.snap, b.e.now, b.e.w-2); text != "" {
		add(b.e.st.warn, text, "")
	}
	if len(b.e.snap.Watch.Notices) > 0 && b.e.h >= 30 {
		add(b.e.st.warn, oneLine(b.e.snap.Watch.Notices[0]), "")
	}
	return out
}

// ledger says who suffered of the latest fault. Of a stop it says so when there is one: until then
// its own line says who still stops.
func (b *banners) ledger(up upPlan, add func(p paint, text, offer string)) {
	l := b.e.snap.freshLedger(b.e.now)
	if l == nil {
		return
	}
	if svc := b.e.snap.service(l.Service); l.Fault == "stop" && svc != nil && svc.State == engine.StateStopping {
		return
	}
	text, offer := ledgerLine(l), ""
	if b.e.w >= 120 {
		text += " (same container id, start time, restart count)"
	}
	if up.brings(l.Service) {
		offer = "[" + b.e.keyOf("up") + "] bring back"
	}
	if b.e.tab != paneLedger && b.e.w >= 70 {
		offer = strings.TrimSpace(offer + "  [" + b.e.keyOf("ledger") + "] ledger")
	}
	p := b.e.st.good
	if _, degraded, _ := suffered(l); len(degraded) > 0 {
		p = b.e.st.warn
	}
	if died, _, _ := suffered(l); len(died) > 0 {
		p = b.e.st.fail
	}
	add(p, text, offer)
}

func (b *banners) reload(r *engine.Reload, up upPlan, add func(paint, string, string)) {
	if r.Err != "" {
		add(b.e.st.fail, "Compose file changed and does not load: "+oneLine(r.Err), "")
		return
	}
	var names []string
	for _, c := range r.Changes {
		name := c.Service + " " + changeText(c.Kind)
		if len(r.Changes) == 1 && len(c.Reasons) > 0 {
			name += " (" + strings.Join(c.Reasons, ", ") + ")"
		}
		names = append(names, name)
	}
	text := "Compose file changed"
	if len(names) > 0 {
		text += ": " + strings.Join(names, ", ")
	}
	offer := ""
	if up.kind == upApply && len(up.services) == 0 {
		offer = "[" + b.e.keyOf("up") + "] apply"
	}
	add(b.e.st.warn, text, offer)
}

func changeText(k project.ChangeKind) string {
	switch k {
	case project.Added:
		return "is new"
	case project.Removed:
		return "is gone"
	case project.Recreate:
		return "to be recreated"
	case project.Rules:
		return "has other rules"
	case project.Rescale:
		return "has another scale"
	case project.Build:
		return "to be rebuilt"
	}
	return "changed"
}

// failure shows what is wrong with the selected service, else of the first that is broken, else of a build that is.
func (b *banners) failure(add func(paint, string, string)) {
	broken := func(s *engine.Service) bool {
		return s.State == engine.StateBroken && s.Err != "" || s.Last != nil && !s.Last.Ended.IsZero() && s.Last.Err != ""
	}
	s := b.sel.one()
	if s == nil || !broken(s) {
		s = nil
		for i := range b.e.snap.Services {
			if broken(&b.e.snap.Services[i]) {
				s = &b.e.snap.Services[i]
				break
			}
		}
	}
	if s == nil {
		return
	}
	text := s.Err
	if text == "" && s.Last != nil {
		text = s.Last.Action + ": " + s.Last.Err
	}
	text = oneLine(text)
	if !strings.Contains(text, s.Name) {
		text = s.Name + ": " + text
	}
	if s.Remedy != "" {
		text += "; " + s.Remedy
	}
	offer := ""
	if b.e.tab != paneBuilds && slices.ContainsFunc(b.e.snap.Builds, func(x engine.Build) bool {
		return b.e.snap.brokenBuild(&x) && slices.Contains(x.Services, s.Name)
	}) {
		offer = "[" + b.e.keyOf("builds") + "] builds"
	}
	add(b.e.st.fail, text, offer)
}

// stop is the line while something stops, and what a key does about it.
func (b *banners) stop(add func(paint, string, string)) {
	if b.end.stopping {
		add(b.e.st.busy, b.end.text(), "") // the footer has the key
		return
	}
	parts := b.e.snap.stoppings(b.e.now, time.Second) // the swaps after a saved file are over sooner: they would only move the rows
	if len(parts) == 0 {
		return
	}
	text, offer := "stopping "+strings.Join(parts, ", "), "on it kills"
	if s := b.sel.one(); s != nil && stoppingReplica(s) != nil {
		offer = "kills " + s.Name
	}
	if k := b.e.keyOf("kill"); k != "" {
		add(b.e.st.busy, text, "["+k+"] "+offer)
	} else {
		add(b.e.st.busy, text, "")
	}
}
