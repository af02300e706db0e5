package ui

import (
	"fmt"
	"strconv"
	"time"

	tea "charm.land/bubbletea/v2"

	"bulkhead/engine"
	"bulkhead/ui/duration"
)

// openProof shows all that was noted of everybody at the fault under the cursor, beginning with whom the cursor is on.
func (p *ledgerPane) openProof() tea.Cmd {
	places := p.located()
	if p.at >= len(places) {
		return nil
	}
	on := places[p.at]
	kept := func() *engine.Ledger {
		for i := range p.e.snap.Ledgers {
			if l := &p.e.snap.Ledgers[i]; l.At.Equal(on.hit) {
				return l
			}
		}
		return nil
	}
	view := &textView{e: p.e, close: []string{"enter"}, copy: p.clip.text("the proof"),
		lines: func(w int) []string {
			l := kept()
			if l == nil {
				return []string{p.e.st.dim.s("this ledger is no longer kept")}
			}
			lines, _ := p.proof(l, on, w)
			return lines
		}}
	l := kept() // the cursor is on a row of it
	view.title = "Proof · " + l.Fault + " on " + l.Service
	_, view.top = p.proof(l, on, p.e.w)
	p.e.over = view
	return nil
}

// proof compares everybody before and after, a paragraph each; first is the line where the paragraph of on begins.
func (p *ledgerPane) proof(l *engine.Ledger, on ledgerAt, w int) (lines []string, first int) {
	until := "now, while it goes on"
	if !l.Closed.IsZero() {
		until = l.Closed.Local().Format("15:04:05.000")
	}
	lines = []string{
		p.e.st.bold.s(ledgerNow(p.e.snap, l)),
		p.e.st.dim.s(fmt.Sprintf("%s on %s at %s, compared with %s", l.Fault, l.Service,
			l.At.Local().Format("15:04:05.000"), until)),
	}
	if l.Down > 0 {
		lines = append(lines, p.e.st.dim.s("left out: "+plural(l.Down, "other container")+
			" that did not run then, or crashed again and again"))
	}
	for _, r := range worstFirst(l) {
		if on.service == r.Service && on.replica == r.Replica {
			first = len(lines) + 1
		}
		lines = append(append(lines, ""), p.proofOf(l, &r, w)...)
	}
	return lines, first
}

// proofOf is the paragraph of one replica; ids are whole where they have room.
func (p *ledgerPane) proofOf(l *engine.Ledger, r *engine.LedgerRow, w int) []string {
	_, t := outcomeSign(r.Outcome)
	lines := []string{p.e.st.tone(t).s(ledgerName(l, r) + "  " + r.Outcome.String())}
	pair := func(name, before, after string) {
		text := before
		switch {
		case after == before:
			text += p.e.st.dim.s("  same")
		default:
			text += " -> " + p.e.st.tone(t).s(after)
		}
		lines = append(lines, "  "+p.e.st.dim.s(fit(name, 13))+text)
	}
	b, a := r.Before, r.After
	id := func(id string) string {
		if width(id) > w-25 { // beside its name, and what became of it
			return shortID(id)
		}
		return id
	}
	pair("container", orDash(id(b.ID)), orGone(id(a.ID)))
	pair("started", stampText(b.Started), stampText(a.Started))
	pair("restarts", strconv.Itoa(b.Restarts), strconv.Itoa(a.Restarts))
	pair("process", pidText(b.PID), pidText(a.PID))
	pair("health", b.Health.String(), a.Health.String())
	if r.Sign.Text != "" {
		lines = append(lines, "  "+p.e.st.dim.s(fit("first sign", 13))+"+"+duration.Took(r.Delay)+
			"  "+oneLine(signText(r.Sign)))
	}
	if !r.Needs && r.Outcome > engine.Untouched && r.Outcome != engine.Blind {
		lines = append(lines, "  "+p.e.st.dim.s(fit("", 13)+"nothing says that it depends on "+
			l.Service+": this may have another cause"))
	}
	return lines
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

func orGone(id string) string {
	if id == "" {
		return "gone"
	}
	return id
}

func pidText(pid int) string {
	if pid == 0 {
		return "none"
	}
	return strconv.Itoa(pid)
}

func stampText(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Local().Format("2006-01-02 15:04:05.000")
}
