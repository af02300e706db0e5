package ui

import (
	"fmt"
	"slices"
	"strings"

	"bulkhead/engine"
)

// tabBar is the rule above main, with the names of the panes.
type tabBar struct{ e *env }

// text names a pane with its digit, in capitals when it is the one shown.
func (t *tabBar) text(p paneID, shown bool) string {
	name := fmt.Sprintf("%d %s", slices.Index(paneIDs(), p)+1, p)
	if p == paneServices && t.e.w < 100 {
		name = "1 svc"
	}
	if p == paneBuilds && slices.ContainsFunc(t.e.snap.Builds, func(b engine.Build) bool { return t.e.snap.brokenBuild(&b) }) {
		name += "!"
	}
	switch {
	case shown && t.e.focus == p:
		return t.e.st.titleFocus.s(strings.ToUpper(name))
	case shown:
		return t.e.st.bold.s(strings.ToUpper(name))
	case t.e.focus == p:
		return t.e.st.titleFocus.s(name)
	}
	return t.e.st.title.s(name)
}

// render is the rule above main: the panes, and what the shown one shows.
func (t *tabBar) render(shown pane, w int) string {
	line := t.e.st.line.s("─")
	for _, p := range t.e.f.tabPanes() {
		isShown := p == t.e.tab && (!t.e.f.one || t.e.focus == p) || t.e.f.one && t.e.focus == p
		line += " " + t.text(p, isShown) + " "
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
		line += t.e.st.line.s("── ") + title + " "
	}
	if n := w - width(line) - width(tail); n > 0 {
		line += t.e.st.line.s(strings.Repeat("─", n))
	}
	return fit(line+tail, w)
}

// at finds the pane whose name was clicked.
func (t *tabBar) at(x, y int) paneID {
	if t.e.f.stripRule.contains(x, y) {
		return paneEvents
	}
	at := t.e.f.tabs.x + 1
	for _, p := range t.e.f.tabPanes() {
		n := width(t.text(p, false)) + 2
		if x >= at && x < at+n {
			return p
		}
		at += n
	}
	return 0
}
