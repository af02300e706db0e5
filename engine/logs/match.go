package logs

import (
	"bytes"
	"encoding/binary"
	"regexp"
	"regexp/syntax"
	"sort"
	"strings"
	"unicode/utf8"
)

// maxNeedles is how many alternatives are looked for as literals; beyond it the expression alone decides.
const maxNeedles = 8

// matcher runs a regular expression over many lines. Where the expression needs a literal ("timeout" in
// "order.*timeout"), it looks for that first, over whole chunks at once, and asks the expression only about
// the lines that have it: that is some hundred times faster than asking about every line.
type matcher struct {
	re      *regexp.Regexp
	needles []needle // a line without any of them does not match; nil: nothing is known
	whole   bool     // and a line with one of them does
	// folds: a needle in any case has letters that some characters beyond ASCII fold to (k, s), so that its absence
	// says nothing about lines that are not ASCII.
	folds bool
	fold  bool // there is a needle in any case
}

// needle is a literal, in lower case if it stands for any case.
type needle struct {
	text []byte
	fold bool
}

func newMatcher(re *regexp.Regexp) *matcher {
	m := &matcher{re: re}
	tree, err := syntax.Parse(re.String(), syntax.Perl)
	if err != nil {
		return m // a POSIX expression; it works, without the short cut
	}
	m.needles, m.whole = required(tree.Simplify())
	if len(m.needles) == 0 || len(m.needles) > maxNeedles {
		m.needles, m.whole = nil, false
	}
	for i := range m.needles {
		n := &m.needles[i]
		m.fold = m.fold || n.fold
		m.folds = m.folds || n.fold && bytes.ContainsAny(n.text, "ks")
	}
	return m
}

// required returns literals of which each match has at least one, nil when none are known. whole tells that
// having one is all that it takes.
func required(re *syntax.Regexp) (needles []needle, whole bool) {
	switch re.Op {
	case syntax.OpLiteral:
		fold := re.Flags&syntax.FoldCase != 0
		text := string(re.Rune)
		whole = true
		if fold {
			// Only ASCII is compared without case; a longer literal still needs its ASCII parts.
			lower := strings.ToLower(text)
			text = longestASCII(lower)
			whole = text == lower
		}
		if text == "" || !utf8.ValidString(text) {
			return nil, false
		}
		return []needle{{text: []byte(text), fold: fold}}, whole
	case syntax.OpCapture:
		return required(re.Sub[0])
	case syntax.OpPlus:
		needles, _ = required(re.Sub[0])
	case syntax.OpRepeat:
		if re.Min > 0 {
			needles, _ = required(re.Sub[0])
		}
	case syntax.OpConcat:
		for _, sub := range re.Sub {
			if n, _ := required(sub); n != nil && (needles == nil || worth(n) > worth(needles)) {
				needles = n
			}
		}
	case syntax.OpAlternate:
		whole = true
		for _, sub := range re.Sub {
			n, w := required(sub)
			if n == nil {
				return nil, false
			}
			needles, whole = append(needles, n...), whole && w
		}
	}
	return needles, whole
}

// worth ranks sets of needles: few and long ones find fewest false hits.
func worth(needles []needle) int {
	shortest := 64
	for _, n := range needles {
		shortest = min(shortest, len(n.text))
	}
	return shortest*4 - len(needles)
}

func longestASCII(s string) string {
	best := ""
	for len(s) > 0 {
		i := strings.IndexFunc(s, func(r rune) bool { return r >= utf8.RuneSelf })
		if i < 0 {
			i = len(s)
		}
		if i > len(best) {
			best = s[:i]
		}
		_, n := utf8.DecodeRuneInString(s[i:])
		s = s[min(i+max(n, 1), len(s)):]
	}
	return best
}

// seeker looks for a needle in one text, from left to right. It remembers where it saw it, so that a needle that
// hardly occurs is not looked for again and again.
type seeker struct {
	needle *needle
	hit    int // where it was last seen; -1: there is no more
	looked bool
}

// next returns the first place of the needle at or after from, or -1; from does not go back between calls. lower
// is text in lower case.
func (s *seeker) next(text, lower []byte, from int) int {
	if s.looked && (s.hit < 0 || s.hit >= from) {
		return s.hit
	}
	if s.needle.fold {
		text = lower
	}
	s.looked = true
	if s.hit = bytes.Index(text[from:], s.needle.text); s.hit >= 0 {
		s.hit += from
	}
	return s.hit
}

// appendLower appends text with its ASCII letters in lower case, eight at a time.
func appendLower(dst, text []byte) []byte {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	at := len(dst)
	dst = append(dst, text...)
	low := dst[at:]
	for ; len(low) >= 8; low = low[8:] {
		x := binary.LittleEndian.Uint64(low)
		seven := x &^ highs
		// A byte from A to Z, and no other, has its high bit set by the first sum and not by the second.
		capital := ((seven + (0x80-'A')*ones) &^ (seven + (0x7f-'Z')*ones)) & highs &^ x
		binary.LittleEndian.PutUint64(low, x|capital>>2)
	}
	for i, c := range low {
		if c >= 'A' && c <= 'Z' {
			low[i] = c | 0x20
		}
	}
	return dst
}

// scratch is what one goroutine of a search needs; the zero value is ready.
type scratch struct {
	line  []byte   // Plain text of one line
	plain []byte   // of a stretch of coloured ones
	ends  []uint32 // where each of them ends
	lower []byte   // a text in lower case
}

// match tells whether a line matches; f is its form.
func (m *matcher) match(text []byte, f form, tmp *scratch) bool {
	switch f {
	case coloured:
		tmp.line = strip(tmp.line[:0], text)
		text, f = tmp.line, ascii
	case dirty:
		tmp.line = Plain(tmp.line[:0], text)
		text = tmp.line
	}
	if m.needles != nil && !(m.folds && f != ascii) {
		if m.fold {
			tmp.lower = appendLower(tmp.lower[:0], text)
		}
		has := false
		for i := range m.needles {
			s := seeker{needle: &m.needles[i]}
			if has = s.next(text, tmp.lower, 0) >= 0; has {
				break
			}
		}
		if !has {
			return false
		}
		if m.whole {
			return true
		}
	}
	return m.re.Match(text)
}

// scan calls visit for the records in [from, to) of a body whose lines match, in order. odd tells that some of
// them may not be ASCII.
func (m *matcher) scan(b *body, from, to int, odd bool, tmp *scratch, visit func(i int)) {
	if m.needles != nil && !odd {
		m.scanRaw(b, from, to, tmp, visit)
		return
	}
	// Stretches of lines that can be searched as one text, and the lines between them one by one.
	for i := from; i < to; {
		j := i
		switch f := b.records[i].form; {
		case m.needles != nil && m.asItLies(f):
			for j < to && m.asItLies(b.records[j].form) {
				j++
			}
			m.scanRaw(b, i, j, tmp, visit)
		case m.needles != nil && f == coloured:
			tmp.plain, tmp.ends = tmp.plain[:0], tmp.ends[:0]
			for ; j < to && b.records[j].form == coloured; j++ {
				tmp.plain = strip(tmp.plain, b.line(&b.records[j]))
				tmp.ends = append(tmp.ends, uint32(len(tmp.plain)))
			}
			m.scanText(tmp.plain, j-i, tmp, func(k int) (start, end int) {
				if k > 0 {
					start = int(tmp.ends[k-1])
				}
				return start, int(tmp.ends[k])
			}, func(k int) { visit(i + k) })
		default:
			j = i + 1
			rec := &b.records[i]
			if m.match(b.line(rec), f, tmp) {
				visit(i)
			}
		}
		i = j
	}
}

// asItLies tells whether the needles may be looked for in the raw bytes of a line.
func (m *matcher) asItLies(f form) bool { return f == ascii || f == valid && !m.folds }

// scanRaw searches the bytes of the records in [from, to).
func (m *matcher) scanRaw(b *body, from, to int, tmp *scratch, visit func(i int)) {
	if from >= to {
		return
	}
	base, last := int(b.records[from].off), &b.records[to-1]
	m.scanText(b.text[base:last.off+last.size], to-from, tmp, func(k int) (start, end int) {
		rec := &b.records[from+k]
		start = int(rec.off) - base
		return start, start + int(rec.size)
	}, func(k int) { visit(from + k) })
}

// scanText searches n lines that lie one behind the other in text.
func (m *matcher) scanText(
	text []byte, n int, tmp *scratch, span func(k int) (start, end int), visit func(k int),
) {
	if m.fold {
		tmp.lower = appendLower(tmp.lower[:0], text)
	}
	var seekers [maxNeedles]seeker
	for i := range m.needles {
		seekers[i].needle = &m.needles[i]
	}
	for k, pos := 0, 0; k < n; {
		at, size := -1, 0
		for i := range m.needles {
			if hit := seekers[i].next(text, tmp.lower, pos); hit >= 0 && (at < 0 || hit < at) {
				at, size = hit, len(m.needles[i].text)
			}
		}
		if at < 0 {
			return
		}
		k = lineAt(k, n, at, span)
		start, end := span(k)
		if at+size > end { // made up of the end of one line and the start of the next
			pos = at + 1
			continue
		}
		if m.whole || m.re.Match(text[start:end]) {
			visit(k)
		}
		pos = end
		k++
	}
}

// lineAt returns the line in [k, n) that holds the byte at off, looking near k first.
func lineAt(k, n, off int, span func(k int) (start, end int)) int {
	startsBehind := func(i int) bool {
		start, _ := span(i)
		return start > off
	}
	step := 1
	for k+step < n && !startsBehind(k+step) {
		k += step
		step *= 2
	}
	return k + sort.Search(min(step, n-k)-1, func(i int) bool { return startsBehind(k + 1 + i) })
}
