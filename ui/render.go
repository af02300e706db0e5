package ui

import (
	"cmp"
	"strings"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
)

// render puts the whole screen together.
func (m *Model) render() string {
	m.cursor = nil
	e := m.e
	banners := m.banners.rows()
	e.f = layout(e.w, e.h, layoutInput{rows: max(len(m.svc.rows), 1), lanes: len(e.snap.Services),
		names: e.snap.nameWidth(0, 40), banners: len(banners), whole: m.banners.whole(), focus: e.focus, zoom: e.zoom})
	f := &e.f
	if f.w == 0 || f.h == 0 {
		return ""
	}
	e.chooseTab()
	rows := make([]string, f.h)
	put := func(r rect, part ...string) {
		for i := 0; i < r.h && i < len(part); i++ {
			rows[r.y+i] = part[i]
		}
	}
	if !f.header.empty() {
		put(f.header, m.header.render(f.w))
	}
	main := m.pane(e.tab)
	if f.wide {
		m.renderColumns(rows, main)
	} else {
		put(f.services, m.svc.render(f.services)...)
		put(f.main, main.render(f.main)...) // before the rule above it, which says what is seen
		if !f.tabs.empty() {
			put(f.tabs, m.tabs.render(main, f.tabs.w))
		}
	}
	if f.strip {
		events := m.pane(paneEvents)
		title := "─ " + m.tabs.text(paneEvents, true) + " "
		if e.focus == paneEvents {
			title = "─" + m.tabs.text(paneEvents, true) + " "
		}
		if text := events.title(f.stripRule.w); text != "" {
			title += text + " "
		}
		put(f.stripRule, e.ruled(title, f.stripRule.w))
		put(f.events, events.render(f.events)...)
	}
	put(f.banner, shownRows(banners, f.banner)...)
	if !f.footer.empty() {
		put(f.footer, m.footer.render(f.w))
	}
	for i := range rows {
		rows[i] = cmp.Or(rows[i], spaces(f.w))
	}
	if p, t := m.typing(); t != nil {
		if x, y, ok := t.cursor(f.of(p.id(), e.tab)); ok {
			m.cursor = tea.NewCursor(x, y)
		}
	}
	if e.over != nil {
		m.renderOver(rows)
	}
	return strings.Join(rows, "\n")
}

// chooseTab lets the main part show the focused pane where that has no place of its own.
func (e *env) chooseTab() {
	switch {
	case !e.f.strip && e.focus == paneEvents, e.f.one && e.focus != paneServices:
		e.tab = e.focus
	case e.f.strip && e.tab == paneEvents:
		e.tab = paneLogs
	}
}

// renderColumns draws the wide screen's upper part and the timeline into rows.
func (m *Model) renderColumns(rows []string, main pane) {
	e, f := m.e, &m.e.f
	left := append(append([]string(nil), m.svc.render(f.services)...), m.overview.render(f.left)...)
	shown := main.render(f.main) // before the rule above it, which says what is seen
	mid := append([]string{m.tabs.render(main, f.tabs.w)}, shown...)
	bar := e.st.line.s("│")
	var side []string
	if !f.side.empty() {
		side = m.detail.render(f.side)
	}
	for i := 0; i < f.tabs.h+f.main.h; i++ {
		row := left[i] + bar + mid[i]
		if side != nil {
			row += bar + side[i]
		}
		rows[f.tabs.y+i] = row
	}
	for i, row := range m.line.render(f.timeline) {
		rows[f.timeline.y+i] = row
	}
}

// renderOver lays what is over the panes into rows.
func (m *Model) renderOver(rows []string) {
	e := m.e
	box := e.over.render(e.w, e.h)
	if len(box) == 0 {
		return
	}
	x, y := max((e.w-width(box[0]))/2, 0), max((e.h-len(box))/2, 0)
	for i := range rows {
		rows[i] = e.st.behind.s(ansi.Strip(rows[i]))
	}
	if h, ok := e.over.(hinter); ok && !e.f.footer.empty() && y+len(box) <= e.f.footer.y {
		rows[e.f.footer.y] = fit(e.hintLine(h.hints()), e.w)
	}
	e.overAt = rect{x: x, y: y, w: width(box[0]), h: len(box)}
	layOver(rows, box, x, y, e.w)
	m.cursor = nil
	if cx, cy, ok := e.over.cursor(); ok {
		m.cursor = tea.NewCursor(x+cx, y+cy)
	}
}
