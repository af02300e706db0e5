package ui

import (
	"errors"
	"regexp"
	"regexp/syntax"
	"slices"
	"unicode"

	tea "charm.land/bubbletea/v2"

	"charm.land/bubbles/v2/textinput"
)

// input is one line of text that is being typed.
type input struct{ model textinput.Model }

func newInput() input {
	t := textinput.New()
	t.Prompt = ""
	t.SetVirtualCursor(false) // the terminal's own cursor needs no blinking, so no wake-ups
	t.Focus()
	return input{model: t}
}

// key feeds a key press to the text.
func (in *input) key(k tea.KeyPressMsg) {
	in.model, _ = in.model.Update(k)
}

// insert puts text at the cursor.
func (in *input) insert(text string) {
	in.model, _ = in.model.Update(tea.PasteMsg{Content: text})
}

func (in *input) value() string { return in.model.Value() }
func (in *input) set(s string)  { in.model.SetValue(s); in.model.CursorEnd() }
func (in *input) cursorCell() int {
	return width(string([]rune(in.model.Value())[:in.model.Position()]))
}
func (in *input) text(w int) string { return cut(in.model.Value(), w) }

// searchBox is the line in which a search is typed.
type searchBox struct {
	open  bool
	input input
	old   string
	oldRe *regexp.Regexp
	fault string // why what is typed is no regular expression
	x     int    // of the cursor, set while drawing

	history []string // searches of before, the latest last
	back    int      // how far up the history the box is; 0 is what was typed
	draft   string   // what was typed before going up
}

// keptSearches is how far back the history goes.
const keptSearches = 100

func newSearchBox() searchBox { return searchBox{input: newInput()} }

// doSearch opens the search box in the log pane.
func doSearch(m *Model) tea.Cmd {
	m.focusPane(paneLogs)
	s := &m.search
	s.open, s.back, s.fault = true, 0, ""
	s.old, s.oldRe = m.log.query, m.log.re
	s.input.set("")
	return nil
}

// compileSearch reads a query: a regular expression, without regard to case as long as it asks for no capital. What is none, as it
// happens on the way to one, is looked for as it stands; fault then says why.
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

// hasCapital tells whether a query asks for an upper-case letter; the letter of a class such as \S is none.
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

func (s *searchBox) key(m *Model, k tea.KeyPressMsg) tea.Cmd {
	switch k.String() {
	case "esc":
		s.open = false
		m.log.setSearch(s.old, s.oldRe)
		return m.settle()
	case "enter":
		s.open = false
		q := s.input.value()
		if q == "" {
			m.log.setSearch(s.old, s.oldRe) // an empty search goes on with the one before
		} else {
			s.history = append(slices.DeleteFunc(s.history, func(h string) bool { return h == q }), q)
			s.history = s.history[max(len(s.history)-keptSearches, 0):]
		}
		return tea.Batch(m.settle(), m.findMatch(false))
	case "up":
		return s.recall(m, s.back+1)
	case "down":
		return s.recall(m, s.back-1)
	case "backspace":
		if s.input.value() == "" {
			s.open = false
			m.log.setSearch("", nil)
			return m.settle()
		}
	}
	before := s.input.value()
	s.input.key(k)
	if s.input.value() == before {
		return nil
	}
	s.back = 0
	return s.typed(m)
}

// recall puts an earlier search into the box; 0 steps back is what was typed.
func (s *searchBox) recall(m *Model, back int) tea.Cmd {
	if back < 0 || back > len(s.history) {
		return nil
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
	return s.typed(m)
}

// typed takes the query up as it stands.
func (s *searchBox) typed(m *Model) tea.Cmd {
	q := s.input.value()
	re, fault := compileSearch(q)
	s.fault = fault
	m.log.setSearch(q, re)
	return m.settle()
}

// line draws the box; the cursor's place is kept for View.
func (s *searchBox) line(m *Model, w int) string {
	note := ""
	if m.log.re != nil && m.log.countedFor.query == m.log.query {
		note = m.st.dim.s("    " + m.log.countText())
	}
	if s.fault != "" {
		note = "    " + m.st.warn.s("as text: "+s.fault) + note
	}
	hint := m.st.dim.s("enter find  esc cancel ")
	if len(s.history) > 0 {
		hint = m.st.dim.s("↑ earlier  ") + hint
	}
	s.x = min(2+s.input.cursorCell(), max(w-1, 0))
	head := " /" + s.input.text(w-3) + note
	if width(head)+width(hint) > w {
		hint = "" // what is found is worth more
	}
	return ends(head, hint, w)
}
