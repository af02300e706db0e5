package ui

import (
	"fmt"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"bulkhead/engine"
)

// truster asks whether the programs that the project runs on this machine may do so: once when
// there are new ones, and again when a person presses the key.
type truster struct {
	e     *env
	v     *verbs
	end   *shutdown
	asked string // what was asked about already
}

// any says whether something waits for a yes.
func (t *truster) any() bool { return len(t.e.snap.Untrusted) > 0 }

// refresh asks about what was not asked about yet, unless something else is being asked, or a person
// types: no key that was meant for something else may be the answer.
func (t *truster) refresh(typing bool) {
	ids := commandIDs(t.e.snap.Untrusted)
	key := strings.Join(ids, " ")
	if key == t.asked || t.e.over != nil || t.end.stopping || typing {
		return
	}
	t.asked = key
	if len(ids) > 0 {
		t.ask()
	}
}

// ask opens the dialog.
func (t *truster) ask() tea.Cmd {
	t.e.over = &trustDialog{e: t.e, commands: t.e.snap.Untrusted, allow: func(ids []string) tea.Cmd {
		return t.v.send("allow on the host", "y", engine.Command{Verb: engine.VerbTrust, Allow: ids})
	}}
	return nil
}

func commandIDs(all []engine.HostCommand) []string {
	var ids []string
	for _, c := range all {
		ids = append(ids, c.ID())
	}
	return ids
}

// trustDialog shows what would run on this machine, all of it, and allows what it has shown.
type trustDialog struct {
	noCursor
	e        *env
	commands []engine.HostCommand
	allow    func(ids []string) tea.Cmd
	top      int
	page     int
	seen     time.Time // since when the last line has been on the screen; zero: it was not yet
}

// answerAfter is how long the dialog has to have been there to its end before a yes counts: a key that
// was pressed just before it came was meant for something else.
const answerAfter = time.Second

// answerable says whether a yes counts.
func (d *trustDialog) answerable() bool {
	return !d.seen.IsZero() && d.e.opts.Now().Sub(d.seen) >= answerAfter
}

// scroll implements scroller.
func (d *trustDialog) scroll(n int) { d.top += n }

// key implements overlay. Only what was shown to its end is allowed.
func (d *trustDialog) key(k tea.KeyPressMsg) (tea.Cmd, bool) {
	switch k.String() {
	case "y":
		switch {
		case d.answerable():
			return d.allow(commandIDs(d.commands)), true
		case d.seen.IsZero():
			d.top, _ = scrolled("pgdown", d.top, d.page)
		}
	case "n", "esc", "q":
		return nil, true
	default:
		d.top, _ = scrolled(k.String(), d.top, d.page)
	}
	return nil, false
}

// render implements overlay.
func (d *trustDialog) render(w, h int) []string {
	inner := min(w-2, 110)
	lines := d.lines(inner - 2)
	d.page = max(h-4, 1)
	d.top = max(min(d.top, len(lines)-d.page), 0)
	end := min(d.top+d.page, len(lines))
	if d.seen.IsZero() && end == len(lines) {
		d.seen = d.e.opts.Now()
	}
	rows := make([]string, 0, d.page+2)
	for _, l := range lines[d.top:end] {
		rows = append(rows, " "+fit(l, inner-2)+" ")
	}
	keys := d.e.st.key.s("y") + " allow   " + d.e.st.key.s("n") + " not now"
	if d.seen.IsZero() {
		keys = d.e.st.key.s("y") + " more   " + d.e.st.key.s("n") + " not now   " +
			d.e.st.key.s("j k") + " scroll"
	}
	rows = append(rows, " "+fit(keys, inner-2)+" ")
	title := "Run on this machine?"
	if len(lines) > d.page {
		title += fmt.Sprintf(" · %d-%d of %d", d.top+1, end, len(lines))
	}
	return box(&d.e.st, title, rows, inner, h)
}

// lines are the text of the dialog, w wide.
func (d *trustDialog) lines(w int) []string {
	var out []string
	note := func(text string, p paint) {
		for _, row := range wrapped(text, max(w, 1)) {
			out = append(out, p.s(row))
		}
	}
	add := func(indent, text string, p paint) {
		for _, row := range hardWrapped(text, max(w-len(indent), 1)) {
			out = append(out, indent+p.s(row))
		}
	}
	plain, dim := d.e.st.plain, d.e.st.dim
	n := plural(len(d.commands), "program")
	note(fmt.Sprintf("%s wants to run %s on this machine, outside of its containers:",
		d.e.snap.Project, n), plain)
	for _, c := range d.commands {
		out = append(out, "")
		add("", fmt.Sprintf("%s  %s of %s", c.Place, c.Kind, c.Service), d.e.st.titleFocus)
		for line := range strings.SplitSeq(c.Command, "\n") {
			add("  ", line, plain)
		}
		for _, e := range c.Env {
			add("    ", "with "+e, dim)
		}
	}
	out = append(out, "")
	note("Not covered: what a script or program contains that one of these calls. ${NAME} is from your own shell.", dim)
	note(fmt.Sprintf("The answer is kept for %s until one of them changes. Without it all else runs.",
		d.e.snap.Dir), dim)
	return append(out, "")
}
