package logs

import (
	"bytes"
	"math/bits"
	"strconv"
	"unicode/utf8"

	"github.com/clipperhouse/displaywidth"
)

// cell is one column of a line that goes back over itself. A wide character fills two: itself and a blank
// cell with tail set.
type cell struct {
	from, to uint32 // in screenRow.text; empty: a space
	style    int32  // in screenRow.styles
	wide     bool
	tail     bool
}

// screenRow is one row of a terminal, as far as a progress bar needs it.
type screenRow struct {
	cells  []cell
	text   []byte
	styles []style // [0] is none
	style  int32
	col    int
}

// rewrite carries out what moves the cursor within the line and appends what a terminal would show.
func rewrite(dst, raw []byte, colour bool) []byte {
	row := screenRow{cells: make([]cell, 0, 128), text: make([]byte, 0, 256), styles: make([]style, 1, 8)}
	var pen style
	for i := 0; i < len(raw); {
		k, end := lex(raw, i)
		switch k {
		case tokenRun:
			for j := i; j < end; j++ {
				row.put(raw[j:j+1], 1)
			}
		case tokenRune:
			r, _ := utf8.DecodeRune(raw[i:end])
			row.put(raw[i:end], displaywidth.Rune(r))
		case tokenBad:
			row.put([]byte(replacement), 1)
		case tokenTab:
			for n := tabStop - row.col%tabStop; n > 0; n-- {
				row.put([]byte{' '}, 1)
			}
		case tokenReturn:
			row.col = 0
		case tokenBack:
			row.col = max(row.col-1, 0)
		case tokenColumn:
			row.col = min(max(number(raw[i+2:end-1])-1, 0), len(row.cells))
		case tokenErase:
			row.erase(number(raw[i+2 : end-1]))
		case tokenSGR:
			if next := pen.apply(raw[i+2 : end-1]); colour && !next.equal(&pen) {
				pen, row.style = next, 0
				if !next.none() {
					row.style = int32(len(row.styles))
					row.styles = append(row.styles, next)
				}
			}
		}
		i = end
	}
	return row.appendTo(dst)
}

// put writes one character at the cursor and moves it on. What has no width joins the character before.
func (row *screenRow) put(text []byte, width int) {
	at := uint32(len(row.text))
	if width == 0 {
		if p := row.col - 1; p >= 0 && p < len(row.cells) {
			if row.cells[p].tail {
				p--
			}
			if row.cells[p].to == at && row.cells[p].from < at {
				row.text = append(row.text, text...)
				row.cells[p].to = uint32(len(row.text))
			}
		}
		return
	}
	row.text = append(row.text, text...)
	row.set(row.col, cell{from: at, to: uint32(len(row.text)), style: row.style, wide: width > 1})
	row.col++
	if width > 1 {
		row.set(row.col, cell{style: row.style, tail: true})
		row.cells[row.col-1].wide = true // setting the tail took it for a half that lost its other half
		row.col++
	}
}

// set puts a cell in its column; the other half of a wide character it cuts in two becomes a space.
func (row *screenRow) set(col int, c cell) {
	for len(row.cells) <= col {
		row.cells = append(row.cells, cell{})
	}
	old := row.cells[col]
	if old.tail && !c.tail && col > 0 {
		row.cells[col-1] = cell{style: row.cells[col-1].style}
	}
	if old.wide && col+1 < len(row.cells) {
		row.cells[col+1] = cell{style: old.style}
	}
	row.cells[col] = c
}

func (row *screenRow) erase(mode int) {
	switch mode {
	case 0:
		if row.col < len(row.cells) {
			if row.cells[row.col].tail {
				row.cells[row.col-1] = cell{}
			}
			row.cells = row.cells[:row.col]
		}
	case 1:
		for i := 0; i <= row.col && i < len(row.cells); i++ {
			row.set(i, cell{})
		}
	case 2:
		row.cells = row.cells[:0]
	}
}

func (row *screenRow) appendTo(dst []byte) []byte {
	pen := int32(0)
	for _, c := range row.cells {
		if c.tail {
			continue
		}
		if c.style != pen {
			pen = c.style
			dst = row.styles[pen].appendTo(dst)
		}
		if c.from == c.to {
			dst = append(dst, ' ')
		}
		dst = append(dst, row.text[c.from:c.to]...)
	}
	if pen != 0 {
		dst = append(dst, resetSGR...)
	}
	return dst
}

// style is what SGR sequences add up to. The slices are parameters as they were written, such as "38;5;208".
type style struct {
	attrs                 uint16 // bit n: parameter n (1 to 9) is on
	fg, bg, under, ulColr []byte
	overline              bool
}

func (st *style) none() bool {
	return st.attrs == 0 && st.fg == nil && st.bg == nil && st.under == nil && st.ulColr == nil && !st.overline
}

func (st *style) equal(o *style) bool {
	return st.attrs == o.attrs && st.overline == o.overline && bytes.Equal(st.fg, o.fg) &&
		bytes.Equal(st.bg, o.bg) &&
		bytes.Equal(st.under, o.under) && bytes.Equal(st.ulColr, o.ulColr)
}

// apply returns the style after an SGR with these parameters.
func (st style) apply(params []byte) style {
	for at := 0; at <= len(params); {
		end := nextParam(params, at)
		p := params[at:end]
		head, _, sub := bytes.Cut(p, []byte{':'})
		n := number(head)
		if !sub && (n == 38 || n == 48 || n == 58) {
			end = colourEnd(params, end)
			p = params[at:end]
		}
		switch {
		case n == 0:
			st = style{}
		case n == 4 || n == 21:
			st.under = p
			if string(p) == "4:0" {
				st.under = nil
			}
		case n <= 9:
			st.attrs |= 1 << n
		case n == 22:
			st.attrs &^= 1<<1 | 1<<2
		case n == 24:
			st.under = nil
		case n == 25:
			st.attrs &^= 1<<5 | 1<<6
		case n >= 23 && n <= 29:
			st.attrs &^= 1 << (n - 20)
		case n >= 30 && n <= 38 || n >= 90 && n <= 97:
			st.fg = p
		case n == 39:
			st.fg = nil
		case n >= 40 && n <= 48 || n >= 100 && n <= 107:
			st.bg = p
		case n == 49:
			st.bg = nil
		case n == 53 || n == 55:
			st.overline = n == 53
		case n == 58:
			st.ulColr = p
		case n == 59:
			st.ulColr = nil
		}
		at = end + 1
	}
	return st
}

// nextParam returns the end of the parameter that starts at at.
func nextParam(params []byte, at int) int {
	if i := bytes.IndexByte(params[at:], ';'); i >= 0 {
		return at + i
	}
	return len(params)
}

// colourEnd returns the end of a colour ("38;5;n", "38;2;r;g;b") whose first parameter ends at end.
func colourEnd(params []byte, end int) int {
	if end >= len(params) {
		return end
	}
	mode := nextParam(params, end+1)
	more := map[string]int{"5": 1, "2": 3}[string(params[end+1:mode])]
	end = mode
	for ; more > 0 && end < len(params); more-- {
		end = nextParam(params, end+1)
	}
	return end
}

// appendTo writes the style as one sequence that needs nothing of what was before.
func (st *style) appendTo(dst []byte) []byte {
	dst = append(dst, "\x1b[0"...)
	for on := st.attrs; on != 0; on &= on - 1 {
		dst = strconv.AppendInt(append(dst, ';'), int64(bits.TrailingZeros16(on)), 10)
	}
	for _, p := range [][]byte{st.under, st.fg, st.bg, st.ulColr} {
		if p != nil {
			dst = append(append(dst, ';'), p...)
		}
	}
	if st.overline {
		dst = append(dst, ";53"...)
	}
	return append(dst, 'm')
}

// number reads a parameter; one that is empty is 0, one beyond all use is large.
func number(p []byte) int {
	n := 0
	for _, c := range p {
		if c < '0' || c > '9' {
			break
		}
		n = min(n*10+int(c-'0'), 1<<20)
	}
	return n
}

// Pen is what the SGR sequences of a clean text add up to, for those who cut such a text or write
// into it. The zero value is plain.
type Pen struct{ style style }

// Apply takes up a sequence, "\x1b[1;31m".
func (p *Pen) Apply(sgr string) {
	if len(sgr) > 3 {
		p.style = p.style.apply([]byte(sgr[2 : len(sgr)-1]))
		return
	}
	p.style = style{} // "\x1b[m"
}

// Plain tells whether nothing is on.
func (p *Pen) Plain() bool { return p.style.none() }

// String returns one sequence that leads to the same look whatever was before; "" for a plain pen.
func (p *Pen) String() string {
	if p.style.none() {
		return ""
	}
	return string(p.style.appendTo(nil))
}
