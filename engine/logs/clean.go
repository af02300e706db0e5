package logs

import (
	"bytes"
	"encoding/binary"
	"unicode/utf8"

	"github.com/clipperhouse/displaywidth"
)

// form says how a line's bytes relate to its Plain text.
type form uint8

const (
	ascii    form = iota // printable ASCII: Plain is the bytes
	valid                // UTF-8 with nothing to take out: Plain is the bytes
	coloured             // printable ASCII and SGR sequences: Plain leaves these out
	dirty                // more changes on the way to Plain
)

const (
	tabStop = 8
	// maxSGR is the longest SGR sequence kept; a 24-bit foreground and background with all attributes needs 60.
	maxSGR      = 128
	resetSGR    = "\x1b[0m"
	replacement = "\uFFFD"
)

// Clean makes one raw line safe for a terminal, and appends it to dst. SGR sequences (colours) stay; every
// other escape, OSC, DCS, APC, PM and SOS string, C0, C1 and DEL goes, as do the characters that turn the
// direction of writing. Tabs become spaces to stops of 8, \r, \b and the sequences of progress bars (erase in
// line, cursor to column) are carried out, a run of invalid UTF-8 becomes one U+FFFD, and a line that left an
// SGR open ends with a reset. Cleaning a clean line changes nothing.
func Clean(dst, raw []byte) []byte { return wash(dst, raw, true, false) }

// Plain is Clean without the colours, for searching and copying.
func Plain(dst, raw []byte) []byte { return wash(dst, raw, false, false) }

// Tabbed is Clean, or without colour Plain, for output that is read by programs: tabs stay, unless the line
// goes back in itself.
func Tabbed(dst, raw []byte, colour bool) []byte { return wash(dst, raw, colour, true) }

func wash(dst, raw []byte, colour, tabs bool) []byte {
	switch f := formOf(raw); {
	case f == ascii || f == valid:
		return append(dst, raw...)
	case f == coloured && !colour:
		return strip(dst, raw)
	case f == dirty && rewrites(raw):
		return rewrite(dst, raw, colour)
	}
	open, col := false, 0
	for i := 0; i < len(raw); {
		k, end := lex(raw, i)
		switch k {
		case tokenRun:
			dst = append(dst, raw[i:end]...)
			col += end - i
		case tokenRune:
			dst = append(dst, raw[i:end]...)
			r, _ := utf8.DecodeRune(raw[i:end])
			col += displaywidth.Rune(r)
		case tokenBad:
			dst = append(dst, replacement...)
			col++
		case tokenTab:
			if tabs {
				dst = append(dst, '\t')
				break
			}
			n := tabStop - col%tabStop
			dst = append(dst, "        "[:n]...)
			col += n
		case tokenSGR:
			if colour {
				dst = append(append(dst, "\x1b["...), raw[i+2:end]...)
				open = !isReset(raw[i+2 : end-1])
			}
		}
		i = end
	}
	if open {
		dst = append(dst, resetSGR...)
	}
	return dst
}

// strip is Plain for lines that are coloured and no more.
func strip(dst, raw []byte) []byte {
	for {
		i := bytes.IndexByte(raw, 0x1b)
		if i < 0 {
			return append(dst, raw...)
		}
		dst = append(dst, raw[:i]...)
		raw = raw[i:]
		raw = raw[bytes.IndexByte(raw, 'm')+1:] // parameters have no letters
	}
}

// isReset tells whether SGR parameters do nothing but reset.
func isReset(params []byte) bool {
	for _, c := range params {
		if c != '0' && c != ';' {
			return false
		}
	}
	return true
}

// formOf looks at every byte of a line once, eight at a time while they are ASCII.
func formOf(text []byte) form {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	f, i := ascii, 0
	for i < len(text) {
		if i+8 <= len(text) {
			x := binary.LittleEndian.Uint64(text[i:])
			del := x ^ 0x7f*ones
			// High bit set in a byte: not ASCII, below 0x20, or DEL.
			if (x|(x-0x20*ones)|(del-ones)&^del)&highs == 0 {
				i += 8
				continue
			}
		}
		for stop := min(i+8, len(text)); i < stop; {
			c := text[i]
			switch {
			case c >= 0x20 && c < 0x7f:
				i++
			case c == 0x1b && f != valid:
				k, end := lexEscape(text, i)
				if k != tokenSGR {
					return dirty
				}
				f, i = coloured, end
			case c < utf8.RuneSelf || f == coloured:
				return dirty
			default:
				r, n := utf8.DecodeRune(text[i:])
				if n == 1 || unwanted(r) {
					return dirty
				}
				f, i = valid, i+n
			}
		}
	}
	return f
}

// unwanted are the characters beyond ASCII that a terminal takes for commands or that change what stands beside
// them: C1 controls, line and paragraph separators, bidirectional embeddings, overrides and isolates.
func unwanted(r rune) bool {
	return r < 0xa0 || r >= 0x2028 && r <= 0x202e || r >= 0x2066 && r <= 0x2069
}

// rewrites tells whether a line goes back over itself, so that the order of its bytes is not what is seen.
func rewrites(raw []byte) bool {
	if i := bytes.IndexByte(raw, '\r'); i >= 0 && len(bytes.TrimRight(raw[i:], "\r")) > 0 {
		return true
	}
	return bytes.IndexByte(raw, '\b') >= 0 || bytes.Contains(raw, []byte("\x1b[1G")) ||
		bytes.Contains(raw, []byte("\x1b[G")) || bytes.Contains(raw, []byte("\x1b[0G"))
}

type token uint8

const (
	tokenNone   token = iota // to be left out
	tokenRun                 // printable ASCII
	tokenRune                // one character beyond ASCII
	tokenBad                 // bytes that are not UTF-8
	tokenTab                 //
	tokenReturn              // \r
	tokenBack                // \b
	tokenSGR                 // a colour sequence; its parameters start two bytes in
	tokenErase               // CSI K
	tokenColumn              // CSI G
)

// lex returns the token at raw[i] and where the next one starts. It always moves on.
func lex(raw []byte, i int) (token, int) {
	c := raw[i]
	switch {
	case c >= 0x20 && c < 0x7f:
		j := i + 1
		for j < len(raw) && raw[j] >= 0x20 && raw[j] < 0x7f {
			j++
		}
		return tokenRun, j
	case c == 0x1b:
		return lexEscape(raw, i)
	case c == '\t':
		return tokenTab, i + 1
	case c == '\r':
		return tokenReturn, i + 1
	case c == '\b':
		return tokenBack, i + 1
	case c < utf8.RuneSelf:
		return tokenNone, i + 1
	}
	r, n := utf8.DecodeRune(raw[i:])
	switch {
	case r == utf8.RuneError && n == 1:
		j := i + 1
		for j < len(raw) && raw[j] >= utf8.RuneSelf {
			if r, n := utf8.DecodeRune(raw[j:]); r != utf8.RuneError || n != 1 {
				break
			}
			j++
		}
		return tokenBad, j
	case r == 0x9b:
		return lexCSI(raw, i+2)
	case r == 0x90 || r == 0x98 || r >= 0x9d && r <= 0x9f:
		return tokenNone, lexString(raw, i+2)
	case unwanted(r):
		return tokenNone, i + n
	}
	return tokenRune, i + n
}

func lexEscape(raw []byte, i int) (token, int) {
	j := i + 1
	if j == len(raw) {
		return tokenNone, j
	}
	switch raw[j] {
	case '[':
		return lexCSI(raw, j+1)
	case ']', 'P', 'X', '^', '_':
		return tokenNone, lexString(raw, j+1)
	case 'N', 'O': // single shift: the next character is part of it
		if j+1 < len(raw) && raw[j+1] >= 0x20 && raw[j+1] < 0x7f {
			return tokenNone, j + 2
		}
		return tokenNone, j + 1
	}
	for j < len(raw) && raw[j] >= 0x20 && raw[j] < 0x30 {
		j++
	}
	if j < len(raw) && raw[j] >= 0x30 && raw[j] < 0x7f {
		j++
	}
	return tokenNone, j
}

// lexCSI reads a control sequence whose parameters start at raw[at], two bytes after its own start.
func lexCSI(raw []byte, at int) (token, int) {
	j := at
	numeric := true // only digits and separators: no private marker, which makes "m" a command or a question
	for j < len(raw) && raw[j] >= 0x30 && raw[j] <= 0x3f {
		numeric = numeric && raw[j] <= ';'
		j++
	}
	params := j
	for j < len(raw) && raw[j] >= 0x20 && raw[j] <= 0x2f {
		j++
	}
	if j == len(raw) || raw[j] < 0x40 || raw[j] > 0x7e {
		return tokenNone, j // broken off: what follows is looked at again
	}
	final := raw[j]
	j++
	if !numeric || params != j-1 {
		return tokenNone, j
	}
	switch {
	case final == 'm' && j-at <= maxSGR:
		return tokenSGR, j
	case final == 'K':
		return tokenErase, j
	case final == 'G':
		return tokenColumn, j
	}
	return tokenNone, j
}

// lexString finds the end of an OSC, DCS, SOS, PM or APC string: BEL, ST, CAN, SUB, the start of another escape,
// or the end of the line.
func lexString(raw []byte, j int) int {
	for ; j < len(raw); j++ {
		switch raw[j] {
		case 0x07, 0x18, 0x1a:
			return j + 1
		case 0x1b:
			if j+1 < len(raw) && raw[j+1] == '\\' {
				return j + 2
			}
			return j
		case 0xc2:
			if j+1 < len(raw) && raw[j+1] == 0x9c {
				return j + 2
			}
		}
	}
	return j
}
