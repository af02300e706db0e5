// Package logs keeps what services write: a bounded ring of lines per service, stitched over restarts and
// rebuilds, read through views that are ordered by time across services.
//
// Writers never wait for readers. A service's lines lie in chunks that are filled front to back; a reader looks
// at what is filled without a lock, and what it hands out is a copy, so it stays as it is.
//
// # Memory
//
// What a line costs is its bytes plus [LineOverhead]; both are counted, as allocated, into the bounds of
// [Options], so a store at its bound holds its bound in memory and not a multiple of it. A chunk that leaves
// the ring is filled again with new lines: a full store under a flood makes no garbage. A view adds 8 bytes
// for each line it shows; the overhead counts one such view of everything. The store cannot keep the garbage
// collector from letting the rest of the program grow to the store's size before it collects: who runs one tells
// the collector, by [Store.Bytes], how much of the heap never is garbage.
package logs

import (
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Stream says where a line came from.
type Stream uint8

// The streams. System lines are written by bulkhead itself: build notes and the separators of generations.
const (
	StreamUnknown Stream = iota
	Stdout
	Stderr
	System
)

// String returns "stdout", "stderr", "system" or "unknown", the words of the JSON output.
func (s Stream) String() string {
	switch s {
	case Stdout:
		return "stdout"
	case Stderr:
		return "stderr"
	case System:
		return "system"
	}
	return "unknown"
}

// Level is how grave a line says it is. Levels compare: Warn < Error. Unknown is below all others.
type Level uint8

// The levels. What frameworks call notice is Info; severe is Error; critical, alert, emergency and panic are Fatal.
const (
	LevelUnknown Level = iota
	Trace
	Debug
	Info
	Warn
	Error
	Fatal
)

var levelNames = [...]string{"unknown", "trace", "debug", "info", "warn", "error", "fatal"}

// String returns the level's name in lower case, "unknown" for LevelUnknown.
func (l Level) String() string {
	if int(l) < len(levelNames) {
		return levelNames[l]
	}
	return "level(" + strconv.Itoa(int(l)) + ")"
}

// ParseLevel reads a level as frameworks spell it, in any case ("warning", "ERR", "Information", "critical").
// ok is false for a word that names no level.
func ParseLevel(s string) (l Level, ok bool) {
	s = strings.TrimSpace(s)
	if strings.EqualFold(s, "unknown") {
		return LevelUnknown, true
	}
	l = wordLevel([]byte(s))
	return l, l != LevelUnknown
}

// Line is one line as it was written. Text belongs to the store: read it, do not write to it.
type Line struct {
	// unique in the store, grows with arrival, starts at 1; 0 means: no line (it dropped off the
	// ring)
	Seq        uint64
	Time       time.Time
	Service    string
	Replica    int
	Generation int
	Stream     Stream
	Level      Level // recognised when the line came in
	// raw bytes as the process wrote them, without the line end; pass it through Clean before a
	// terminal sees it
	Text []byte
	Cut  int // bytes cut off the end because the line was over MaxLine; 0 means whole
}

// Filter says which lines a view shows. The zero value lets all pass. Mute and Services are copied by View.
type Filter struct {
	Services []string        // only these; nil: all
	Mute     map[string]bool // services to leave out
	Replica  int             // only this replica, and lines that belong to none; 0: all
	Stream   Stream          // only this stream; StreamUnknown: all
	// MinLevel leaves out lines below it. Lines of no recognised level count as Info, since most plain output
	// is just that. System lines pass: they say where one generation ends and the next begins.
	MinLevel Level
	Match    *regexp.Regexp // only lines whose Plain text matches; nil: all
	Invert   bool           // with Match: only lines that do not match
	// with Match, in views: so many lines of its service before and after each that matches
	Context int
	Since   time.Time // only lines at or after; zero: all
	Until   time.Time // only lines before; zero: all
}

// Format is a form of Export.
type Format uint8

// The export formats. FormatText is the zero value.
const (
	FormatText Format = iota // time, service, plain text
	FormatJSON               // one JSON object a line
)
