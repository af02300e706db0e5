package ui

import (
	"fmt"
	"slices"

	tea "charm.land/bubbletea/v2"
)

// textView is a scrollable text over the panes: help, inspect, the dependency graph. Its lines are
// made again for every drawing, so that what it shows stays true.
type textView struct {
	noCursor
	e     *env
	title string
	lines func(w int) []string
	close []string // keys that close it, beside esc and q
	top   int
	page  int
}

// scroll implements scroller.
func (t *textView) scroll(n int) { t.top += n }

// key implements overlay.
func (t *textView) key(k tea.KeyPressMsg) (tea.Cmd, bool) {
	switch s := k.String(); s {
	case "esc", "q", "enter":
		return nil, true
	case "j", "down":
		t.top++
	case "k", "up":
		t.top--
	case "ctrl+d", "pgdown", "space":
		t.top += max(t.page-1, 1)
	case "ctrl+u", "pgup":
		t.top -= max(t.page-1, 1)
	case "g", "home":
		t.top = 0
	case "G", "end":
		t.top = farAway
	default:
		if slices.Contains(t.close, s) {
			return nil, true
		}
	}
	return nil, false
}

// render implements overlay.
func (t *textView) render(w, h int) []string {
	inner := min(w-2, 120)
	lines := t.lines(inner - 2)
	t.page = max(h-4, 1)
	t.top = max(min(t.top, len(lines)-t.page), 0)
	rows := make([]string, 0, t.page)
	for _, l := range lines[t.top:min(t.top+t.page, len(lines))] {
		rows = append(rows, " "+fit(l, inner-2)+" ")
	}
	title := t.title
	if len(lines) > t.page {
		title += fmt.Sprintf(" · %d-%d of %d", t.top+1, min(t.top+t.page, len(lines)), len(lines))
	}
	return box(&t.e.st, title+" · esc closes", rows, inner, h)
}
