package ui

import (
	"fmt"
	"strings"

	tea "charm.land/bubbletea/v2"
)

// choice is one line of a menu.
type choice struct {
	key, label, hint string
	run              func() tea.Cmd // nil: nothing but close
}

// menu asks for one of a few things; each has a key, and the cursor works as well.
type menu struct {
	noCursor
	e       *env
	title   string
	lines   []string
	choices []choice
	at      int
	first   int // row of the first choice, as it was drawn last
}

func newMenu(e *env, title string, lines []string, choices []choice) *menu {
	return &menu{e: e, title: title, lines: lines, choices: choices}
}

// key implements overlay.
func (n *menu) key(k tea.KeyPressMsg) (tea.Cmd, bool) {
	s := k.String()
	for _, c := range n.choices {
		if c.key == s {
			return n.pick(c)
		}
	}
	switch s {
	case "up", "k", "shift+tab":
		n.at = (n.at + len(n.choices) - 1) % len(n.choices)
	case "down", "j", "tab":
		n.at = (n.at + 1) % len(n.choices)
	case "enter", "space":
		return n.pick(n.choices[n.at])
	case "esc", "q", "ctrl+c":
		return nil, true
	}
	return nil, false
}

func (n *menu) pick(c choice) (tea.Cmd, bool) {
	if c.run == nil {
		return nil, true
	}
	return c.run(), true
}

// hints implements hinter.
func (n *menu) hints() []hint {
	return []hint{{"↑↓", "choose"}, {"enter", "do it"}, {"esc", "cancel"}}
}

// click implements clicker.
func (n *menu) click(_, y int) (tea.Cmd, bool) {
	if i := y - n.first; i >= 0 && i < len(n.choices) {
		n.at = i
		return n.pick(n.choices[i])
	}
	return nil, false
}

// render implements overlay.
func (n *menu) render(w, h int) []string {
	keyW, labelW, hintW := 1, 0, 0
	for _, c := range n.choices {
		keyW, labelW, hintW = max(keyW, width(c.key)), max(labelW, width(c.label)), max(hintW, width(c.hint))
	}
	inner := keyW + labelW + 6
	if hintW > 0 {
		inner += hintW + 2
	}
	for _, l := range n.lines {
		inner = max(inner, width(l)+2)
	}
	inner = min(max(inner, width(n.title)+4), w-2)
	var rows []string
	for _, l := range n.lines {
		rows = append(rows, " "+l)
	}
	if len(n.lines) > 0 {
		rows = append(rows, "")
	}
	n.first = len(rows) + 1
	for i, c := range n.choices {
		row := fmt.Sprintf("   %s  %s", n.e.st.key.s(fit(c.key, keyW)), fit(c.label, labelW))
		if c.hint != "" {
			row += "  " + n.e.st.dim.s(c.hint)
		}
		if i == n.at {
			row = n.e.st.bar(fit(" > "+row[3:], inner))
		}
		rows = append(rows, row)
	}
	return box(&n.e.st, n.title, rows, inner, h)
}

// box draws a frame around rows; it is at most h high.
func box(st *styles, title string, rows []string, inner, h int) []string {
	if inner < 1 || h < 3 {
		return nil
	}
	if len(rows) > h-2 {
		rows = rows[:h-2]
	}
	l := st.line
	top := cut(" "+title+" ", inner)
	out := []string{l.s("╭") + st.titleFocus.s(top) + l.s(strings.Repeat("─", inner-width(top))+"╮")}
	for _, r := range rows {
		out = append(out, l.s("│")+fit(r, inner)+l.s("│"))
	}
	return append(out, l.s("╰"+strings.Repeat("─", inner)+"╯"))
}
