package ui

import (
	"context"
	"regexp"
	"slices"
	"time"

	tea "charm.land/bubbletea/v2"

	"bulkhead/engine/logs"
)

// times is how the log pane shows when a line was written.
type times uint8

const (
	timesAbsolute times = iota
	timesRelative
	timesDelta
	timesNone
	timesEnd
)

// String is the word of the config file.
func (t times) String() string { return [...]string{"absolute", "relative", "delta", "none"}[t] }

// anchor is a line and the ordinal it was last seen under; lines that come late move ordinals.
type anchor struct {
	ord  int64
	line logs.Line
}

// logPane shows lines of the store through a view of its own, a window of rows at a time.
type logPane struct {
	store   *logs.Store
	view    *logs.View
	have    logs.Filter // what view shows
	want    logs.Filter // what it is to show; a view for it may be on its way
	gen     int         // of want
	shown   int         // gen of view
	opening bool        // the view that is wanted is being made aside

	follow bool
	wrap   bool
	pretty bool // JSON and logfmt laid out in rows
	raw    bool // as they were written; else in short
	solo   bool // only the selected service
	times  times
	level  logs.Level
	stream logs.Stream     // StreamUnknown: both
	since  time.Time       // zero: from the first line on
	until  time.Time       // zero: up to the last one
	muted  map[string]bool // services that are left out where all are shown; they need not exist yet
	open   map[uint64]bool // lines that are laid out in place, by Seq
	xoff   int

	top    anchor
	skip   int // rows of top that are above the window
	cur    anchor
	clamp  bool // the window was scrolled: take the cursor along
	ranged bool
	from   anchor // other end of the range
	drag   drag
	marks  map[uint64]mark
	seen   []shownRow // what stands in each row of the window
	h      int

	re          *regexp.Regexp
	query       string
	only        bool
	invert      bool
	matches     int64 // lines that match
	total       int64 // of so many
	counter     *logs.Counter
	counting    bool // it is being asked
	counted     bool // it had searched all there was
	countedFor  countKey
	countingFor countKey
	endCount    func() // ends the one that runs
	finding     int    // number of the last search for a line
	endFind     func()

	older olderLines

	cache  map[uint64]formatted
	format formatKey
	drawn  *styles // of the last drawing
}

// mark is a place that the user marked: a line, or the moment after it.
type mark struct {
	at   time.Time
	line logs.Line
}

// shownRow is one row of the window.
type shownRow struct {
	ord  int64
	line logs.Line
}

// countKey is what a count of matches was made for.
type countKey struct {
	query   string
	gen     int
	changed uint64
}

type (
	viewMsg struct {
		gen  int
		view *logs.View
	}
	foundMsg struct {
		number  int // of the search
		line    logs.Line
		ok      bool
		wrapped bool
		what    string
	}
	countMsg struct {
		counter *logs.Counter
		key     countKey
		matches int64
		total   int64
		more    bool // there are lines that were not searched yet
		ended   bool // it was told to end
	}
)

func newLogPane(store *logs.Store, mode string) logPane {
	p := logPane{store: store, follow: true, marks: map[uint64]mark{}, cache: map[uint64]formatted{}, muted: map[string]bool{}, open: map[uint64]bool{},
		endCount: func() {}, endFind: func() {}}
	for t := timesAbsolute; t < timesEnd; t++ {
		if t.String() == mode {
			p.times = t
		}
	}
	p.view = store.View(logs.Filter{})
	return p
}

// aside is how many lines a store may hold for its view to be made on the spot.
const aside = 20_000

// reopen makes the view that is wanted, aside when that may take longer than a frame.
func (m *Model) reopen() tea.Cmd {
	p := &m.log
	if p.gen == p.shown {
		return nil
	}
	first, end := p.view.Bounds()
	lines := end - first
	if h := &p.have; h.Services != nil || len(h.Mute) > 0 || h.MinLevel != 0 || h.Stream != 0 || h.Match != nil || !h.Since.IsZero() || !h.Until.IsZero() {
		lines = aside + 1
		if st := p.store.Stats(); len(st) < 200 {
			lines = 0
			for _, s := range st {
				lines += s.Lines
			}
		}
	}
	gen, want, store := p.gen, p.want, p.store
	p.shown = gen
	if lines <= aside {
		p.adopt(store.View(want))
		return nil
	}
	p.opening = true
	return m.jobs.do("look through the logs", func(context.Context) tea.Msg { return viewMsg{gen: gen, view: store.View(want)} })
}

// adopt shows another view at the same place.
func (p *logPane) adopt(v *logs.View) {
	p.view, p.have, p.opening = v, p.want, false
	p.view.Refresh()
	p.relocate()
	if !p.follow && !p.ranged {
		p.reveal() // lines that came or went above it moved the cursor
	}
}

// refresh takes in new lines.
func (p *logPane) refresh() {
	if p.view.Refresh() {
		p.relocate()
	}
}

// relocate finds the anchors again after ordinals may have moved. Lines that came late between the top and the cursor push up what is
// above it: the cursor, where it is seen, stays in its row.
func (p *logPane) relocate() {
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

func (p *logPane) find(a *anchor) {
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
func (p *logPane) stop() {
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

func (p *logPane) setTop(ord int64, skip int) {
	first, end := p.view.Bounds()
	ord = min(max(ord, first), max(end-1, first))
	p.top.ord, p.skip = ord, skip
	p.top.line, _ = p.view.Line(ord)
}

func (p *logPane) setCur(ord int64) {
	first, end := p.view.Bounds()
	p.cur.ord = min(max(ord, first), max(end-1, first))
	p.cur.line, _ = p.view.Line(p.cur.ord)
}

// scroll moves the window by n rows.
func (p *logPane) scroll(n int) {
	if p.follow && n >= 0 {
		return
	}
	p.stop()
	p.clamp = !p.ranged // the cursor is the end of the range: it stays where it was put
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

// lastTop is the furthest that the window goes down: the last row stands at its bottom.
func (p *logPane) lastTop() (int64, int) { return p.topFor(p.lastOrd()) }

func (p *logPane) lastOrd() int64 {
	first, end := p.view.Bounds()
	return max(end-1, first)
}

// topFor is the top at which the last row of a line is the last one of the window.
func (p *logPane) topFor(ord int64) (int64, int) {
	first, _ := p.view.Bounds()
	rows := p.heightOf(ord)
	for rows < p.h && ord > first {
		ord--
		rows += p.heightOf(ord)
	}
	return ord, max(rows-p.h, 0)
}

// move moves the cursor by n lines; the window follows it.
func (p *logPane) move(n int) {
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
func (p *logPane) reveal() {
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
func (p *logPane) show(ord int64) {
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

func (p *logPane) clickRow(i int) {
	if i < 0 || i >= len(p.seen) {
		return
	}
	ord := p.seen[i].ord
	p.stop()
	p.setCur(ord)
}

func (p *logPane) sideways(n int) {
	if !p.wrap {
		p.xoff = min(max(p.xoff+n*16, 0), 1<<14)
	}
}

// back takes the last thing away that narrows or marks; false when there is nothing.
func (p *logPane) back() bool {
	switch {
	case p.ranged:
		p.ranged = false
	case len(p.open) > 0:
		clear(p.open)
		p.dropCache()
		p.skip = 0
	case p.re != nil:
		p.setSearch("", nil)
	case !p.since.IsZero() || !p.until.IsZero():
		p.since, p.until = time.Time{}, time.Time{}
		p.refilter()
	case p.stream != logs.StreamUnknown:
		p.stream = logs.StreamUnknown
		p.refilter()
	case p.level != logs.LevelUnknown:
		p.level = logs.LevelUnknown
		p.refilter()
	case len(p.marks) > 0:
		clear(p.marks)
	case p.xoff > 0:
		p.xoff = 0
	case !p.follow:
		p.follow = true
	default:
		return false
	}
	return true
}

// setSearch looks for re from now on; nil ends the search.
func (p *logPane) setSearch(query string, re *regexp.Regexp) {
	narrowed := p.want.Match != nil
	p.query, p.re = query, re
	if re == nil {
		p.only, p.invert = false, false
		p.matches, p.total = 0, 0
	}
	p.countedFor, p.counted = countKey{}, false
	p.endFind()
	p.finding++
	p.dropCache()
	if narrowed || p.only || p.invert {
		p.refilter()
	}
}
