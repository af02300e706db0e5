package logs

import (
	"strings"
	"unicode"
)

// maxTemplate is how much of a line tells it from others.
const maxTemplate = 200

// Template is what lines of one kind have in common: a line without its numbers, ids and times.
// Words that hold a digit become #, and so do long words of hexadecimal letters.
func Template(line string) string {
	if len(line) > 4*maxTemplate {
		line = line[:4*maxTemplate]
	}
	var b strings.Builder
	for word := range strings.FieldsFuncSeq(line, func(r rune) bool {
		return unicode.IsSpace(r) || strings.ContainsRune(`"'()[]{},;=`, r)
	}) {
		if b.Len() > maxTemplate {
			break
		}
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		if varies(word) {
			word = "#"
		}
		b.WriteString(word)
	}
	return b.String()
}

// varies says whether a word is likely another one in the next line of the same kind.
func varies(word string) bool {
	hex := len(word) >= 8
	for _, r := range word {
		if unicode.IsDigit(r) {
			return true
		}
		hex = hex && (r >= 'a' && r <= 'f' || r >= 'A' && r <= 'F' || r == '-')
	}
	return hex
}

// Continues says whether a line looks like one that belongs to the line before, as those of a stack trace do.
func Continues(text []byte) bool {
	_, carries := recognise(text)
	return carries
}
