package logs

import (
	"bytes"
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
}

// needle is a literal, in lower case if it stands for any case.
type needle struct {
	text []byte
	fold bool
	rare int // the place of its rarest letter
}

func newMatcher(re *regexp.Regexp) *matcher {
	m := &matcher{re: re}
	tree, err := syntax.Parse(re.String(), syntax.Perl)
	if err != nil {
		return m // a POSIX expression; it works, without the short cut
	}
	tree = tree.Simplify()
	m.needles = required(tree)
	if len(m.needles) > maxNeedles {
		m.needles = nil
	}
	for i := range m.needles {
		n := &m.needles[i]
		n.rare = rarest(n.text)
		m.folds = m.folds || n.fold && bytes.ContainsAny(n.text, "ks")
	}
	m.whole = tree.Op == syntax.OpLiteral && len(m.needles) == 1 && !m.needles[0].fold
	return m
}

// required gives literals of which each match has at least one, or nil when none are known.
func required(re *syntax.Regexp) []needle {
	switch re.Op {
	case syntax.OpLiteral:
		fold := re.Flags&syntax.FoldCase != 0
		text := string(re.Rune)
		if fold {
			// Only ASCII is compared without case; a longer literal still needs its ASCII parts.
			text = longestASCII(strings.ToLower(text))
		}
		if text == "" || !utf8.ValidString(text) {
			return nil
		}
		return []needle{{text: []byte(text), fold: fold}}
	case syntax.OpCapture, syntax.OpPlus:
		return required(re.Sub[0])
	case syntax.OpRepeat:
		if re.Min > 0 {
			return required(re.Sub[0])
		}
	case syntax.OpConcat:
		var best []needle
		for _, sub := range re.Sub {
			if n := required(sub); n != nil && (best == nil || worth(n) > worth(best)) {
				best = n
			}
		}
		return best
	case syntax.OpAlternate:
		var all []needle
		for _, sub := range re.Sub {
			n := required(sub)
			if n == nil {
				return nil
			}
			all = append(all, n...)
		}
		return all
	}
	return nil
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

// rarest gives the place of the byte that log text has least of. The order is that of letters in English and of
// the words that logs repeat; a wrong guess costs time only.
func rarest(text []byte) int {
	const common = "e0t1aonirs2:l d.c3um5-4\"p67h89g=,f/yb_vw[]k{}xETIAOSNRLCDqjz"
	best, rank := 0, -1
	for i, c := range text {
		at := strings.IndexByte(common, c)
		if at < 0 {
			at = len(common)
		}
		if at > rank {
			best, rank = i, at
		}
	}
	return best
}

// seeker looks for a needle in one text, from left to right. It remembers where it saw what, so that a letter
// that hardly occurs is not looked for again and again. The zero value, with needle set, is ready.
type seeker struct {
	needle    *needle
	low, high sighting
	hit       sighting
}

// sighting is the place where something was last seen, plus one; 0: not looked for yet; -1: there is no more.
type sighting int

// next gives the first place of c in b at or after from, or -1.
func (s *sighting) next(b []byte, c byte, from int) int {
	if *s >= 0 && int(*s) <= from {
		*s = -1
		if i := bytes.IndexByte(b[from:], c); i >= 0 {
			*s = sighting(from + i + 1)
		}
	}
	if *s < 0 {
		return -1
	}
	return int(*s) - 1
}

// next gives the first place of the needle in b at or after from, or -1. from does not go back between calls.
func (s *seeker) next(b []byte, from int) int {
	if s.hit >= 0 && int(s.hit) <= from {
		s.hit = -1
		if i := s.seek(b, from); i >= 0 {
			s.hit = sighting(i + 1)
		}
	}
	if s.hit < 0 {
		return -1
	}
	return int(s.hit) - 1
}

func (s *seeker) seek(b []byte, from int) int {
	n := s.needle
	if from+len(n.text) > len(b) {
		return -1
	}
	if !n.fold {
		if i := bytes.Index(b[from:], n.text); i >= 0 {
			return from + i
		}
		return -1
	}
	// The rarest letter in either case, then a comparison around it.
	c := n.text[n.rare]
	for from += n.rare; from < len(b); {
		at := s.low.next(b, c, from)
		if isLetter(c) {
			if high := s.high.next(b, c-0x20, from); high >= 0 && (at < 0 || high < at) {
				at = high
			}
		}
		if at < 0 {
			return -1
		}
		if start := at - n.rare; start+len(n.text) <= len(b) && equalFold(b[start:start+len(n.text)], n.text) {
			return start
		}
		from = at + 1
	}
	return -1
}

// equalFold compares with a needle that is in lower case.
func equalFold(b, lower []byte) bool {
	for i, c := range lower {
		d := b[i]
		if d >= 'A' && d <= 'Z' {
			d |= 0x20
		}
		if c != d {
			return false
		}
	}
	return true
}

// match tells whether a line matches; f is its form, and scratch is used for lines that are dirty.
func (m *matcher) match(text []byte, f form, scratch *[]byte) bool {
	if f == dirty {
		*scratch = Plain((*scratch)[:0], text)
		text = *scratch
	}
	if m.needles != nil && !(m.folds && f != ascii) {
		has := false
		for i := range m.needles {
			s := seeker{needle: &m.needles[i]}
			if has = s.seek(text, 0) >= 0; has {
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
func (m *matcher) scan(b *body, from, to int, odd bool, scratch *[]byte, visit func(i int)) {
	if m.needles == nil {
		for i := from; i < to; i++ {
			rec := &b.records[i]
			if m.match(b.line(rec), rec.form, scratch) {
				visit(i)
			}
		}
		return
	}
	if !odd {
		m.scanText(b, from, to, visit)
		return
	}
	// Stretches of lines that may be searched as they lie, and the lines between them one by one.
	for i := from; i < to; {
		j := i
		for j < to && m.asItLies(b.records[j].form) {
			j++
		}
		if j > i {
			m.scanText(b, i, j, visit)
		}
		for i = j; i < to && !m.asItLies(b.records[i].form); i++ {
			rec := &b.records[i]
			if m.match(b.line(rec), rec.form, scratch) {
				visit(i)
			}
		}
	}
}

// asItLies tells whether the needles may be looked for in the raw bytes of a line.
func (m *matcher) asItLies(f form) bool { return f == ascii || f == valid && !m.folds }

// scanText searches the bytes of the records in [from, to) as one text.
func (m *matcher) scanText(b *body, from, to int, visit func(i int)) {
	if from >= to {
		return
	}
	last := &b.records[to-1]
	text := b.text[:last.off+last.size]
	pos := int(b.records[from].off)
	var seekers [maxNeedles]seeker
	for k := range m.needles {
		seekers[k].needle = &m.needles[k]
	}
	for i := from; i < to; {
		at, size := -1, 0
		for k := range m.needles {
			if hit := seekers[k].next(text, pos); hit >= 0 && (at < 0 || hit < at) {
				at, size = hit, len(m.needles[k].text)
			}
		}
		if at < 0 {
			return
		}
		i = recordAt(b.records, i, to, at)
		rec := &b.records[i]
		end := int(rec.off + rec.size)
		if at+size > end { // made up of the end of one line and the start of the next
			pos = at + 1
			continue
		}
		if m.whole || m.re.Match(b.line(rec)) {
			visit(i)
		}
		pos = end
		i++
	}
}

// recordAt gives the record in [from, to) that holds the byte at off, looking near from first.
func recordAt(records []record, from, to, off int) int {
	step := 1
	for from+step < to && int(records[from+step].off) <= off {
		from += step
		step *= 2
	}
	hi := min(from+step, to)
	return from + sort.Search(hi-from-1, func(i int) bool { return int(records[from+1+i].off) > off })
}
