package logs

import "bytes"

const (
	// levelWindow is how far into a line a level is looked for as a word; frameworks put it after a timestamp, a
	// process number and a logger's name.
	levelWindow = 160
	// pairWindow is the same for level=… in logfmt and for JSON, whose fields may come in any order.
	pairWindow = 4 << 10
)

// recognise finds the level that a line says it has. carries tells that the line looks like the continuation of
// the one before (a stack trace, a detail), and takes over its level.
func recognise(text []byte) (l Level, carries bool) {
	if len(text) == 0 || traceLine(text) {
		return LevelUnknown, true
	}
	if text[0] == ' ' || text[0] == '\t' {
		carries = true
		text = bytes.TrimLeft(text, " \t")
		if len(text) == 0 {
			return LevelUnknown, true
		}
		if hasPrefix(text, "at ") || hasPrefix(text, "... ") {
			return LevelUnknown, true
		}
	}
	switch c := text[0]; {
	case c == '{':
		if l = jsonLevel(text[:min(len(text), pairWindow)]); l != LevelUnknown {
			return l, false
		}
	case c == '<':
		if l = syslogLevel(text); l != LevelUnknown {
			return l, false
		}
	case c >= '0' && c <= '9':
		if l = redisLevel(text); l != LevelUnknown {
			return l, false
		}
	case c == 'I' || c == 'W' || c == 'E' || c == 'F':
		if l = klogLevel(text); l != LevelUnknown {
			return l, false
		}
	}
	if l = phraseLevel(text); l != LevelUnknown {
		return l, false
	}
	if l = pairLevel(text[:min(len(text), pairWindow)]); l != LevelUnknown {
		return l, false
	}
	l, more := scanLevel(text[:min(len(text), levelWindow)])
	return l, l == LevelUnknown && (carries || more)
}

// traceLine says whether a line that is not indented belongs to a stack trace: Go's goroutines and
// calls, what a JVM suppressed. A cause is an error by its own words.
func traceLine(text []byte) bool {
	for _, p := range []string{"goroutine ", "created by ", "[signal ", "exit status ",
		"Suppressed: ", "main.main()"} {
		if hasPrefix(text, p) {
			return true
		}
	}
	open := bytes.IndexByte(text, '(')
	if open < 3 || text[len(text)-1] != ')' || !isLetter(text[0]) {
		return false
	}
	name := text[:open] // "bulkhead/ui.(*pane).draw(0x1, 0x2)" has another one before it
	if bytes.HasSuffix(name, []byte(".")) {
		name = name[:len(name)-1]
	}
	return bytes.IndexByte(name, '.') > 0 && bytes.IndexByte(name, ' ') < 0
}

// Levels recognises the levels of lines that are in no store: those of one container, in their
// order, since the lines of a stack trace take over the level of the line that they belong to. The
// zero value is ready.
type Levels struct{ last [4]Level }

// Of returns the level of the next line.
func (s *Levels) Of(stream Stream, text []byte) Level {
	level, carries := recognise(text)
	last := &s.last[stream&3]
	if carries && level == LevelUnknown {
		level = *last
	}
	*last = level
	return level
}

func hasPrefix(text []byte, prefix string) bool {
	return len(text) >= len(prefix) && string(text[:len(prefix)]) == prefix
}

// phraseLevel knows the first words of crashes that name no level.
func phraseLevel(text []byte) Level {
	switch text[0] {
	case 'p':
		if hasPrefix(text, "panic: ") {
			return Fatal
		}
	case 'f':
		if hasPrefix(text, "fatal error: ") {
			return Fatal
		}
	case 'T':
		if hasPrefix(text, "Traceback (most recent call last)") {
			return Error
		}
	case 'E':
		if hasPrefix(text, "Exception in thread ") {
			return Error
		}
	case 'C':
		if hasPrefix(text, "Caused by: ") {
			return Error
		}
	case 'U':
		if hasPrefix(text, "Uncaught ") || hasPrefix(text, "Unhandled ") {
			return Error
		}
	case 'n':
		if hasPrefix(text, "npm error ") {
			return Error
		}
		if hasPrefix(text, "npm warn ") {
			return Warn
		}
	case 'P':
		if hasPrefix(text, "PHP Fatal error: ") {
			return Fatal
		}
	case 'S':
		if hasPrefix(text, "Segmentation fault") {
			return Fatal
		}
	}
	return LevelUnknown
}

// klogLevel reads the head of klog and glog: I1123 20:46:48.123456, and I20261123 where glog writes the year.
func klogLevel(text []byte) Level {
	day := 1
	for day < len(text) && day < 10 && isDigit(text[day]) {
		day++
	}
	if day != 5 && day != 9 || len(text) < day+9 || text[day] != ' ' || text[day+3] != ':' ||
		text[day+6] != ':' {
		return LevelUnknown
	}
	return letterLevel(text[0])
}

func letterLevel(c byte) Level {
	switch c {
	case 'T', 'V':
		return Trace
	case 'D':
		return Debug
	case 'I':
		return Info
	case 'W':
		return Warn
	case 'E':
		return Error
	case 'F':
		return Fatal
	}
	return LevelUnknown
}

// syslogLevel reads <3> and <134>: priority, of which the last three bits are the severity.
func syslogLevel(text []byte) Level {
	n := 0
	for i := 1; i < len(text) && i < 5; i++ {
		switch c := text[i]; {
		case c >= '0' && c <= '9':
			n = n*10 + int(c-'0')
		case c == '>' && i > 1 && n < 192:
			return severity(n & 7)
		default:
			return LevelUnknown
		}
	}
	return LevelUnknown
}

func severity(n int) Level {
	return [8]Level{Fatal, Fatal, Fatal, Error, Warn, Info, Info, Debug}[n]
}

// redisLevel reads 1:M 23 Nov 2026 20:46:48.123 * Ready.
func redisLevel(text []byte) Level {
	colon := bytes.IndexByte(text[:min(len(text), 8)], ':')
	if colon < 1 || len(text) < colon+30 || text[colon+2] != ' ' ||
		!bytes.ContainsRune([]byte("MSCX"), rune(text[colon+1])) {
		return LevelUnknown
	}
	mark := colon + 3 + len("23 Nov 2026 20:46:48.123")
	if text[mark] != ' ' || text[mark+2] != ' ' {
		return LevelUnknown
	}
	switch text[mark+1] {
	case '.', '-':
		return Debug
	case '*':
		return Info
	case '#':
		return Warn
	}
	return LevelUnknown
}

// pairLevel reads logfmt: level=warn, lvl="error", severity=info, level=ERROR+2.
func pairLevel(text []byte) Level {
	for at := 0; ; {
		i := bytes.IndexByte(text[at:], '=')
		if i < 0 {
			return LevelUnknown
		}
		eq := at + i
		at = eq + 1
		start := eq
		for start > 0 && eq-start < 12 && isWord(text[start-1]) {
			start--
		}
		if !levelKey(text[start:eq]) {
			continue
		}
		value := bytes.TrimLeft(text[eq+1:min(len(text), eq+20)], `"'`)
		end := 0
		for end < len(value) && isLetter(value[end]) {
			end++
		}
		if l := wordLevel(value[:end]); l != LevelUnknown {
			return l
		}
	}
}

// levelKey tells whether a field of this name holds the level.
func levelKey(key []byte) bool {
	switch string(key) {
	case "level", "lvl", "severity", "levelname", "loglevel", "log.level", "@level", "@l", "log_level", "Level",
		"LogLevel", "SeverityText", "severity_text", "Severity":
		return true
	}
	return false
}

// jsonLevel walks the top level of a JSON object, which need not be whole, and reads its level field.
func jsonLevel(text []byte) Level {
	depth, key, found := 0, []byte(nil), LevelUnknown
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '{', '[':
			depth++
			key = nil
		case '}', ']':
			depth--
		case ',':
			key = nil
		case '"':
			start := i + 1
			i = stringEnd(text, start)
			if depth != 1 {
				continue
			}
			if key == nil {
				key = text[start:min(i, len(text))]
				continue
			}
			value := text[start:min(i, len(text))]
			switch {
			case levelKey(key):
				if l := wordLevel(value); l != LevelUnknown {
					return l
				}
			case string(key) == "s" && len(value) > 0 && len(value) <= 2: // MongoDB
				found = letterLevel(value[0])
			}
		case '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
			n := i
			for i+1 < len(text) && text[i+1] >= '0' && text[i+1] <= '9' {
				i++
			}
			if depth == 1 && levelKey(key) {
				return numberLevel(number(text[n : i+1]))
			}
		}
	}
	return found
}

// numberLevel reads the levels of bunyan and pino (10 to 60), and below those the severities of syslog.
func numberLevel(n int) Level {
	switch {
	case n < 8:
		return severity(n)
	case n < 20:
		return Trace
	case n < 30:
		return Debug
	case n < 40:
		return Info
	case n < 50:
		return Warn
	case n < 60:
		return Error
	}
	return Fatal
}

// stringEnd returns where the JSON string that starts at i ends: its closing quote, or the end of text.
func stringEnd(text []byte, i int) int {
	for {
		q := bytes.IndexByte(text[i:], '"')
		if q < 0 {
			return len(text)
		}
		end := i + q
		slashes := 0
		for end-slashes > i && text[end-slashes-1] == '\\' {
			slashes++
		}
		if slashes%2 == 0 {
			return end
		}
		i = end + 1
	}
}

// scanLevel looks for a level as a word. It counts when it is written in capitals, stands in brackets, or has a
// colon behind it, or opens the line: "no errors" in the middle of a sentence is no error.
func scanLevel(text []byte) (l Level, carries bool) {
	first, before := true, byte(' ')
	for i := 0; i < len(text); {
		c := text[i]
		if c == 0x1b { // colours stand right before and behind the word
			_, i = lex(text, i)
			continue
		}
		if !isLetter(c) {
			before = c
			i++
			continue
		}
		start := i
		upper := true
		for i < len(text) && isLetter(text[i]) {
			upper = upper && text[i] <= 'Z'
			i++
		}
		word, after := text[start:i], byte(' ')
		for i < len(text) && text[i] == 0x1b {
			_, i = lex(text, i)
		}
		if i < len(text) {
			after = text[i]
		}
		if l, carries = judge(word, before, after, first, upper); l != LevelUnknown || carries {
			return l, carries
		}
		before = 'x'
		// T and Z belong to timestamps, which come before the level.
		first = first && len(word) == 1
	}
	return LevelUnknown, false
}

// judge tells what one word between two bytes says. first: no other word came before it in its line.
func judge(word []byte, before, after byte, first, upper bool) (l Level, carries bool) {
	if len(word) < 3 {
		return LevelUnknown, false
	}
	path := after == '/' && !(upper && before == ' ') // Celery writes INFO/MainProcess
	if isDigit(before) || before == '_' || before == '-' || before == '/' || before == '\'' || path ||
		after == '_' || after == '=' ||
		isDigit(after) || after == '-' {
		return LevelUnknown, false
	}
	colon := after == ':'
	l = wordLevel(word)
	if l == LevelUnknown {
		switch {
		case colon && upper && string(word) == "LOG":
			return Info, false
		case colon && upper && (string(word) == "DETAIL" || string(word) == "HINT" ||
			string(word) == "STATEMENT" ||
			string(word) == "CONTEXT"):
			return LevelUnknown, true // PostgreSQL's further lines
		case first && string(word) == "goroutine":
			return LevelUnknown, true
		case (colon || after == ' ' && first) && (bytes.HasSuffix(word, []byte("Error")) ||
			bytes.HasSuffix(word, []byte("Exception"))) && len(word) > 5:
			return Error, false
		}
		return LevelUnknown, false
	}
	bracket := (before == '[' || before == '<' || before == '(' || before == '|' || before == ':') &&
		(after == ']' || after == '>' || after == ')' || after == '|' || after == ' ')
	switch {
	case bracket, upper, colon:
		return l, false
	case before == '\t' && after == '\t': // a column of its own
		return l, false
	case first && l >= Warn && after == ' ':
		return l, false
	}
	return LevelUnknown, false
}

// wordLevel reads a level as frameworks spell it, in any case.
func wordLevel(word []byte) Level {
	if len(word) < 3 || len(word) > 13 {
		return LevelUnknown
	}
	// Most words are none: two letters tell.
	switch uint16(word[0]|0x20)<<8 | uint16(word[1]|0x20) {
	case 't'<<8 | 'r', 'f'<<8 | 'i', 's'<<8 | 'i', 'd'<<8 | 'e', 'd'<<8 | 'b', 'v'<<8 | 'e',
		'i'<<8 | 'n', 'n'<<8 | 'o',
		'n'<<8 | 't', 'w'<<8 | 'a', 'w'<<8 | 'r', 'e'<<8 | 'r', 's'<<8 | 'e', 'f'<<8 | 'a',
		'f'<<8 | 't', 'c'<<8 | 'r',
		'p'<<8 | 'a', 'p'<<8 | 'n', 'a'<<8 | 'l', 'e'<<8 | 'm', 'd'<<8 | 'p':
	default:
		return LevelUnknown
	}
	var lower [13]byte
	for i, c := range word {
		lower[i] = c | 0x20
	}
	switch string(lower[:len(word)]) {
	case "trace", "trc", "trce", "finest", "finer", "silly":
		return Trace
	case "debug", "dbg", "dbug", "debu", "fine", "verbose", "verb":
		return Debug
	case "info", "inf", "information", "informational", "notice", "note", "ntc":
		return Info
	case "warn", "warning", "wrn":
		return Warn
	case "error", "err", "erro", "eror", "severe", "fail":
		return Error
	case "fatal", "fata", "ftl", "critical", "crit", "panic", "pnc", "alert", "emerg", "emergency", "dpanic":
		return Fatal
	}
	return LevelUnknown
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }
func isDigit(c byte) bool  { return c >= '0' && c <= '9' }
func isWord(c byte) bool   { return isLetter(c) || isDigit(c) || c == '_' || c == '.' || c == '@' }
