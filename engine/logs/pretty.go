package logs

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
)

const (
	prettyRows   = 2000 // rows given of one line; the last says how many bytes of it are left out
	prettyDepth  = 24   // levels that are indented; deeper ones stand below each other
	prettyIndent = "  "
)

// Pretty expands a JSON or logfmt line into indented rows. Words that stand before the JSON or the pairs (a
// timestamp, a message) make the first row. Strings with line breaks in them, such as stack traces, are written
// out. Rows hold no control characters; numbers and the order of fields are as they were. ok is false for a
// line that is neither.
func Pretty(raw []byte) (rows []string, ok bool) {
	text := bytes.TrimSpace(Plain(nil, raw))
	if len(text) == 0 {
		return nil, false
	}
	if rows, ok = prettyJSON(text); ok {
		return rows, true
	}
	return prettyPairs(text)
}

// prettyJSON looks for an object or array that reaches to the end of the line.
func prettyJSON(text []byte) ([]string, bool) {
	last := text[len(text)-1]
	if last != '}' && last != ']' {
		return nil, false
	}
	// A brace may belong to the words before: "{web} {…}". Three tries are enough, and bound the work. An array
	// counts when it is all of the line: "took [12]" is no JSON.
	for at, tries := 0, 0; tries < 3; tries++ {
		if i := bytes.IndexByte(text[at:], '{'); text[at] != '[' || at > 0 {
			if i < 0 {
				return nil, false
			}
			at += i
		}
		if body := text[at:]; len(body) > 2 && json.Valid(body) {
			p := printer{}
			if head := bytes.TrimSpace(text[:at]); len(head) > 0 {
				p.rows = append(p.rows, string(head))
			}
			p.json(body)
			return p.rows, true
		}
		at++
	}
	return nil, false
}

// printer writes valid JSON in rows.
type printer struct {
	rows  []string
	row   strings.Builder
	depth int
}

func (p *printer) full() bool { return len(p.rows) >= prettyRows }

func (p *printer) flush() {
	if strings.TrimSpace(p.row.String()) != "" {
		p.rows = append(p.rows, p.row.String())
	}
	p.row.Reset()
}

func (p *printer) newline() {
	p.flush()
	p.indent()
}

func (p *printer) indent() {
	for range min(p.depth, prettyDepth) {
		p.row.WriteString(prettyIndent)
	}
}

func (p *printer) json(text []byte) {
	for i := 0; i < len(text); i++ {
		if p.full() {
			p.row.Reset()
			p.rows = append(p.rows, "… "+strconv.Itoa(len(text)-i)+" bytes more")
			return
		}
		switch c := text[i]; c {
		case ' ', '\t', '\r', '\n':
		case '{', '[':
			p.row.WriteByte(c)
			if next := bytes.TrimLeft(text[i+1:], " "); next[0] == '}' || next[0] == ']' {
				p.row.WriteByte(next[0])
				i = len(text) - len(next)
				continue
			}
			p.depth++
			p.newline()
		case '}', ']':
			p.depth--
			p.newline()
			p.row.WriteByte(c)
		case ',':
			p.row.WriteByte(c)
			p.newline()
		case ':':
			p.row.WriteString(": ")
		case '"':
			end := min(stringEnd(text, i+1)+1, len(text))
			p.string(text[i:end])
			i = end - 1
		default:
			p.row.WriteByte(c)
		}
	}
	p.flush()
}

// string writes a quoted string, in rows of its own when it has line breaks.
func (p *printer) string(quoted []byte) {
	var s string
	if bytes.Contains(quoted, []byte(`\n`)) && json.Unmarshal(quoted, &s) == nil && strings.Contains(s, "\n") {
		p.depth++
		p.text(s)
		p.depth--
		return
	}
	p.row.Write(quoted)
}

// text writes a string of several lines, each in a row, between the quotes it had.
func (p *printer) text(s string) {
	p.row.WriteByte('"')
	for line := range strings.Lines(strings.TrimRight(s, "\n")) {
		if p.full() {
			break
		}
		p.newline()
		p.row.Write(Plain(nil, []byte(strings.TrimRight(line, "\r\n"))))
	}
	p.row.WriteByte('"')
}

// pair is one key=value of logfmt; the value as it is written.
type pair struct{ key, value string }

// prettyPairs reads logfmt: at least two pairs, with nothing between or behind them.
func prettyPairs(text []byte) ([]string, bool) {
	var pairs []pair
	head := 0 // bytes of words before the first pair
	for i := 0; i < len(text); {
		if text[i] == ' ' {
			i++
			continue
		}
		if one, end, ok := readPair(text, i); ok {
			pairs = append(pairs, one)
			i = end
			continue
		}
		if len(pairs) > 0 {
			return nil, false
		}
		for i < len(text) && text[i] != ' ' {
			i++
		}
		head = i
	}
	if len(pairs) < 2 {
		return nil, false
	}
	var p printer
	if head > 0 {
		p.rows = append(p.rows, string(text[:head]))
	}
	width := 0
	for _, one := range pairs {
		width = max(width, min(len(one.key), prettyDepth))
	}
	for i, one := range pairs {
		if p.full() {
			p.rows = append(p.rows, "… "+strconv.Itoa(len(pairs)-i)+" pairs more")
			break
		}
		p.row.WriteString(one.key)
		p.row.WriteString(strings.Repeat(" ", max(width-len(one.key), 0)))
		p.row.WriteString(" = ")
		if s, err := strconv.Unquote(one.value); err == nil && strings.Contains(s, "\n") {
			p.depth = 1
			p.text(s)
		} else {
			p.row.WriteString(one.value)
		}
		p.flush()
	}
	return p.rows, true
}

// readPair reads key=value or key="value" at text[i].
func readPair(text []byte, i int) (one pair, end int, ok bool) {
	eq := i
	for eq < len(text) && (isWord(text[eq]) || text[eq] == '-' || text[eq] == '/') {
		eq++
	}
	if eq == i || eq == len(text) || text[eq] != '=' || !isLetter(text[i]) && text[i] != '_' && text[i] != '@' {
		return pair{}, 0, false
	}
	start := eq + 1
	end = start
	if start < len(text) && text[start] == '"' {
		end = stringEnd(text, start+1) + 1
		if end > len(text) || end < len(text) && text[end] != ' ' {
			return pair{}, 0, false
		}
	} else {
		for end < len(text) && text[end] != ' ' {
			end++
		}
	}
	return pair{string(text[i:eq]), string(text[start:end])}, end, true
}
