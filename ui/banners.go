package ui

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"bulkhead/engine"
	"bulkhead/engine/fault"
	"bulkhead/engine/project"
	"bulkhead/ui/duration"
)

// banners are the lines above the footer: what happened, what is wrong, and the key that does something about it.
type banners struct {
	e     *env
	sel   *selection
	verbs *verbs
	end   *shutdown
	ports *portOpener
	log   *logPane
	tour  *tour

	folded string // the failure that esc took away; it stays in the events
	shown  string // the failure that was drawn last
}

// bannerRow is a row above the footer.
type bannerRow struct {
	text  string
	alone string // in its place where the next row, which goes on with it, is not seen
}

// shownRows are those of the rows that r has room for.
func shownRows(all []bannerRow, r rect) []string {
	out := make([]string, r.h)
	for i := range out {
		text := all[i].text
		if i == r.h-1 {
			text = all[i].alone
		}
		out[i] = fit(text, r.w)
	}
	return out
}

// rows are the lines above the footer, the most important first.
func (b *banners) rows() []bannerRow {
	var out []bannerRow
	add := func(p paint, text, offer string) { out = append(out, b.wrapped(p, text, offer)...) }
	if text := b.tour.line(); text != "" {
		add(b.e.st.busy, text, "")
	}
	b.faults(add)
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
	if text := b.e.snap.Unsaved; text != "" {
		add(b.e.st.warn, "not kept: "+oneLine(text), "")
	}
	if n := len(b.e.snap.Untrusted); n > 0 && !b.end.stopping {
		add(b.e.st.warn, plural(n, "host command")+" not allowed yet, and what needs them waits",
			"["+b.e.keyOf("allow")+"] show")
	}
	b.ledger(up, add)
	if r := b.e.snap.Reload; r != nil && r.Err != "" {
		out = append(out, b.wrappedIn(loadErrorRows, b.e.st.fail,
			"Compose file changed and does not load: "+oneLine(r.Err), "")...)
	} else if r != nil {
		b.reload(r, up, add)
	}
	b.failure(add)
	if text := causeLine(b.e.snap, b.e.now, b.e.w-2); text != "" {
		add(b.e.st.warn, text, "")
	}
	b.flood(add)
	if len(b.e.snap.Watch.Notices) > 0 && b.e.h >= 30 {
		add(b.e.st.warn, oneLine(b.e.snap.Watch.Notices[0]), "")
	}
	return out
}

// loadErrorRows is how many rows an error of the Compose file may take, whose end says what to do about it.
const loadErrorRows = 4

// whole is how many rows the banners are to have whatever the height is.
func (b *banners) whole() int {
	if r := b.e.snap.Reload; r != nil && r.Err != "" {
		return loadErrorRows
	}
	return 0
}

// wrapped is a text in one row or two, with what is offered in the first.
func (b *banners) wrapped(p paint, text, offer string) []bannerRow {
	return b.wrappedIn(2, p, text, offer)
}

// wrappedIn is wrapped in most rows at most.
func (b *banners) wrappedIn(most int, p paint, text, offer string) (out []bannerRow) {
	if offer != "" {
		offer = "   " + b.e.st.key.s(offer)
	}
	room := max(b.e.w-width(offer)-2, 0)
	rows := []string{text}
	if room > 40 { // else a long text would take the screen
		rows = wrapped(text, room)
	}
	for i, row := range rows[:min(len(rows), most)] {
		if i == most-1 && len(rows) > most {
			row += " …"
		}
		r := bannerRow{text: " " + p.s(cut(row, room)) + offer}
		if r.alone = r.text; i < most-1 && len(rows) > i+1 {
			r.alone = " " + p.s(cut(row+" …", room)) + offer
		}
		out = append(out, r)
		offer = ""
	}
	return out
}

// faults is the line about what is broken on purpose at this moment.
func (b *banners) faults(add func(p paint, text, offer string)) {
	all := b.e.snap.Faults
	if len(all) == 0 {
		return
	}
	text := ""
	for i := range all {
		if i > 0 {
			text += "; "
		}
		text += faultText(&all[i], b.e.now, b.e.snap.Drilling)
	}
	if len(all) > 1 {
		text = fmt.Sprintf("%d faults: %s", len(all), text)
	} else {
		text = "fault: " + text
	}
	add(b.e.st.warn, cut(oneLine(text), max(b.e.w-20, 20)), "["+b.e.keyOf("heal")+"] heal")
}

// faultText is a fault in force in a few words: "latency=500ms gateway → orders, 42s left".
// A drill ends its own, long before their time is over.
func faultText(a *fault.Active, now time.Time, drilling bool) string {
	text := a.Fault.String()
	switch {
	case a.Healing:
		return text + ", healing"
	case drilling && a.Trouble == "":
		return text + ", by the drill"
	case a.Trouble != "":
		text += " (" + a.Trouble + ")"
	}
	if more := a.Remarks(); more != "" {
		text += " (" + more + ")"
	}
	return text + ", " + duration.Left(a.Left(now)) + " left"
}

// ledger says who suffered of the latest fault. Of a stop it says so when there is one: until then
// its own line says who still stops.
func (b *banners) ledger(up upPlan, add func(p paint, text, offer string)) {
	l := b.e.snap.freshLedger(b.e.now)
	if l == nil {
		return
	}
	if svc := b.e.snap.service(l.Service); l.Fault == "stop" && svc != nil &&
		svc.State == engine.StateStopping {
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
	switch others := sortBystanders(l); {
	case slices.ContainsFunc(others.died, func(one bystander) bool { return !one.unrelated }):
		p = b.e.st.fail
	case len(others.died) > 0:
		p = b.e.st.warn
	case len(others.degraded) > 0:
		p = b.e.st.warn
	}
	add(p, text, offer)
}

func (b *banners) reload(r *engine.Reload, up upPlan, add func(paint, string, string)) {
	var names []string
	for _, c := range r.Commands { // before all else, however much else changed
		names = append(names, c.Service+" runs on this machine: "+oneLine(c.String()))
	}
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
		return s.State == engine.StateBroken && s.Err != "" || s.Last != nil &&
			!s.Last.Ended.IsZero() && s.Last.Failed()
	}
	b.shown = ""
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
	text, named := s.Err, s.ErrNamed
	if text == "" && s.Last != nil {
		text, named = s.Last.Action+": "+s.Last.Err, s.Last.ErrNamed
	}
	text = oneLine(b.e.snap.local(text))
	if built := b.e.snap.failedBuild(s.Name); built != nil {
		text, named = built.Kind+" "+s.Name+": "+buildReason(b.e.snap, built), true
	}
	if !named {
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
	if b.shown = text; text == b.folded {
		return
	}
	add(b.e.st.fail, text, offer)
}

// fold takes the line of a failure away, until there is another one; false when there is none.
func (b *banners) fold() bool {
	if b.shown == "" || b.shown == b.folded {
		return false
	}
	b.folded = b.shown
	return true
}

// flood is a hint to mute a service that leaves nothing to be seen of the others.
func (b *banners) flood(add func(paint, string, string)) {
	if name, rate := b.log.flooding(); name != "" {
		offer := ""
		if k := b.e.keyOf("mute"); k != "" {
			offer = "[" + k + "] mutes the selected one"
			if s := b.sel.one(); s != nil && s.Name == name {
				offer = "[" + k + "] mutes it"
			}
		}
		add(b.e.st.warn, fmt.Sprintf("%s writes %s lines a second: the others are hard to see", name,
			thousands(rate)), offer)
	}
}

// stop is the line while something stops, and what a key does about it.
func (b *banners) stop(add func(paint, string, string)) {
	if b.end.stopping {
		add(b.e.st.busy, b.end.text(), "") // the footer has the key
		return
	}
	// the swaps after a saved file are over sooner: they would only move the rows
	parts := b.e.snap.stoppings(b.e.now, time.Second)
	if len(parts) == 0 {
		return
	}
	text, offer := "stopping "+strings.Join(parts, ", "), "on it kills"
	if words := b.log.lastWords(); words != "" {
		text += "; last: " + words
	}
	if s := b.sel.one(); s != nil && stoppingReplica(s) != nil {
		offer = "kills " + s.Name
	}
	if k := b.e.keyOf("kill"); k != "" {
		add(b.e.st.busy, text, "["+k+"] "+offer)
	} else {
		add(b.e.st.busy, text, "")
	}
}
