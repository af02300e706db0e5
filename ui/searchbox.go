package ui

import (
	"errors"
	"regexp"
	"regexp/syntax"
	"slices"
	"unicode"

	tea "charm.land/bubbletea/v2"
)

// searchBox is the line in which a search is typed.
type searchBox struct {
	open  bool
	input input
	old   string
	oldRe *regexp.Regexp
	fault string // why what is typed is no regular expression
	x     int    // of the cursor, set while drawing

	history []string // earlier searches, the latest last
	back    int      // how far up the history the box is; 0 is what was typed
	draft   string   // what was typed before going up
}

// keptSearches is how far back the history goes.
const keptSearches = 100

func newSearchBox() searchBox { return searchBox{input: newInput()} }

// start opens the box; query and re are the search that esc goes back to.
func (s *searchBox) start(query string, re *regexp.Regexp) {
	s.open, s.back, s.fault = true, 0, ""
	s.old, s.oldRe = query, re
	s.input.set("")
}

// compileSearch reads a query: a regular expression, ignoring case unless it has a capital letter.
// What is not one yet, while it is typed, is looked for literally; fault then says why.
func compileSearch(q string) (re *regexp.Regexp, fault string) {
	if q == "" {
		return nil, ""
	}
	flags := ""
	if !hasCapital(q) {
		flags = "(?i)"
	}
	re, err := regexp.Compile(flags + q)
	if err == nil {
		return re, ""
	}
	var e *syntax.Error
	if errors.As(err, &e) {
		fault = string(e.Code)
	}
	return regexp.MustCompile(flags + regexp.QuoteMeta(q)), fault
}

// hasCapital says whether a query asks for an upper-case letter; the letter of a class such as \S does not count.
func hasCapital(q string) bool {
	escaped := false
	for _, r := range q {
		if !escaped && unicode.IsUpper(r) {
			return true
		}
		escaped = !escaped && r == '\\'
	}
	return false
}

// edit is what a key does to the search that is being typed.
type edit uint8

const (
	editNone  edit = iota
	editTyped      // there is another query in the box
	editDone       // the box is closed with the query that is in it
	editUndo       // the box is closed, and the search before it goes on
	editClear      // the box is closed, and there is no search any more
)

// key feeds a key press to the box.
func (s *searchBox) key(k tea.KeyPressMsg) edit {
	switch k.String() {
	case "esc":
		s.open = false
		return editUndo
	case "enter":
		s.open = false
		q := s.input.value()
		if q == "" {
			return editUndo // an empty search goes on with the one before
		}
		s.history = append(slices.DeleteFunc(s.history, func(h string) bool { return h == q }), q)
		s.history = s.history[max(len(s.history)-keptSearches, 0):]
		return editDone
	case "up":
		return s.recall(s.back + 1)
	case "down":
		return s.recall(s.back - 1)
	case "backspace":
		if s.input.value() == "" {
			s.open = false
			return editClear
		}
	}
	before := s.input.value()
	s.input.key(k)
	if s.input.value() == before {
		return editNone
	}
	s.back = 0
	return editTyped
}

// recall puts an earlier search into the box; 0 steps back is what was typed.
func (s *searchBox) recall(back int) edit {
	if back < 0 || back > len(s.history) {
		return editNone
	}
	if s.back == 0 {
		s.draft = s.input.value()
	}
	s.back = back
	if back == 0 {
		s.input.set(s.draft)
	} else {
		s.input.set(s.history[len(s.history)-back])
	}
	return editTyped
}

// query reads what is in the box.
func (s *searchBox) query() (string, *regexp.Regexp) {
	q := s.input.value()
	re, fault := compileSearch(q)
	s.fault = fault
	return q, re
}

// line draws the box with a note behind the query; its cursor is at x then.
func (s *searchBox) line(st *styles, note string, w int) string {
	if s.fault != "" {
		note = "    " + st.warn.s("as text: "+s.fault) + note
	}
	hint := st.dim.s("enter find  esc cancel ")
	if len(s.history) > 0 {
		hint = st.dim.s("↑ earlier  ") + hint
	}
	s.x = min(2+s.input.cursorCell(), max(w-1, 0))
	head := " /" + s.input.text(w-3) + note
	if width(head)+width(hint) > w {
		hint = "" // what is found is worth more
	}
	return justify(head, hint, w)
}
