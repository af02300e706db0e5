package ui

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"

	"bulkhead/engine/logs"
)

const (
	shownBytes  = 16 << 10 // of one line: more than fills any screen, and little enough to clean in a frame
	wrappedRows = 200      // of one line
	cellBytes   = 40       // that one cell may take: a character with all its accents, and a colour of its own
	cachedLines = 2000
)

// formatted is a line's text as rows, without the time in front.
type formatted struct{ rows []string }

// formatKey is what formatted rows depend on beside their line.
type formatKey struct {
	w, name, xoff int
	wrap, pretty  bool
	raw           bool
	re            *regexp.Regexp
}

func (p *logPane) dropCache() { p.cache = map[uint64]formatted{} }

// rowsOf gives the rows of a line's text, mark included.
func (p *logPane) rowsOf(m *styles, l *logs.Line) []string {
	if f, ok := p.cache[l.Seq]; ok {
		return f.rows
	}
	if len(p.cache) > cachedLines {
		p.dropCache()
	}
	f := formatted{rows: p.formatLine(m, l, p.open[l.Seq])}
	p.cache[l.Seq] = f
	return f.rows
}

// heightOf is how many rows a line takes, its mark included.
func (p *logPane) heightOf(ord int64) int {
	l, ok := p.view.Line(ord)
	if !ok {
		return 1
	}
	n := 1
	if p.wrap || p.pretty || p.open[l.Seq] {
		n = len(p.rowsOf(p.stylesForHeight(), &l))
	}
	if _, ok := p.marks[l.Seq]; ok {
		n++
	}
	return n
}

// stylesForHeight are the styles of the last drawing: rows that are measured first and drawn later look the same.
func (p *logPane) stylesForHeight() *styles { return p.drawn }

// formatLine lays out the text of one line in rows of the format's width. An open line shows all that there is of it: below its
// head what a structured one holds, of another one the rest.
func (p *logPane) formatLine(st *styles, l *logs.Line, open bool) []string {
	w := max(p.format.w, 1)
	raw := l.Text
	cutOff := l.Cut
	if len(raw) > shownBytes+p.xoff {
		cutOff += len(raw) - shownBytes - p.xoff
		raw = raw[:shownBytes+p.xoff]
	}
	if l.Stream == logs.System {
		return []string{st.dim.s(ruleAround(string(logs.Plain(nil, raw)), w))}
	}
	if p.pretty {
		if rows, ok := logs.Pretty(raw); ok {
			out := make([]string, 0, len(rows))
			for _, r := range rows {
				out = append(out, p.highlight(st, cut(strings.ReplaceAll(r, "\t", "  "), w)))
			}
			return out
		}
	}
	text := string(logs.Clean(nil, p.short(raw)))
	if !p.wrap && !open {
		text = head(text, cellBytes*(p.xoff+w+1))
	}
	if strings.IndexByte(text, 0x1b) < 0 {
		text = levelPaint(st, l.Level).s(text)
	}
	if cutOff > 0 {
		text += st.dim.s(fmt.Sprintf(" … %s more", bytesText(int64(cutOff))))
	}
	text = p.highlight(st, text)
	var below []string
	if open {
		below = p.laidOut(st, raw, w)
	}
	if !p.wrap && (!open || below != nil) {
		if p.xoff > 0 {
			text = ansi.Cut(text, p.xoff, p.xoff+w)
		}
		return append([]string{fit(text, w)}, below...)
	}
	rows := strings.Split(ansi.Hardwrap(text, w, true), "\n")
	if len(rows) > wrappedRows {
		rows = append(rows[:wrappedRows-1], st.dim.s("…"))
	}
	return append(carryStyles(rows), below...)
}

// laidOut is what stands below the head of an open line, nil for a line that is not structured. Nothing is cut off to the right.
func (p *logPane) laidOut(st *styles, raw []byte, w int) []string {
	rows, ok := logs.Pretty(raw)
	if !ok {
		return nil
	}
	const indent = 2
	var out []string
	for _, r := range rows {
		for _, part := range strings.Split(ansi.Hardwrap(strings.ReplaceAll(r, "\t", "  "), max(w-indent, 1), true), "\n") {
			out = append(out, cut(spaces(indent)+p.highlight(st, part), w))
		}
	}
	return out
}

// head is the first n bytes of a clean text, or a few less: no character and no colour is cut in two.
func head(text string, n int) string {
	if len(text) <= n {
		return text
	}
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	text = text[:n]
	if at := strings.LastIndexByte(text, 0x1b); at >= 0 && strings.IndexByte(text[at:], 'm') < 0 {
		text = text[:at]
	}
	return text
}

// short gives a structured line in its short form, unless the user wants lines as they are, or looks for something that the short
// form does not show.
func (p *logPane) short(raw []byte) []byte {
	if p.raw {
		return raw
	}
	text, ok := compact(raw)
	if !ok || p.re != nil && p.re.Match(raw) && !p.re.MatchString(text) {
		return raw
	}
	return []byte(text)
}

// carryStyles makes every row of a wrapped line begin in the style in which the one before ended.
func carryStyles(rows []string) []string {
	var pen logs.Pen
	for i, r := range rows {
		open := pen.String()
		for rest := r; ; {
			sgr, after, ok := nextSGR(rest)
			if !ok {
				break
			}
			pen.Apply(sgr)
			rest = after
		}
		rows[i] = open + r
		if !pen.Plain() {
			rows[i] += "\x1b[m"
		}
	}
	return rows
}

// nextSGR finds the first sequence in a clean text, and what stands behind it.
func nextSGR(text string) (sgr, after string, ok bool) {
	at := strings.IndexByte(text, 0x1b)
	if at < 0 {
		return "", "", false
	}
	end := strings.IndexByte(text[at:], 'm')
	if end < 0 {
		return "", "", false
	}
	return text[at : at+end+1], text[at+end+1:], true
}

func levelPaint(st *styles, l logs.Level) paint {
	switch {
	case l >= logs.Error:
		return st.fail
	case l == logs.Warn:
		return st.warn
	case l == logs.Debug || l == logs.Trace:
		return st.dim
	}
	return st.plain
}

// shownMatches is how many matches are shown in one line.
const shownMatches = 1000

// highlight shows where the search matches a clean text.
func (p *logPane) highlight(st *styles, text string) string {
	if p.re == nil {
		return text
	}
	found := p.re.FindAllStringIndex(ansi.Strip(text), shownMatches)
	found = slices.DeleteFunc(found, func(f []int) bool { return f[0] == f[1] })
	if len(found) == 0 {
		return text
	}
	var b strings.Builder
	var pen logs.Pen
	match := string(of(st.matchStyle))
	at, inside := 0, false // of the plain text
	for text != "" {
		if text[0] == 0x1b {
			sgr, after, ok := nextSGR(text)
			if !ok {
				break
			}
			pen.Apply(sgr)
			if !inside {
				b.WriteString(sgr)
			}
			text = after
			continue
		}
		n := strings.IndexByte(text, 0x1b) // up to the next change of colour
		if n < 0 {
			n = len(text)
		}
		switch {
		case inside:
			n = min(n, found[0][1]-at)
		case len(found) > 0 && found[0][0] == at:
			b.WriteString("\x1b[m" + match)
			inside = true
			continue
		case len(found) > 0:
			n = min(n, found[0][0]-at)
		}
		b.WriteString(text[:n])
		text, at = text[n:], at+n
		if inside && at == found[0][1] {
			b.WriteString("\x1b[m" + pen.String())
			found, inside = found[1:], false
		}
	}
	return b.String()
}

// ruleAround puts a text into the middle of a line.
func ruleAround(text string, w int) string {
	text = cut(" "+text, max(w-2, 1)) + " "
	left := min(8, max((w-width(text))/2, 1))
	text = cut(text, max(w-left, 1))
	return strings.Repeat("─", max(left, 0)) + text + strings.Repeat("─", max(w-width(text)-left, 0))
}

// markRule is the rule of a mark, w cells wide.
func markRule(at time.Time, w int) string {
	text := cut("─── MARK "+at.Local().Format(time.TimeOnly)+" ", w)
	return text + strings.Repeat("─", w-width(text))
}

// timeWidth is the width of the times' column with the blank behind it.
func (p *logPane) timeWidth(w int) int {
	switch p.times {
	case timesRelative:
		return 6
	case timesDelta:
		return 8
	case timesNone:
		return 0
	}
	if w >= 96 {
		return 13
	}
	return 9
}

// timeText is a line's time in the chosen form.
func (p *logPane) timeText(l *logs.Line, before time.Time, now time.Time, w int) string {
	switch p.times {
	case timesRelative:
		return right("-"+age(now.Sub(l.Time)), 5) + " "
	case timesDelta:
		if before.IsZero() {
			return spaces(8)
		}
		d := l.Time.Sub(before)
		switch {
		case d >= 100*time.Second:
			return right("+"+age(d), 7) + " "
		case d < 0:
			d = 0
		}
		return right(fmt.Sprintf("+%.3f", d.Seconds()), 7) + " "
	case timesNone:
		return ""
	}
	if w >= 96 {
		return l.Time.Local().Format("15:04:05.000 ")
	}
	return l.Time.Local().Format("15:04:05 ")
}

// names is the width of the services' column, 0 where there is one service only.
func (p *logPane) names(m *Model) int {
	if len(p.have.Services) == 1 {
		if s := m.service(p.have.Services[0]); s == nil || len(s.Replicas) < 2 {
			return 0
		}
	}
	n := 4
	for i := range m.snap.Services {
		s := &m.snap.Services[i]
		if !p.shows(s.Name) {
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

func (p *logPane) shows(service string) bool {
	if p.have.Services == nil {
		return !p.have.Mute[service]
	}
	for _, s := range p.have.Services {
		if s == service {
			return true
		}
	}
	return false
}

// Render draws the pane into r.
func (p *logPane) Render(m *Model, r rect) []string {
	if r.empty() {
		return nil
	}
	st := &m.st
	p.drawn = st
	body := r.h
	foot := p.foot(m, r.w)
	if foot != "" && r.h > 2 {
		body--
	}
	p.resize(body)
	name := p.names(m)
	tw := p.timeWidth(r.w)
	lead := 1 + tw
	if name > 0 {
		lead += name + 1
	}
	key := formatKey{w: r.w - lead, name: name, xoff: p.xoff, wrap: p.wrap, pretty: p.pretty, raw: p.raw, re: p.re}
	if key != p.format {
		p.format = key
		p.dropCache()
	}
	out := p.window(m, st, r.w, body, name)
	if first, _ := p.view.Bounds(); !p.follow && len(out) < body && (p.top.ord > first || p.skip > 0) {
		p.setTop(p.lastTop()) // lines went away below: the last one stands at the bottom again
		out = p.window(m, st, r.w, body, name)
	}
	if len(out) == 0 {
		out = append(out, st.dim.s(fit(" "+p.emptyText(m), r.w)))
		p.seen = nil
	}
	for len(out) < body {
		out = append(out, spaces(r.w))
	}
	if body < r.h {
		out = append(out, fit(foot, r.w))
	}
	return out
}

// resize gives the window another height. A line of news below takes a row away: not the one with the cursor in it.
func (p *logPane) resize(h int) {
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

// window draws the rows that fit, from the end while following, else from top on.
func (p *logPane) window(m *Model, st *styles, w, h, name int) []string {
	first, end := p.view.Bounds()
	if end == first || h <= 0 {
		return nil
	}
	from := p.top.ord
	if p.follow {
		from = max(first, end-int64(h))
	}
	lines := p.view.Lines(from, h)
	before := time.Time{}
	if p.times == timesDelta {
		if l, ok := p.view.Line(from - 1); ok {
			before = l.Time
		}
	}
	lo, hi := p.rangeOf()
	rows := make([]string, 0, h+8)
	seen := make([]shownRow, 0, h+8)
	for i := range lines {
		l := &lines[i]
		if l.Seq == 0 {
			continue // left the store since the last refresh
		}
		ord := from + int64(i)
		cursor := !p.follow && ord == p.cur.ord && m.focus == paneLogs
		inRange := p.ranged && ord >= lo && ord <= hi
		lead := p.lead(m, st, l, before, w, name, cursor, inRange)
		before = l.Time
		for j, text := range p.rowsOf(st, l) {
			if j == 1 {
				lead = " " + spaces(width(lead)-1)
			}
			row := lead + text
			if inRange {
				row = st.selected.over(row)
			}
			rows = append(rows, fit(row, w))
			seen = append(seen, shownRow{ord: ord, line: *l})
		}
		if mk, ok := p.marks[l.Seq]; ok {
			rows = append(rows, st.warn.s(markRule(mk.at, w)))
			seen = append(seen, shownRow{ord: ord, line: *l})
		}
		if !p.follow && len(rows)-p.skip >= h {
			break
		}
	}
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

func (p *logPane) rangeOf() (lo, hi int64) {
	return min(p.from.ord, p.cur.ord), max(p.from.ord, p.cur.ord)
}

// lead is what stands before the text of a line's first row.
func (p *logPane) lead(m *Model, st *styles, l *logs.Line, before time.Time, w, name int, cursor, inRange bool) string {
	gutter := " "
	switch {
	case cursor:
		gutter = st.titleFocus.s(">")
	case inRange:
		gutter = "|"
	case l.Level >= logs.Error:
		gutter = st.fail.s("!")
	}
	at, sep := p.timeText(l, before, m.now, w), " "
	if l.Stream == logs.Stderr && p.have.Stream != logs.Stderr {
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
	if s := m.service(who); s != nil && len(s.Replicas) > 1 && l.Replica > 0 {
		who = fmt.Sprintf("%s/%d", cut(who, name-2), l.Replica)
	}
	return gutter + at + m.namePaint(l.Service).s(fit(who, name)) + sep
}

// foot is the line about the search, "" without one.
func (p *logPane) foot(m *Model, w int) string {
	if m.search.open {
		return m.search.line(m, w)
	}
	if p.re == nil {
		return ""
	}
	count := "counting"
	if p.countedFor.query == p.query {
		count = p.countText()
	}
	switch {
	case p.invert:
		count += ", " + m.st.warn.s("without these")
	case p.only:
		count += ", " + m.st.warn.s("only these")
	}
	head := " " + m.st.key.s("/"+p.query+"/") + "  " + count
	for _, hint := range []string{"esc clear", m.keyOf("next-match") + "/" + m.keyOf("previous-match") + " next",
		m.keyOf("only-matches") + " only matches", m.keyOf("invert") + " invert", m.keyOf("follow") + " follow"} {
		if width(head)+2+width(hint) > w {
			break
		}
		head += "  " + m.st.dim.s(hint)
	}
	return head
}
