package ui

import (
	"fmt"
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
)

// textView is a scrollable text over the panes: help, inspect, the dependency graph. Its lines are
// made again for every drawing, so that what it shows stays true. What is typed after / leaves only
// the lines that hold it.
type textView struct {
	e     *env
	title string
	lines func(w int) []string
	close []string                  // keys that close it, beside esc and q
	copy  func(text string) tea.Cmd // nil: it cannot be copied
	keys  map[string]func() tea.Cmd // further keys
	more  func() []hint             // of keys; nil: they are named in the text
	top   int
	page  int
	find  nameFilter
	shown []string // lines that were drawn last, all of them
	about string   // the service that it is about; "": none
	seen  []string // of each row that was drawn last, the line that it is a part of
}

// scroll implements scroller.
func (t *textView) scroll(n int) { t.top += n }

// hints implements hinter.
func (t *textView) hints() []hint {
	if t.find.open {
		return []hint{{"enter", "keep"}, {"esc", "all lines"}}
	}
	out := []hint{{"j/k", "scroll"}, {"/", "search"}}
	if t.copy != nil {
		out = append(out, hint{"y", "copy"})
	}
	if t.more != nil {
		out = append(out, t.more()...)
	}
	return append(out, hint{"esc", "close"})
}

// key implements overlay.
func (t *textView) key(k tea.KeyPressMsg) (tea.Cmd, bool) {
	if t.find.open {
		t.typed(k)
		return nil, false
	}
	if f := t.keys[k.String()]; f != nil {
		return f(), false
	}
	switch s := k.String(); s {
	case "esc":
		if t.find.on() {
			t.find.clear()
			return nil, false
		}
		return nil, true
	case "q", "enter":
		return nil, true
	case "/":
		t.find, t.top = nameFilter{open: true, input: newInput()}, 0
	case "y":
		if t.copy != nil {
			return t.copy(ansi.Strip(strings.Join(t.shown, "\n"))), false
		}
	default:
		top, ok := scrolled(s, t.top, t.page)
		if !ok && slices.Contains(t.close, s) {
			return nil, true
		}
		t.top = top
	}
	return nil, false
}

// scrolled is the first row that is shown after a key, of a text that stood at top, and whether it is a key that
// scrolls; the caller keeps the row within the text.
func scrolled(key string, top, page int) (int, bool) {
	switch key {
	case "j", "down":
		return top + 1, true
	case "k", "up":
		return top - 1, true
	case "ctrl+d", "pgdown", "space":
		return top + max(page-1, 1), true
	case "ctrl+u", "pgup":
		return top - max(page-1, 1), true
	case "g", "home":
		return 0, true
	case "G", "end":
		return farAway, true
	}
	return top, false
}

// typed takes a key of what is searched for.
func (t *textView) typed(k tea.KeyPressMsg) {
	switch k.String() {
	case "esc":
		t.find.clear()
	case "enter":
		t.find.open = false
	default:
		t.find.input.key(k)
		t.top = 0
	}
}

// paste implements paster.
func (t *textView) paste(text string) {
	if t.find.open {
		t.find.input.insert(oneLine(text))
	}
}

// cursor implements overlay.
func (t *textView) cursor() (int, int, bool) { return t.find.x, 0, t.find.open }

// render implements overlay.
func (t *textView) render(w, h int) []string {
	inner := min(w-2, 120)
	lines := t.lines(inner - 2)
	if t.find.on() {
		lines = slices.DeleteFunc(lines, func(l string) bool { return !t.find.matches(ansi.Strip(l)) })
	}
	t.shown = lines
	var all, of []string
	for _, l := range lines {
		all = append(all, folded(l, inner-2)...)
		for plain := ansi.Strip(l); len(of) < len(all); {
			of = append(of, plain)
		}
	}
	t.page = max(h-4, 1)
	t.top = max(min(t.top, len(all)-t.page), 0)
	rows := make([]string, 0, t.page)
	for _, l := range all[t.top:min(t.top+t.page, len(all))] {
		rows = append(rows, " "+fit(l, inner-2)+" ")
	}
	t.seen = of[t.top:min(t.top+t.page, len(all))]
	if len(all) == 0 {
		rows = append(rows, t.e.st.dim.s(" no line contains "+t.find.query()))
	}
	title := t.title
	if len(all) > t.page {
		title += fmt.Sprintf(" · %d-%d of %d", t.top+1, min(t.top+t.page, len(all)), len(all))
	}
	if t.find.open || t.find.on() {
		title += " · /" + t.find.query()
		t.find.x = min(width(title)+2, max(w-2, 0))
	} else {
		title += " · esc closes"
	}
	return box(&t.e.st, title, rows, inner, h)
}

// folded breaks a line at words into rows of w cells. What follows stands a little further in than
// the line's own beginning, and in its colours.
func folded(line string, w int) []string {
	if width(line) <= w {
		return []string{line}
	}
	plain := ansi.Strip(line)
	indent := min(len(plain)-len(strings.TrimLeft(plain, " "))+2, w/3)
	if len(plain) > 15 && plain[:2] == "  " && plain[2] != ' ' && strings.HasSuffix(plain[:15], " ") {
		indent = 15 // behind the name of a pair
	}
	rows := strings.Split(ansi.Wrap(line, max(w-indent, 1), " /"), "\n")
	rows = carryStyles(rows)
	for i := range rows {
		if i > 0 {
			rows[i] = spaces(indent) + strings.TrimLeft(rows[i], " ")
		}
	}
	return rows
}
