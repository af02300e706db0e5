package ui

import (
	"slices"

	tea "charm.land/bubbletea/v2"

	"bulkhead/engine/logs"
)

// anchor is a line and the ordinal it was last seen under; lines that come late move ordinals.
type anchor struct {
	ord  int64
	line logs.Line
}

// shownRow is one row of the window.
type shownRow struct {
	ord  int64
	line logs.Line
	row  int // of the line's rows; -1: its mark
}

// logWindow is which rows of a view are seen: where its top, its cursor and its selected range are,
// whatever comes and goes above them.
type logWindow struct {
	e      *env
	view   *logs.View
	height func(l *logs.Line) int // rows that a line takes

	follow bool
	top    anchor
	skip   int // rows of top that are above the window
	cur    anchor
	clamp  bool // the window was scrolled: take the cursor along
	ranged bool
	from   anchor // other end of the range
	drag   drag
	chars  charRange  // what is selected of the cursor's line
	seen   []shownRow // what each row of the window shows
	h      int
}

// drag is a selection of log lines by the pointer, from the line that was clicked on.
type drag struct {
	on    bool
	from  anchor
	past  int  // rows that the pointer is above (negative) or below the window
	timed bool // a dragMsg is on its way
}

// adopt shows another view at the same place.
func (p *logWindow) adopt(v *logs.View) {
	p.view = v
	p.view.Refresh()
	p.relocate()
	if !p.follow && !p.ranged {
		p.reveal() // lines that came or went above it moved the cursor
	}
}

// heightOf is how many rows a line takes, its mark included.
func (p *logWindow) heightOf(ord int64) int {
	l, ok := p.view.Line(ord)
	if !ok {
		return 1
	}
	return p.height(&l)
}

// lines is how many lines the view has.
func (p *logWindow) lines() int64 {
	first, end := p.view.Bounds()
	return end - first
}

// toEnd follows the newest line again.
func (p *logWindow) toEnd() tea.Cmd { p.follow, p.ranged = true, false; return nil }

func (p *logWindow) stopped() bool { return !p.follow }

// refresh takes in new lines.
func (p *logWindow) refresh() {
	if p.view.Refresh() {
		p.relocate()
	}
}

// relocate finds the anchors again after ordinals may have moved. Lines that came late between the
// top and the cursor push up what is above it: the cursor, where it is seen, stays in its row.
func (p *logWindow) relocate() {
	apart := p.cur.ord - p.top.ord
	row := slices.IndexFunc(p.seen, func(r shownRow) bool { return r.line.Seq == p.cur.line.Seq })
	for _, a := range []*anchor{&p.top, &p.cur, &p.from, &p.drag.from} {
		p.find(a)
	}
	if p.follow || row < 0 || p.cur.line.Seq == 0 || p.cur.ord-p.top.ord <= apart {
		return
	}
	first, _ := p.view.Bounds()
	ord, above := p.cur.ord, 0
	for above < row && ord > first {
		ord--
		above += p.heightOf(ord)
	}
	p.setTop(ord, max(above-row, 0))
}

func (p *logWindow) find(a *anchor) {
	if a.line.Seq == 0 {
		return
	}
	if ord, ok := p.view.Locate(a.line); ok {
		a.ord = ord
		return
	}
	first, end := p.view.Bounds()
	a.ord = min(max(p.view.At(a.line.Time), first), max(end-1, first))
	if l, ok := p.view.Line(a.ord); ok {
		a.line = l
	}
}

// stop ends following with the window where it is.
func (p *logWindow) stop() {
	if !p.follow {
		return
	}
	p.follow = false
	first, end := p.view.Bounds()
	if len(p.seen) == 0 || end == first {
		p.setTop(max(first, end-int64(max(p.h, 1))), 0)
		p.setCur(end - 1)
		return
	}
	ord := p.seen[0].ord
	rows := 0
	for _, s := range p.seen {
		if s.ord == ord {
			rows++
		}
	}
	p.setTop(ord, max(p.heightOf(ord)-rows, 0))
	p.setCur(p.seen[len(p.seen)-1].ord)
}

func (p *logWindow) setTop(ord int64, skip int) {
	first, end := p.view.Bounds()
	ord = min(max(ord, first), max(end-1, first))
	p.top.ord, p.skip = ord, skip
	p.top.line, _ = p.view.Line(ord)
}

func (p *logWindow) setCur(ord int64) {
	first, end := p.view.Bounds()
	p.cur.ord = min(max(ord, first), max(end-1, first))
	p.cur.line, _ = p.view.Line(p.cur.ord)
	p.chars.on = p.chars.on && p.chars.seq == p.cur.line.Seq
}

// scroll moves the window by n rows.
func (p *logWindow) scroll(n int) {
	if p.follow && n >= 0 {
		return
	}
	p.stop()
	p.clamp = !p.ranged && !p.chars.on // the cursor is the end of the range: it stays where it was put
	first, end := p.view.Bounds()
	ord, skip := p.top.ord, p.skip+n
	for skip < 0 && ord > first {
		ord--
		skip += p.heightOf(ord)
	}
	for ord < end-1 && skip >= p.heightOf(ord) {
		skip -= p.heightOf(ord)
		ord++
	}
	last, lastSkip := p.lastTop()
	if ord > last || ord == last && skip > lastSkip {
		ord, skip = last, lastSkip
	}
	p.setTop(ord, max(skip, 0))
}

// lastTop is the furthest that the window goes down: the last row is at its bottom.
func (p *logWindow) lastTop() (int64, int) { return p.topFor(p.lastOrd()) }

func (p *logWindow) lastOrd() int64 {
	first, end := p.view.Bounds()
	return max(end-1, first)
}

// topFor is the top at which the last row of a line is the last one of the window.
func (p *logWindow) topFor(ord int64) (int64, int) {
	first, _ := p.view.Bounds()
	rows := p.heightOf(ord)
	for rows < p.h && ord > first {
		ord--
		rows += p.heightOf(ord)
	}
	return ord, max(rows-p.h, 0)
}

// move moves the cursor by n lines; the window follows it.
func (p *logWindow) move(n int) {
	first, end := p.view.Bounds()
	if end == first || p.follow && n > 0 {
		return
	}
	if n >= farAway {
		p.follow, p.ranged = true, false
		return
	}
	was := p.follow
	p.stop()
	ord := p.cur.ord
	if was {
		ord = end - 1
	}
	if n <= -farAway {
		ord = first
	} else {
		ord += int64(n)
	}
	p.setCur(ord)
	p.reveal()
}

// reveal scrolls just so far that the cursor is seen.
func (p *logWindow) reveal() {
	if p.cur.ord < p.top.ord || p.cur.ord == p.top.ord && p.skip > 0 {
		p.setTop(p.cur.ord, 0)
		return
	}
	ord, skip := p.topFor(p.cur.ord)
	if ord > p.top.ord || ord == p.top.ord && skip > p.skip {
		p.setTop(ord, skip)
	}
}

// show puts the cursor on a line, in the middle of the window.
func (p *logWindow) show(ord int64) {
	p.stop()
	p.setCur(ord)
	rows, at := 0, p.cur.ord
	first, _ := p.view.Bounds()
	for rows < p.h/2 && at > first {
		at--
		rows += p.heightOf(at)
	}
	p.setTop(at, 0)
	if last, skip := p.lastTop(); p.top.ord > last {
		p.setTop(last, skip)
	}
}

func (p *logWindow) clickRow(i int) {
	if i < 0 || i >= len(p.seen) {
		return
	}
	ord := p.seen[i].ord
	p.stop()
	p.setCur(ord)
}

// resize sets how many rows are seen. A line of news below takes a row away: not the one with the cursor in it.
func (p *logWindow) resize(h int) {
	seen := !p.follow && h < p.h && p.cur.ord >= p.top.ord && p.cur.ord-p.top.ord < int64(p.h)
	if seen {
		rows := -p.skip
		for ord := p.top.ord; ord <= p.cur.ord; ord++ {
			rows += p.heightOf(ord)
		}
		seen = rows <= p.h
	}
	p.h = h
	if seen {
		p.reveal()
	}
}

func (p *logWindow) rangeOf() (lo, hi int64) {
	return min(p.from.ord, p.cur.ord), max(p.from.ord, p.cur.ord)
}

// bottomOrd is the ordinal of the last line that is seen.
func (p *logWindow) bottomOrd() int64 {
	if len(p.seen) == 0 {
		return p.lastOrd()
	}
	return p.seen[len(p.seen)-1].ord
}

// grab begins a drag on the clicked row.
func (p *logWindow) grab(row int) {
	p.drag.on = false
	if row < 0 || row >= len(p.seen) {
		return
	}
	p.clickRow(row)
	p.ranged = false
	p.drag = drag{on: true, from: p.cur, timed: p.drag.timed}
}

// reach takes the selection to a row of the window; one outside of it scrolls.
func (p *logWindow) reach(row int) {
	if len(p.seen) == 0 {
		return
	}
	p.drag.past = min(row, 0) + max(row-p.h+1, 0)
	p.setCur(p.seen[min(max(row, 0), len(p.seen)-1)].ord)
	if !p.ranged && p.cur.ord != p.drag.from.ord {
		p.ranged, p.from = true, p.drag.from
	}
}

// dragStep scrolls by one step, faster the further the pointer is past the edge.
func (p *logWindow) dragStep() {
	by := min(max(p.drag.past, -5), 5)
	p.scroll(by)
	p.setCur(p.cur.ord + int64(by))
	p.clamp = true // rows are not lines where they wrap
	if !p.ranged && p.cur.ord != p.drag.from.ord {
		p.ranged, p.from = true, p.drag.from
	}
}

// keepShown takes the rows that fit into h out of those that were drawn, and keeps which lines they are of.
func (p *logWindow) keepShown(rows []string, seen []shownRow, h int) []string {
	switch {
	case p.follow && len(rows) > h:
		rows, seen = rows[len(rows)-h:], seen[len(seen)-h:]
	case !p.follow:
		skip := min(p.skip, max(len(rows)-1, 0))
		rows, seen = rows[skip:], seen[skip:]
		rows, seen = rows[:min(len(rows), h)], seen[:min(len(seen), h)]
	}
	p.seen = seen
	if p.clamp && len(seen) > 0 {
		p.clamp = false
		p.setCur(min(max(p.cur.ord, seen[0].ord), seen[len(seen)-1].ord))
	}
	return rows
}

// toggleRange begins a range at the cursor, or ends it.
func (p *logWindow) toggleRange() tea.Cmd {
	if p.ranged {
		p.ranged = false
		return nil
	}
	p.stop()
	p.from, p.ranged = p.cur, true
	p.e.status.set("move to the other end of the range, " + p.e.keyOf("copy") + " copies it, esc ends")
	return nil
}
