package ui

import (
	"strings"
	"unicode/utf8"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"bulkhead/engine/logs"
)

// A drag within one line selects characters of it; one that reaches another line selects lines.

// charPoint is a cell of a line's text: in which of its rows, and where in that. A negative row is
// no text.
type charPoint struct{ row, x int }

// charRange is what is selected of one line, both ends included.
type charRange struct {
	on       bool
	seq      uint64 // of the line
	from, to charPoint
	format   formatKey // in which the cells were these
	text     string    // as it was seen
}

// cells are the selected ones of a row that is w wide, from a up to b.
func (c *charRange) cells(row, w int) (a, b int) {
	lo, hi := c.from, c.to
	if hi.row < lo.row || hi.row == lo.row && hi.x < lo.x {
		lo, hi = hi, lo
	}
	if row < lo.row || row > hi.row {
		return 0, 0
	}
	if b = w; row == hi.row {
		b = min(max(hi.x+1, 0), w)
	}
	if row == lo.row {
		a = min(max(lo.x, 0), b)
	}
	return a, b
}

// pointAt is the cell of a line's text under the pointer.
func (p *logPane) pointAt(x, y int) charPoint {
	if y < 0 || y >= len(p.win.seen) {
		return charPoint{row: -1}
	}
	return charPoint{row: p.win.seen[y].row, x: x - p.textX}
}

// reachChars takes the selection of characters to the pointer, while that is on the line that was
// clicked on; false when it is not.
func (p *logPane) reachChars(x, y int) bool {
	win := p.win
	c := &win.chars
	to := p.pointAt(x, y)
	if c.from.row < 0 || to.row < 0 || win.seen[y].line.Seq != win.drag.from.line.Seq {
		c.on = false
		return false
	}
	win.ranged, win.drag.past = false, 0
	win.setCur(win.seen[y].ord)
	l := &win.cur.line
	c.to, c.seq, c.format = to, l.Seq, p.format.format
	c.text = p.charText(l)
	c.on = c.text != "" && c.to != c.from
	return true
}

// charsOf is the selection of characters while it is of this line and this form; nil for none.
func (p *logPane) charsOf(l *logs.Line) *charRange {
	c := &p.win.chars
	if !c.on || c.seq != l.Seq || p.win.ranged || p.win.follow || c.format != p.format.format {
		return nil
	}
	return c
}

// charText is the selected text of a line. What wraps is one text.
func (p *logPane) charText(l *logs.Line) string {
	var parts []string
	for row, text := range p.format.rowsOf(l) {
		if a, b := p.win.chars.cells(row, width(text)); a < b {
			parts = append(parts, ansi.Strip(ansi.Cut(text, a, b)))
		}
	}
	sep := ""
	if !p.format.wrap || p.format.pretty {
		sep = "\n"
	}
	text := strings.TrimRight(strings.Join(parts, sep), " ")
	if cutOff, ok := strings.CutSuffix(text, "…"); ok &&
		!strings.Contains(string(logs.Plain(nil, l.Text)), text) {
		return cutOff // the mark of a row that goes on
	}
	return text
}

// paintChars shows which cells of a row of text are selected.
func (p *logPane) paintChars(l *logs.Line, row int, text string) string {
	c := p.charsOf(l)
	if c == nil {
		return text
	}
	w := width(text)
	a, b := c.cells(row, w)
	if a >= b {
		return text
	}
	return ansi.Cut(text, 0, a) + "\x1b[m" +
		paintOf(p.e.st.matchStyle).s(ansi.Strip(ansi.Cut(text, a, b))) + ansi.Cut(text, b, w)
}

// copy copies what is selected: characters, else lines.
func (p *logPane) copy() tea.Cmd {
	c := p.charsOf(&p.win.cur.line)
	if c == nil {
		return p.export.copy()
	}
	text := c.text
	c.on = false
	return p.export.clip.text(plural(utf8.RuneCountInString(text), "character"))(text)
}
