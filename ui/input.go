package ui

import (
	"fmt"
	"regexp"
	"strings"

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
	x     int // of the cursor, set while drawing
}

func newSearchBox() searchBox { return searchBox{input: newInput()} }

// doSearch opens the search box in the log pane.
func doSearch(m *Model) tea.Cmd {
	m.focusPane(paneLogs)
	m.search.open = true
	m.search.old, m.search.oldRe = m.log.query, m.log.re
	m.search.input.set("")
	return nil
}

// compileSearch reads a query: a regular expression, without regard to case as long as it has no capital; what is none is
// looked for as it stands.
func compileSearch(q string) *regexp.Regexp {
	if q == "" {
		return nil
	}
	flags := ""
	if q == strings.ToLower(q) {
		flags = "(?i)"
	}
	re, err := regexp.Compile(flags + q)
	if err != nil {
		return regexp.MustCompile(flags + regexp.QuoteMeta(q))
	}
	return re
}

func (s *searchBox) key(m *Model, k tea.KeyPressMsg) tea.Cmd {
	switch k.String() {
	case "esc":
		s.open = false
		m.log.setSearch(s.old, s.oldRe)
		return m.settle()
	case "enter":
		s.open = false
		if s.input.value() == "" {
			m.log.setSearch(s.old, s.oldRe) // an empty search goes on with the one before
		}
		return tea.Batch(m.settle(), m.findMatch(false))
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
	return s.typed(m)
}

// typed takes the query up as it stands.
func (s *searchBox) typed(m *Model) tea.Cmd {
	q := s.input.value()
	m.log.setSearch(q, compileSearch(q))
	return m.settle()
}

// line draws the box; the cursor's place is kept for View.
func (s *searchBox) line(m *Model, w int) string {
	count := ""
	if m.log.re != nil && m.log.countedFor.query == m.log.query {
		count = fmt.Sprintf("  %s of %s lines", thousands(int64(m.log.matches)), thousands(m.log.total))
	}
	hint := m.st.dim.s("enter find  esc cancel ")
	s.x = min(2+s.input.cursorCell(), max(w-1, 0))
	return ends(" /"+s.input.text(w-3)+m.st.dim.s("  "+count), hint, w)
}
