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
	"bulkhead/ui/duration"
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

// lineFormat lays the text of lines out in rows, and keeps what it laid out while nothing that it depends on changes.
type lineFormat struct {
	e   *env
	win *logWindow

	wrap   bool
	pretty bool // JSON and logfmt laid out in rows
	raw    bool // as they were written; else in short
	times  times
	xoff   int             // cells that are scrolled out to the left
	open   map[uint64]bool // lines that are laid out in place, by Seq
	re     *regexp.Regexp  // whose matches are shown; nil: none

	cache  map[uint64]formatted
	format formatKey
}

func newLineFormat(e *env, win *logWindow, mode string) *lineFormat {
	f := &lineFormat{e: e, win: win, cache: map[uint64]formatted{}, open: map[uint64]bool{}}
	for t := timesAbsolute; t < timesEnd; t++ {
		if t.String() == mode {
			f.times = t
		}
	}
	return f
}

func (f *lineFormat) dropCache() { f.cache = map[uint64]formatted{} }

// layout sets the width of the text and of the names before it.
func (f *lineFormat) layout(w, name int) {
	key := formatKey{w: w, name: name, xoff: f.xoff, wrap: f.wrap, pretty: f.pretty, raw: f.raw, re: f.re}
	if key != f.format {
		f.format = key
		f.dropCache()
	}
}

// single says whether a line takes one row for certain.
func (f *lineFormat) single(l *logs.Line) bool { return !f.wrap && !f.pretty && !f.open[l.Seq] }

// rowsOf returns the rows of a line's text.
func (f *lineFormat) rowsOf(l *logs.Line) []string {
	if kept, ok := f.cache[l.Seq]; ok {
		return kept.rows
	}
	if len(f.cache) > cachedLines {
		f.dropCache()
	}
	rows := f.formatLine(l, f.open[l.Seq])
	f.cache[l.Seq] = formatted{rows: rows}
	return rows
}

// formatLine lays out the text of one line in rows of the format's width. An open line shows all
// that there is of it: below its head what a structured one holds, of another one the rest.
func (f *lineFormat) formatLine(l *logs.Line, open bool) []string {
	st, w := &f.e.st, max(f.format.w, 1)
	raw := l.Text
	cutOff := l.Cut
	if len(raw) > shownBytes+f.xoff {
		cutOff += len(raw) - shownBytes - f.xoff
		raw = raw[:shownBytes+f.xoff]
	}
	if l.Stream == logs.System {
		return []string{st.dim.s(ruleAround(string(logs.Plain(nil, raw)), w))}
	}
	if f.pretty {
		if rows, ok := logs.Pretty(raw); ok {
			out := make([]string, 0, len(rows))
			for _, r := range rows {
				out = append(out, f.highlight(cut(strings.ReplaceAll(r, "\t", "  "), w)))
			}
			return out
		}
	}
	text := string(logs.Clean(nil, f.short(raw)))
	if !f.wrap && !open {
		text = head(text, cellBytes*(f.xoff+w+1))
	}
	if strings.IndexByte(text, 0x1b) < 0 {
		text = levelPaint(st, l.Level).s(text)
	}
	if cutOff > 0 {
		text += st.dim.s(fmt.Sprintf(" … %s more", bytesText(int64(cutOff))))
	}
	text = f.highlight(text)
	var below []string
	if open {
		below = f.laidOut(raw, w)
	}
	if !f.wrap && (!open || below != nil) {
		if f.xoff > 0 {
			text = ansi.Cut(text, f.xoff, f.xoff+w)
		}
		return append([]string{fit(text, w)}, below...)
	}
	rows := strings.Split(ansi.Hardwrap(text, w, true), "\n")
	if len(rows) > wrappedRows {
		rows = append(rows[:wrappedRows-1], st.dim.s("…"))
	}
	return append(carryStyles(rows), below...)
}

// laidOut is what is shown below the head of an open line, nil for a line that is not structured.
// Nothing is cut off to the right.
func (f *lineFormat) laidOut(raw []byte, w int) []string {
	rows, ok := logs.Pretty(raw)
	if !ok {
		return nil
	}
	const indent = 2
	var out []string
	for _, r := range rows {
		for _, part := range strings.Split(ansi.Hardwrap(strings.ReplaceAll(r, "\t", "  "),
			max(w-indent, 1), true), "\n") {
			out = append(out, cut(spaces(indent)+f.highlight(part), w))
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

// short is a structured line in its short form, unless the user wants lines as they are, or looks
// for something that the short form does not show.
func (f *lineFormat) short(raw []byte) []byte {
	if f.raw {
		return raw
	}
	text, ok := compact(raw)
	if !ok || f.re != nil && f.re.Match(raw) && !f.re.MatchString(text) {
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

// nextSGR finds the first sequence in a clean text, and what comes after it.
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
func (f *lineFormat) highlight(text string) string {
	if f.re == nil {
		return text
	}
	found := f.re.FindAllStringIndex(ansi.Strip(text), shownMatches)
	found = slices.DeleteFunc(found, func(f []int) bool { return f[0] == f[1] })
	if len(found) == 0 {
		return text
	}
	var b strings.Builder
	var pen logs.Pen
	match := string(paintOf(f.e.st.matchStyle))
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
func (f *lineFormat) timeWidth(w int) int {
	switch f.times {
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
func (f *lineFormat) timeText(l *logs.Line, before time.Time, now time.Time, w int) string {
	switch f.times {
	case timesRelative:
		return right("-"+duration.Age(now.Sub(l.Time)), 5) + " "
	case timesDelta:
		if before.IsZero() {
			return spaces(8)
		}
		d := l.Time.Sub(before)
		switch {
		case d >= 100*time.Second:
			return right("+"+duration.Age(d), 7) + " "
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
