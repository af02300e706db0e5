package ui

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	tea "charm.land/bubbletea/v2"

	"bulkhead/engine/logs"
)

// logPane shows lines of the store. It has a part for each of its questions: which lines (filter),
// which of them are seen (win), how they look (format), what is searched for (search), and what
// came before them (older).
type logPane struct {
	e   *env
	sel *selection

	filter *logFilter
	win    *logWindow
	format *lineFormat
	search *logSearch
	older  *olderLines
	marks  *logMarks
	mutes  *mutes
	export *logExport
	ahead  *preview

	flood floodSeen
	textX int // where the text of lines begins
}

// dragMsg is the next step of a window that scrolls because the pointer is past its edge.
type dragMsg struct{}

// dragPause is the time between two such steps.
const dragPause = 50 * time.Millisecond

// newLogPane makes the pane of a store.
func newLogPane(e *env, store *logs.Store, sel *selection, clip *clipboard, muted map[string]bool) *logPane {
	p := &logPane{e: e, sel: sel}
	p.win = &logWindow{e: e, view: store.View(logs.Filter{}), follow: true, height: p.heightOf}
	p.mutes = &mutes{e: e, names: muted, targets: p.muteTargets, hidden: func() bool {
		return p.filter.want.Services != nil
	}}
	p.filter = &logFilter{e: e, sel: sel, store: store, mutes: p.mutes, adopt: p.win.adopt, bound: p.win.lines}
	p.format = newLineFormat(e, p.win, e.opts.Config.Timestamps)
	p.search = newLogSearch(e, p.filter, p.win, p.format, p.settle)
	p.older = &olderLines{e: e, win: p.win, filter: p.filter}
	p.marks = &logMarks{e: e, win: p.win, byLine: map[uint64]mark{}}
	p.ahead = &preview{e: e}
	p.export = &logExport{e: e, clip: clip, win: p.win, marks: p.marks, filter: p.filter}
	return p
}

const paneLogs paneID = "logs"

func (p *logPane) id() paneID { return paneLogs }

// refresh takes in new lines.
func (p *logPane) refresh() { p.win.refresh() }

func (p *logPane) restyle() { p.format.dropCache() }

func (p *logPane) move(n int) { p.win.move(n) }

func (p *logPane) scroll(n int) tea.Cmd { p.win.scroll(n); return p.older.look() }

func (p *logPane) click(x, y int) {
	p.win.grab(y)
	p.win.chars = charRange{from: p.pointAt(x, y)}
}

// settle shows the lines that the selection, the marks and the search ask for.
func (p *logPane) settle() tea.Cmd {
	switch {
	case p.sel.marking():
		p.filter.scope(p.sel.markedNames(), 0)
	case p.filter.solo && p.sel.service != "":
		p.filter.scope([]string{p.sel.service}, p.sel.replica)
	default:
		p.filter.scope(nil, 0)
	}
	return tea.Batch(p.filter.reopen(), p.search.recount(), p.older.look(), p.ahead.settle(p.previewed()))
}

// receive takes in what was looked up in the background.
func (p *logPane) receive(msg tea.Msg) (tea.Cmd, bool) {
	switch msg := msg.(type) {
	case viewMsg:
		if msg.gen == p.filter.gen {
			p.filter.show(msg.view)
		}
		return nil, true
	case olderMsg:
		return p.older.found(msg), true
	case savedMsg:
		p.export.saved(msg)
		return nil, true
	case dragMsg:
		d := &p.win.drag
		if d.timed = false; d.on && d.past != 0 {
			p.win.dragStep()
		}
		return p.dragOn(), true
	}
	if cmd, ok := p.ahead.receive(msg); ok {
		return cmd, true
	}
	return p.search.receive(msg)
}

// previewed is the replica whose unfinished line is shown: that of the one service that is shown, as
// long as its newest lines are.
func (p *logPane) previewed() target {
	w := &p.filter.want
	if p.e.tab != paneLogs || p.e.f.main.empty() || !p.win.follow && p.win.lines() > 0 ||
		len(w.Services) != 1 || narrows(w) {
		return target{}
	}
	of := target{service: w.Services[0], replica: w.Replica}
	switch s := p.e.snap.service(of.service); {
	case s == nil, of.replica == 0 && len(s.Replicas) > 1:
		return target{}
	case of.replica == 0 && len(s.Replicas) == 1:
		of.replica = s.Replicas[0].Number
	}
	return of
}

// heightOf is how many rows a line takes, its mark included.
func (p *logPane) heightOf(l *logs.Line) int {
	n := 1
	if !p.format.single(l) {
		n = len(p.format.rowsOf(l))
	}
	if _, ok := p.marks.byLine[l.Seq]; ok {
		n++
	}
	return n
}

// back takes the last thing away that narrows or marks; false when there is nothing.
func (p *logPane) back() bool {
	switch {
	case p.win.ranged:
		p.win.ranged = false
	case p.charsOf(&p.win.cur.line) != nil:
		p.win.chars.on = false
	case len(p.format.open) > 0:
		clear(p.format.open)
		p.format.dropCache()
		p.win.skip = 0
	case p.search.on():
		p.search.lookFor("", nil)
	case p.filter.back():
	case p.marks.any():
		clear(p.marks.byLine)
	case p.format.xoff > 0:
		p.format.xoff = 0
	case !p.win.follow:
		p.win.follow = true
	default:
		return false
	}
	return true
}

// typer is the search box while it is open.
func (p *logPane) typer() typer {
	if p.search.box.open {
		return p.search
	}
	return nil
}

// muteTargets are the services that the mute key is about: that of the cursor's line, else those that verbs act on.
func (p *logPane) muteTargets() []string {
	if p.e.focus == paneLogs && !p.win.follow && p.win.cur.line.Service != "" {
		return []string{p.win.cur.line.Service}
	}
	names, _ := p.sel.targets()
	return names
}

// drag takes the selection to where the pointer is.
func (p *logPane) drag(x, y int) tea.Cmd {
	if !p.win.drag.on || p.reachChars(x, y) {
		return nil
	}
	p.win.reach(y)
	return p.dragOn()
}

// dragOn goes on scrolling while the pointer is past an edge.
func (p *logPane) dragOn() tea.Cmd {
	d := &p.win.drag
	if d.past == 0 || !d.on || d.timed {
		return nil
	}
	d.timed = true
	return p.e.jobs.do("scroll with the pointer", func(ctx context.Context) tea.Msg {
		t := time.NewTimer(dragPause)
		defer t.Stop()
		select {
		case <-t.C:
			return dragMsg{}
		case <-ctx.Done():
			return nil
		}
	})
}

// drop ends a drag; what it selected stays so.
func (p *logPane) drop() {
	lo, hi := p.win.rangeOf()
	what := plural(int(hi-lo+1), "line")
	c := p.charsOf(&p.win.cur.line)
	if c != nil {
		what = plural(utf8.RuneCountInString(c.text), "character")
	}
	if p.win.drag.on && (c != nil || p.win.ranged) {
		p.e.status.set(what + " selected, " + p.e.keyOf("copy") + " copies")
	}
	p.win.drag.on, p.win.drag.past = false, 0
}

// showMoment puts the cursor on the first line since a moment.
func (p *logPane) showMoment(at time.Time) { p.win.show(p.win.view.At(at)) }

// title says what the pane shows, in at most w cells where words can be spared.
func (p *logPane) title(w int) string {
	for brief := range 2 {
		if text := p.titleOf(brief); width(text) <= w {
			return text
		}
	}
	return p.titleOf(2)
}

// titleOf is the title in one of three lengths, 0 the longest. What is narrowed stays longest: that
// all services are shown is clear from no name being there.
func (p *logPane) titleOf(brief int) string {
	follow := "following"
	if !p.win.follow && p.win.lines() > 0 {
		_, end := p.win.view.Bounds()
		below := "scrolled back"
		if n := end - 1 - p.win.bottomOrd(); n > 0 && brief == 0 {
			below += ", " + thousands(n) + " below"
		} else if n > 0 {
			below = thousands(n) + " below"
		}
		follow = p.e.st.warn.s(below)
	}
	parts := append([]string{p.filter.scopeText(brief), p.older.text(), follow}, p.filter.titleParts(brief)...)
	return strings.Join(slices.DeleteFunc(parts, func(part string) bool { return part == "" }), " · ")
}

// render draws the pane into r.
func (p *logPane) render(r rect) []string {
	if r.empty() {
		return nil
	}
	body := r.h
	foot := p.search.foot(r.w)
	if foot != "" && r.h > 2 {
		body--
	}
	name := p.nameWidth()
	lead := 1 + p.format.timeWidth(r.w)
	if name > 0 {
		lead += name + 1
	}
	ahead := p.ahead.row(lead, r.w)
	if body < 2 {
		ahead = ""
	}
	if ahead != "" {
		body--
	}
	p.win.resize(body)
	p.textX = lead
	p.format.layout(r.w-lead, name)
	out := p.rows(r.w, body, name)
	if first, _ := p.win.view.Bounds(); !p.win.follow && len(out) < body && (p.win.top.ord > first ||
		p.win.skip > 0) {
		p.win.setTop(p.win.lastTop()) // lines went away below: the last one is at the bottom again
		out = p.rows(r.w, body, name)
	}
	switch {
	case len(out) == 0 && ahead == "":
		out = p.nothingYet(r.w, body)
		p.win.seen = nil
	case ahead != "":
		out = append(out, ahead)
		body++
	}
	for len(out) < body {
		out = append(out, spaces(r.w))
	}
	if body < r.h {
		out = append(out, fit(foot, r.w))
	}
	return out
}

// nameWidth is the width of the services' column, 0 where there is one service only.
func (p *logPane) nameWidth() int {
	if one := p.filter.have.Services; len(one) == 1 {
		if s := p.e.snap.service(one[0]); s == nil || len(s.Replicas) < 2 {
			return 0
		}
	}
	n := 4
	for i := range p.e.snap.Services {
		s := &p.e.snap.Services[i]
		if !p.filter.shows(s.Name) {
			continue
		}
		extra := 0
		if len(s.Replicas) > 1 {
			extra = 2
		}
		n = max(n, width(s.Name)+extra)
	}
	return min(n, 16)
}

// rows draws the rows that fit, from the end while following, else from top on.
func (p *logPane) rows(w, h, name int) []string {
	win, st := p.win, &p.e.st
	first, end := win.view.Bounds()
	if end == first || h <= 0 {
		return nil
	}
	from := win.top.ord
	if win.follow {
		from = max(first, end-int64(h))
	}
	lines := win.view.Lines(from, h)
	before := time.Time{}
	if p.format.times == timesDelta {
		if l, ok := win.view.Line(from - 1); ok {
			before = l.Time
		}
	}
	lo, hi := win.rangeOf()
	rows := make([]string, 0, h+8)
	seen := make([]shownRow, 0, h+8)
	for i := range lines {
		l := &lines[i]
		if l.Seq == 0 {
			continue // left the store since the last refresh
		}
		ord := from + int64(i)
		cursor := !win.follow && ord == win.cur.ord && p.e.focus == paneLogs
		inRange := win.ranged && ord >= lo && ord <= hi
		lead := p.lead(l, before, w, name, cursor, inRange)
		before = l.Time
		for j, text := range p.format.rowsOf(l) {
			if j == 1 {
				lead = " " + spaces(width(lead)-1)
			}
			row := lead + p.paintChars(l, j, text)
			if inRange {
				row = st.bar(fit(row, w))
			}
			rows = append(rows, fit(row, w))
			seen = append(seen, shownRow{ord: ord, line: *l, row: j})
		}
		if mk, ok := p.marks.byLine[l.Seq]; ok {
			rows = append(rows, st.warn.s(markRule(mk.at, w)))
			seen = append(seen, shownRow{ord: ord, line: *l, row: -1})
		}
		if !win.follow && len(rows)-win.skip >= h {
			break
		}
	}
	return win.keepShown(rows, seen, h)
}

// lead is what comes before the text of a line's first row.
func (p *logPane) lead(l *logs.Line, before time.Time, w, name int, cursor, inRange bool) string {
	st := &p.e.st
	gutter := " "
	switch {
	case cursor:
		gutter = st.titleFocus.s(">")
	case inRange:
		gutter = "|"
	case l.Level >= logs.Error:
		gutter = st.fail.s("!")
	}
	at, sep := p.format.timeText(l, before, p.e.now, w), " "
	if l.Stream == logs.Stderr && p.filter.have.Stream != logs.Stderr {
		sep = st.dim.s("┊") // colour says the level; this says the stream, also where there is no colour
	}
	if at == "" && name == 0 {
		if sep != " " && gutter == " " {
			gutter = sep
		}
		return gutter
	}
	at = strings.TrimSuffix(at, " ")
	if cursor {
		at = st.selected.s(at)
	} else {
		at = st.dim.s(at)
	}
	if name == 0 {
		return gutter + at + sep
	}
	if at != "" {
		at += " "
	}
	who := logs.CleanLine(l.Service)
	if s := p.e.snap.service(who); s != nil && len(s.Replicas) > 1 && l.Replica > 0 {
		who = fmt.Sprintf("%s/%d", cut(who, name-2), l.Replica)
	}
	return gutter + at + p.e.namePaint(l.Service).s(fit(who, name)) + sep
}

// size says how many lines pass the filter.
func (p *logPane) size() string {
	return thousands(p.win.lines()) + " lines"
}
