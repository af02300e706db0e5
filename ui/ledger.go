package ui

import (
	"fmt"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"bulkhead/engine"
	"bulkhead/engine/fault"
	"bulkhead/ui/duration"
)

// ledgerPane shows for each fault who suffered and who did not, with the proof: container id, start and restarts
// before and after.
type ledgerPane struct {
	e    *env
	clip *clipboard
	at   int      // the row of the cursor
	on   ledgerAt // what it is on, unless that is the first row
	top  int
	h    int  // rows that were shown last
	free bool // the wheel moved the window away from the cursor
}

// ledgerAt is a row of the pane: of a ledger, and of one of its rows; service is "" for its head.
type ledgerAt struct {
	hit     time.Time // the ledger's At
	service string
	replica int
}

const paneLedger paneID = "ledger"

func (p *ledgerPane) id() paneID           { return paneLedger }
func (p *ledgerPane) refresh()             {}
func (p *ledgerPane) restyle()             {}
func (p *ledgerPane) title(int) string     { return "" }
func (p *ledgerPane) move(n int)           { places := p.located(); p.put(p.at+n, places) }
func (p *ledgerPane) scroll(n int) tea.Cmd { p.top, p.free = p.top+n, true; return nil }
func (p *ledgerPane) click(_, y int)       { p.put(p.top+y, p.located()) }
func (p *ledgerPane) back() bool           { return false }

// put puts the cursor on a row.
func (p *ledgerPane) put(row int, places []ledgerAt) {
	p.at, p.on, p.free = max(min(row, len(places)-1), 0), ledgerAt{}, false
	if p.at > 0 {
		p.on = places[p.at]
	}
}

// located returns what each row is a part of, and puts the cursor where that which it is on is now:
// another ledger may have opened above. On the first row it stays, and while the keys belong to
// another pane it goes there, so that the latest ledger is seen.
func (p *ledgerPane) located() (places []ledgerAt) {
	for i := len(p.e.snap.Ledgers) - 1; i >= 0; i-- {
		l := &p.e.snap.Ledgers[i]
		places = append(places, ledgerAt{hit: l.At}, ledgerAt{hit: l.At})
		for _, r := range worstFirst(l) {
			places = append(places, ledgerAt{l.At, r.Service, r.Replica})
		}
		places = append(places, ledgerAt{hit: l.At}) // the blank below it
	}
	if p.at >= len(places) || p.at > 0 && places[p.at] != p.on {
		row, free := slices.Index(places, p.on), p.free // what opens a ledger does not move the window
		if p.e.focus != paneLedger {
			row, free = 0, false
		}
		p.put(row, places)
		p.free = free
	}
	return places
}

// actions are the pane's keys.
func (p *ledgerPane) actions() []action {
	return []action{{name: "ledger-proof", keys: []string{"enter"}, short: "proof",
		help:  "the whole proof: ids, start times, processes, health before and after",
		group: "ledger", where: in(paneLedger), rank: 1, ok: func() bool {
			return len(p.e.snap.Ledgers) > 0
		}, run: p.openProof}}
}

// bystander is another service of a ledger.
type bystander struct {
	service   string
	unrelated bool // it has nothing to do with the fault as far as anybody can tell
}

// String returns its name, with a question mark where it is unrelated.
func (b bystander) String() string {
	if b.unrelated {
		return b.service + "?"
	}
	return b.service
}

// bystanders are the other services of a ledger, by what happened to them; each counts once, by its worst row.
type bystanders struct {
	died, degraded []bystander
	moved          []bystander // changed on purpose meanwhile; none is unrelated
	with           []string    // have the fault too
	untouched      int
}

func sortBystanders(l *engine.Ledger) (b bystanders) {
	unrelated, included := map[string]bool{}, map[string]bool{}
	worst := map[string]engine.Outcome{}
	var names []string
	for _, r := range l.Rows {
		if _, ok := worst[r.Service]; !ok {
			names = append(names, r.Service)
		}
		unrelated[r.Service], included[r.Service] = !r.Needs, r.Included
		worst[r.Service] = max(worst[r.Service], r.Outcome)
	}
	for _, n := range names {
		if included[n] {
			b.with = append(b.with, n)
			continue
		}
		one := bystander{service: n, unrelated: unrelated[n]}
		switch worst[n] {
		case engine.Died:
			b.died = append(b.died, one)
		case engine.Errors, engine.WentUnhealthy:
			b.degraded = append(b.degraded, one)
		case engine.Blind:
			b.moved = append(b.moved, bystander{service: n})
		default:
			b.untouched++
		}
	}
	return b
}

// ledgerNow is ledgerLine, and while the service still stops says so.
func ledgerNow(snap snapshot, l *engine.Ledger) string {
	if s := snap.service(l.Service); l.Closed.IsZero() && s != nil && stoppingReplica(s) != nil {
		return ledgerAs(l, "is stopping")
	}
	return ledgerLine(l)
}

// ledgerLine says who suffered: "worker died: gw, api degraded; 4 untouched".
func ledgerLine(l *engine.Ledger) string { return ledgerAs(l, ledgerEvent(l)) }

// ledgerEvent is what happened to the service of a ledger.
func ledgerEvent(l *engine.Ledger) string {
	over := !l.Closed.IsZero()
	switch {
	case l.Kind != "" && l.Kind != crashKind && !over: // it lives on
		return "under " + l.Fault
	case l.Kind != "" && l.Kind != crashKind:
		return "after " + l.Fault
	case over && l.BackIn > 0:
		return "is back in " + duration.Took(l.BackIn)
	case !l.Gone:
		return eventBefore(l, over)
	case l.Kind == crashKind:
		return "crashed"
	}
	switch l.Fault {
	case "stop":
		return "stopped"
	case "pause":
		return "paused"
	case "restart":
		return "restarted"
	case "rebuild", "recreate":
		return "replaced"
	}
	return "died"
}

// eventBefore is what happened to the service of a ledger while it still runs as before; over says that nothing came of
// it.
func eventBefore(l *engine.Ledger, over bool) string {
	switch l.Fault {
	case "stop":
		return "is to stop"
	case "pause":
		return "is to pause"
	case "restart":
		return "is to restart"
	case "rebuild", "recreate":
		return "is to be replaced"
	}
	if over {
		return "outlived " + l.Fault
	}
	return "got " + l.Fault
}

// crashKind is the fault that ends a program by a signal, so that its restart policy acts.
const crashKind = "crash"

// ledgerAs says who suffered from an event.
func ledgerAs(l *engine.Ledger, event string) string {
	name := l.Service
	if l.Replica > 0 {
		name = fmt.Sprintf("%s/%d", name, l.Replica)
	}
	b := sortBystanders(l)
	if len(b.with) > 0 {
		name += " with " + strings.Join(b.with, ", ")
	}
	var parts []string
	for _, p := range []struct {
		who  []bystander
		what string
	}{{b.died, " died too"}, {b.degraded, " degraded"}, {b.moved, " changed on purpose"}} {
		var names []string
		for _, one := range p.who {
			names = append(names, one.String())
		}
		if len(names) > 0 {
			parts = append(parts, strings.Join(names, ", ")+p.what)
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
	p.located()
	rows := p.list(r.w)
	p.h = r.h
	p.window(len(rows))
	out := make([]string, 0, r.h)
	for i := p.top; i < min(p.top+r.h, len(rows)); i++ {
		row := fit(rows[i], r.w)
		if i == p.at && len(p.e.snap.Ledgers) > 0 && p.e.focus == paneLedger {
			row = p.e.st.bar(p.e.st.titleFocus.s(">") + ansi.TruncateLeft(row, 1, ""))
		}
		out = append(out, row)
	}
	return fill(out, r)
}

// list makes all rows, the latest fault first: a line for each place.
func (p *ledgerPane) list(w int) (rows []string) {
	for i := len(p.e.snap.Ledgers) - 1; i >= 0; i-- {
		rows = append(append(rows, p.one(&p.e.snap.Ledgers[i], w)...), "")
	}
	if len(rows) > 0 {
		return rows
	}
	return []string{p.e.st.dim.s(" no fault yet: " + p.e.keyOf("kill") +
		" kills the selected service, " + p.e.keyOf("fault") + " offers more;"),
		p.e.st.dim.s(" what it did to every other service is kept here, with the proof")}
}

// window keeps the cursor in sight, unless the wheel moved on.
func (p *ledgerPane) window(rows int) {
	if !p.free {
		p.top = min(max(p.top, p.at-p.h+1), p.at)
	}
	p.top = max(min(p.top, rows-p.h), 0)
}

// one makes the rows of one ledger: its verdict, and everybody else, the worst first.
func (p *ledgerPane) one(l *engine.Ledger, w int) []string {
	head := fmt.Sprintf(" %s %s  %s", l.At.Local().Format("15:04:05"), l.Fault, ledgerNow(p.e.snap, l))
	state := p.e.st.busy.s("open ")
	if !l.Closed.IsZero() {
		state = p.e.st.dim.s("over after " + duration.Took(l.Closed.Sub(l.At)) + " ")
	}
	rows := []string{p.e.st.bold.s(fit(head, max(w-width(state)-2, 0))) + "  " + state}
	name := 7
	for _, r := range l.Rows {
		name = min(max(name, width(ledgerName(l, &r))), 18)
	}
	rows = append(rows,
		p.e.st.title.s(fit(fmt.Sprintf("   %s %-9s %-12s %-8s %s  %s", fit("SERVICE", name),
			"OUTCOME", "CONTAINER", "STARTED", "RST", "NOW   FIRST SIGN"), w)))
	for _, r := range worstFirst(l) {
		rows = append(rows, p.row(l, &r, name, w))
	}
	return rows
}

func worstFirst(l *engine.Ledger) []engine.LedgerRow {
	sorted := slices.Clone(l.Rows)
	slices.SortStableFunc(sorted, func(a, b engine.LedgerRow) int { return int(b.Outcome) - int(a.Outcome) })
	return sorted
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
	mark, t := outcomeSign(r.Outcome)
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
	sign := signText(r.Sign)
	if r.Delay > 0 && r.Outcome > engine.Untouched {
		sign = strings.TrimSpace("+" + duration.Took(r.Delay) + " " + sign)
	}
	return fit(fmt.Sprintf(" %s %s %s %-12s %-8s %3d  %s  %s", p.e.st.tone(t).s(mark),
		fit(ledgerName(l, r), name), p.e.st.tone(t).s(fit(r.Outcome.String(), 9)),
		id, started, b.Restarts, proof, oneLine(sign)), w)
}

// signText is a first sign for reading: a structured line as the logs show it, also where the engine
// kept only its beginning, and the last field is not whole.
func signText(sign fault.Sign) string {
	if text, ok := compact([]byte(sign.String())); ok {
		return text
	}
	for cut := sign.Text; sign.Cut; {
		i := strings.LastIndexByte(cut, ' ')
		if i < 0 {
			break
		}
		if cut = cut[:i]; strings.Contains(cut, "=") {
			if text, ok := compact([]byte(cut)); ok {
				return text + " …"
			}
		}
	}
	return sign.String()
}

func outcomeSign(o engine.Outcome) (string, tone) {
	switch o {
	case engine.Errors:
		return "~", toneWarn
	case engine.WentUnhealthy:
		return "!", toneWarn
	case engine.Died:
		return "X", toneBad
	case engine.OutcomeUnknown, engine.Blind:
		return "?", toneOff
	}
	return "·", toneGood
}

func clock(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Local().Format("15:04:05")
}
