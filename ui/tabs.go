package ui

import (
	"fmt"
	"slices"
	"strings"
)

// tabBar is the rule above main, with the names of the panes.
type tabBar struct{ e *env }

// name is a pane with its digit.
func (t *tabBar) name(p paneID) string {
	name := string(p)
	if named, ok := t.e.panes[t.e.digit(p)-1].pane.(tabber); ok {
		name = named.tabName(t.e.w)
	}
	if name == "" {
		return ""
	}
	return fmt.Sprintf("%d %s", t.e.digit(p), name)
}

// text names a pane, in capitals when it is the one shown, with a mark when it has the focus.
func (t *tabBar) text(p paneID, shown bool) string {
	name := t.name(p)
	switch {
	case shown && t.e.focus == p:
		return t.e.st.titleFocus.s("▶" + strings.ToUpper(name))
	case shown:
		return t.e.st.bold.s(strings.ToUpper(name))
	case t.e.focus == p:
		return t.e.st.titleFocus.s(name)
	}
	return t.e.st.title.s(name)
}

// panes are those that are named.
func (t *tabBar) panes() []paneID {
	return slices.DeleteFunc(t.e.tabPanes(), func(p paneID) bool { return t.name(p) == "" })
}

// render is the rule above main: the panes, and what the shown one shows.
func (t *tabBar) render(shown pane, w int) string {
	rule := t.e.st.line
	if t.e.focus == t.e.tab {
		rule = t.e.st.titleFocus
	}
	line := rule.s("─")
	for _, p := range t.panes() {
		isShown := p == t.e.tab && (!t.e.f.one || t.e.focus == p) || t.e.f.one && t.e.focus == p
		text := t.text(p, isShown)
		if isShown && t.e.focus == p {
			line += text + " " // the mark stands where the blank would
		} else {
			line += " " + text + " "
		}
	}
	tail := ""
	if s, ok := shown.(sizer); ok && w >= 100 {
		tail = t.e.st.dim.s(" "+s.size()+" ") + t.e.st.line.s("─")
	}
	if t.e.zoom {
		text := " zoomed, " + t.e.keyOf("zoom") + " for all "
		if w < 100 {
			text = " zoomed "
		}
		tail += t.e.st.dim.s(text)
	}
	title := ""
	room := w - width(line) - width(tail) - 4
	if !t.e.f.one || t.e.focus != paneServices {
		title = shown.title(room)
	}
	if title = cut(title, room); title != "" {
		line += rule.s("── ") + title + " "
	}
	if n := w - width(line) - width(tail); n > 0 {
		line += rule.s(strings.Repeat("─", n))
	}
	return fit(line+tail, w)
}

// at finds the pane whose name was clicked.
func (t *tabBar) at(x, y int) paneID {
	if t.e.f.stripRule.contains(x, y) {
		return paneEvents
	}
	at := t.e.f.tabs.x + 1
	for _, p := range t.panes() {
		n := width(t.name(p)) + 2
		if x >= at && x < at+n {
			return p
		}
		at += n
	}
	return ""
}
