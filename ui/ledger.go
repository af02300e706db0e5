package ui

import (
	"fmt"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"bulkhead/engine"
	"bulkhead/engine/fault"
	"bulkhead/ui/duration"
)

// ledgerPane shows for each fault who suffered and who did not, with the proof: container id, start and restarts
// before and after.
type ledgerPane struct {
	e   *env
	top int
}

const paneLedger paneID = "ledger"

func (p *ledgerPane) id() paneID           { return paneLedger }
func (p *ledgerPane) refresh()             {}
func (p *ledgerPane) restyle()             {}
func (p *ledgerPane) title(int) string     { return "" }
func (p *ledgerPane) move(n int)           { p.top = max(min(p.top+n, farAway), 0) }
func (p *ledgerPane) scroll(n int) tea.Cmd { p.move(n); return nil }
func (p *ledgerPane) click(_, _ int)       {}
func (p *ledgerPane) back() bool           { return false }

// bystanders are the other services of a ledger, by what happened to them; each counts once, by its worst row.
type bystanders struct {
	// With a question mark where one has nothing to do with the fault as far as anybody can tell.
	died, degraded []string

	moved     []string // changed on purpose meanwhile
	untouched int
}

func sortBystanders(l *engine.Ledger) (b bystanders) {
	unrelated := map[string]bool{}
	worst := map[string]engine.Outcome{}
	var names []string
	for _, r := range l.Rows {
		if _, ok := worst[r.Service]; !ok {
			names = append(names, r.Service)
		}
		unrelated[r.Service] = !r.Needs
		worst[r.Service] = max(worst[r.Service], r.Outcome)
	}
	for _, n := range names {
		outcome := worst[n]
		if unrelated[n] {
			n += "?"
		}
		switch outcome {
		case engine.Died:
			b.died = append(b.died, n)
		case engine.Errors, engine.WentUnhealthy:
			b.degraded = append(b.degraded, n)
		case engine.Blind:
			b.moved = append(b.moved, strings.TrimSuffix(n, "?"))
		default:
			b.untouched++
		}
	}
	return b
}

// ledgerLine says who suffered: "worker died: gw, api degraded; 4 untouched".
func ledgerLine(l *engine.Ledger) string {
	name := l.Service
	if l.Replica > 0 {
		name = fmt.Sprintf("%s/%d", name, l.Replica)
	}
	event := "died"
	switch l.Fault {
	case "stop":
		event = "stopped"
	case "pause":
		event = "paused"
	case "restart":
		event = "restarted"
	case "rebuild":
		event = "replaced"
	}
	kind, _, _ := strings.Cut(l.Fault, "=")
	switch k := fault.KindOf(kind); {
	case kind == "crash":
		event = "crashed"
	case k == nil || fault.MovesLife(kind):
	case l.Closed.IsZero():
		event = "under " + l.Fault
	default:
		event = "after " + l.Fault
	}
	if !l.Closed.IsZero() && l.BackIn > 0 && !strings.HasPrefix(event, "after") {
		event = "is back in " + duration.Took(l.BackIn)
	}
	b := sortBystanders(l)
	var parts []string
	for _, p := range []struct {
		names []string
		what  string
	}{{b.died, " died too"}, {b.degraded, " degraded"}, {b.moved, " changed on purpose"}} {
		if len(p.names) > 0 {
			parts = append(parts, strings.Join(p.names, ", ")+p.what)
		}
	}
	if len(parts) == 0 {
		return fmt.Sprintf("%s %s: %s", name, event, untouchedText(b.untouched, l.Down))
	}
	return fmt.Sprintf("%s %s: %s; %d untouched", name, event, strings.Join(parts, ", "), b.untouched)
}

// untouchedText says that no other service was touched; down of them did not run.
func untouchedText(n, down int) string {
	ran := ""
	if down > 0 {
		ran = " that ran"
	}
	switch n {
	case 0:
		return "no other service runs"
	case 1:
		return "the 1 other" + ran + " untouched"
	}
	return fmt.Sprintf("all %d others%s untouched", n, ran)
}

// render draws the pane into r, the latest fault first.
func (p *ledgerPane) render(r rect) []string {
	if r.empty() {
		return nil
	}
	var rows []string
	for i := len(p.e.snap.Ledgers) - 1; i >= 0; i-- {
		rows = append(rows, p.one(&p.e.snap.Ledgers[i], r.w)...)
		rows = append(rows, "")
	}
	if len(rows) == 0 {
		rows = []string{p.e.st.dim.s(" no fault yet: " + p.e.keyOf("kill") + " kills the selected service, " + p.e.keyOf("fault") + " offers more;"),
			p.e.st.dim.s(" what it did to every other service is kept here, with the proof")}
	}
	p.top = max(min(p.top, len(rows)-r.h), 0)
	out := make([]string, 0, r.h)
	for _, row := range rows[p.top:min(p.top+r.h, len(rows))] {
		out = append(out, fit(row, r.w))
	}
	return fill(out, r)
}

func (p *ledgerPane) one(l *engine.Ledger, w int) []string {
	head := fmt.Sprintf(" %s %s  %s", l.At.Local().Format("15:04:05"), l.Fault, ledgerLine(l))
	state := p.e.st.busy.s("open ")
	if !l.Closed.IsZero() {
		state = p.e.st.dim.s("over after " + duration.Took(l.Closed.Sub(l.At)) + " ")
	}
	rows := []string{p.e.st.bold.s(fit(head, max(w-width(state)-2, 0))) + "  " + state}
	name := 7
	for _, r := range l.Rows {
		name = min(max(name, width(ledgerName(l, &r))), 18)
	}
	rows = append(rows, p.e.st.title.s(fit(fmt.Sprintf("   %s %-9s %-12s %-8s %s  %s", fit("SERVICE", name), "OUTCOME", "CONTAINER", "STARTED", "RST", "NOW   FIRST SIGN"), w)))
	sorted := slices.Clone(l.Rows)
	slices.SortStableFunc(sorted, func(a, b engine.LedgerRow) int { return int(b.Outcome) - int(a.Outcome) })
	for _, r := range sorted {
		rows = append(rows, p.row(l, &r, name, w))
	}
	return rows
}

// ledgerName names a row; the replica only where its service has several.
func ledgerName(l *engine.Ledger, r *engine.LedgerRow) string {
	n := 0
	for i := range l.Rows {
		if l.Rows[i].Service == r.Service {
			n++
		}
	}
	if n > 1 || r.Service == l.Service {
		return fmt.Sprintf("%s/%d", r.Service, r.Replica)
	}
	return r.Service
}

func (p *ledgerPane) row(l *engine.Ledger, r *engine.LedgerRow, name, w int) string {
	mark, t := "·", toneGood
	switch r.Outcome {
	case engine.Errors:
		mark, t = "~", toneWarn
	case engine.WentUnhealthy:
		mark, t = "!", toneWarn
	case engine.Died:
		mark, t = "X", toneBad
	case engine.OutcomeUnknown, engine.Blind:
		mark, t = "?", toneOff
	}
	b, a := r.Before, r.After
	id, started := shortID(b.ID), clock(b.Started)
	proof := p.e.st.dim.s("same")
	if a.ID != b.ID || !a.Started.Equal(b.Started) || a.Restarts != b.Restarts {
		s := p.e.st.bad
		if r.Outcome == engine.Blind {
			s = p.e.st.dim
		}
		proof = s.s(fmt.Sprintf("now %s %s RST %d", shortID(a.ID), clock(a.Started), a.Restarts))
		if a.ID == "" {
			proof = s.s("now gone")
		}
	}
	sign := r.Sign
	if text, ok := compact([]byte(sign)); ok {
		sign = text
	}
	if r.Delay > 0 && r.Outcome > engine.Untouched {
		sign = strings.TrimSpace("+" + duration.Took(r.Delay) + " " + sign)
	}
	return fit(fmt.Sprintf(" %s %s %s %-12s %-8s %3d  %s  %s", p.e.st.tone(t).s(mark), fit(ledgerName(l, r), name), p.e.st.tone(t).s(fit(r.Outcome.String(), 9)),
		id, started, b.Restarts, proof, oneLine(sign)), w)
}

func clock(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Local().Format("15:04:05")
}
