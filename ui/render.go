package ui

import (
	"fmt"
	"math"
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"

	"bulkhead/engine"
	"bulkhead/engine/project"
)

// render puts the whole screen together.
func (m *Model) render() string {
	m.cursor = nil
	banners := m.banners()
	lanes := len(m.snap.Services)
	m.f = layout(m.w, m.h, wish{rows: max(len(m.svc.rows), 1), lanes: lanes, banners: len(banners), focus: m.focus, zoom: m.zoom})
	f := &m.f
	if f.w == 0 || f.h == 0 {
		return ""
	}
	if !f.strip && m.focus == paneEvents || f.one && m.focus != paneServices {
		m.tab = m.focus
	} else if f.strip && m.tab == paneEvents {
		m.tab = paneLogs
	}
	rows := make([]string, f.h)
	put := func(r rect, part []string) {
		for i := 0; i < r.h && i < len(part); i++ {
			rows[r.y+i] = part[i]
		}
	}
	if !f.header.empty() {
		put(f.header, []string{m.header(f.w)})
	}
	if f.wide {
		m.renderColumns(rows)
	} else {
		put(f.services, m.svc.Render(m, f.services))
		put(f.main, m.mainPane(f.main)) // before the rule above it, which says what is seen
		if !f.tabs.empty() {
			put(f.tabs, []string{m.tabLine(f.tabs.w)})
		}
	}
	if f.strip {
		put(f.stripRule, []string{m.stripLine(f.stripRule.w)})
		put(f.events, m.ev.Render(m, f.events))
	}
	for i := 0; i < f.banner.h; i++ {
		rows[f.banner.y+i] = fit(banners[i], f.w)
	}
	if !f.footer.empty() {
		put(f.footer, []string{m.footerLine(f.w)})
	}
	for i := range rows {
		if rows[i] == "" {
			rows[i] = spaces(f.w)
		}
	}
	m.placeCursor()
	if m.over != nil {
		m.renderOver(rows)
	}
	return strings.Join(rows, "\n")
}

// placeCursor puts the terminal's cursor into the search box.
func (m *Model) placeCursor() {
	r := m.f.main
	if m.search.open && m.tab == paneLogs && r.h > 2 {
		m.cursor = tea.NewCursor(r.x+m.search.x, r.y+r.h-1)
	}
}

func (m *Model) renderOver(rows []string) {
	box := m.over.Render(m, m.w, m.h)
	if len(box) == 0 {
		return
	}
	x, y := max((m.w-width(box[0]))/2, 0), max((m.h-len(box))/2, 0)
	overlay(rows, box, x, y, m.w)
	m.cursor = nil
	if cx, cy, ok := m.over.Cursor(); ok {
		m.cursor = tea.NewCursor(x+cx, y+cy)
	}
}

// mainPane draws what the tabs choose from.
func (m *Model) mainPane(r rect) []string {
	switch m.tab {
	case paneEvents:
		return m.ev.Render(m, r)
	case paneBuilds:
		return m.bld.Render(m, r)
	case paneLedger:
		return m.led.Render(m, r)
	}
	return m.log.Render(m, r)
}

// header is the top line: the project, counts of states, watching, sums.
func (m *Model) header(w int) string {
	s := m.snap
	var parts []string
	name := s.Project
	if name == "" {
		name = "bulkhead"
	}
	if w >= wideW {
		name = "bulkhead  " + name
	}
	parts = append(parts, " "+m.st.bold.s(name))
	parts = append(parts, m.counts(w)...)
	phase := s.Phase
	if m.ending != nil && phase != engine.PhaseLost {
		phase = engine.PhaseStopping
	}
	switch phase {
	case engine.PhaseStarting:
		parts = append(parts, m.st.busy.s("starting"))
	case engine.PhaseStopping:
		parts = append(parts, m.st.busy.s("stopping"))
	case engine.PhaseLost:
		parts = append(parts, m.st.badge.s(" engine lost, trying again "))
	}
	parts = append(parts, m.watchText())
	if len(s.Profiles) > 0 && w >= 100 {
		parts = append(parts, m.st.dim.s("profile: "+strings.Join(s.Profiles, ",")))
	}
	cpu, mem, known := 0.0, int64(0), false
	for i := range s.Services {
		if c := s.Services[i].CPU; !math.IsNaN(c) {
			cpu, known = cpu+c, true
		}
		mem += max(s.Services[i].Mem, 0)
	}
	if known {
		parts = append(parts, m.st.dim.s("cpu ")+percent(cpu)+m.st.dim.s("  mem ")+bytesText(mem))
	}
	if s.ReadyIn > 0 && w >= 100 {
		parts = append(parts, m.st.dim.s("ready in "+took(s.ReadyIn)))
	}
	clock := m.st.dim.s(m.clockText()) + " "
	line := strings.Join(parts, "   ")
	for len(parts) > 2 && width(line)+1+width(clock) > w { // whole items leave, the last first
		parts = parts[:len(parts)-1]
		line = strings.Join(parts, "   ")
	}
	return ends(line, clock, w)
}

// counts says how many services are in which kind of state.
func (m *Model) counts(w int) []string {
	type group struct {
		sign, word string
		tone       tone
		n          int
	}
	groups := []group{{"●", "up", toneGood, 0}, {"◐", "unhealthy", toneWarn, 0}, {"✗", "down", toneBad, 0}, {"‖", "paused", toneWarn, 0},
		{"⟳", "busy", toneBusy, 0}, {"✓", "done", toneOff, 0}}
	for i := range m.snap.Services {
		s := &m.snap.Services[i]
		sign, _ := stateSign(s.State, s.Health, s.ExitCode, s.ByHand)
		if sign == "◌" || sign == "○" {
			sign = "⟳"
		}
		for j := range groups {
			if groups[j].sign == sign {
				groups[j].n++
			}
		}
	}
	var out []string
	for i, g := range groups {
		if g.n == 0 && i > 0 {
			continue
		}
		text := fmt.Sprintf("%s %d", m.paintOf(g.tone).s(g.sign), g.n)
		if i == 0 && w >= 60 || w >= 110 {
			text += " " + g.word
		}
		out = append(out, text)
	}
	return []string{strings.Join(out, "  ")}
}

// watchText says how files are watched now.
func (m *Model) watchText() string {
	ws := m.snap.Watch
	switch {
	case ws.Mode == project.Off:
		return m.st.warn.s("watch off")
	case ws.Mode == project.Manual:
		return m.st.warn.s("watch manual")
	case !ws.On:
		return m.st.dim.s("watch -")
	case ws.Held != "":
		return m.st.busy.s("watch held: " + ws.Held)
	}
	return "watch auto"
}

// tabText names a pane with its digit, in capitals when it is the one shown.
func (m *Model) tabText(p pane, shown bool) string {
	name := fmt.Sprintf("%d %s", slices.Index(panes(), p)+1, p)
	if p == paneServices && m.w < 100 {
		name = "1 svc"
	}
	if p == paneBuilds && slices.ContainsFunc(m.snap.Builds, func(b engine.Build) bool { return brokenBuild(m.snap, &b) }) {
		name += "!"
	}
	switch {
	case shown && m.focus == p:
		return m.st.titleFocus.s(strings.ToUpper(name))
	case shown:
		return m.st.bold.s(strings.ToUpper(name))
	case m.focus == p:
		return m.st.titleFocus.s(name)
	}
	return m.st.title.s(name)
}

// tabPanes are the panes that the rule above main names, in order.
func (m *Model) tabPanes() []pane {
	if m.f.wide || m.f.strip && !m.f.one {
		return []pane{paneLogs, paneBuilds, paneLedger}
	}
	return panes()
}

// tabLine is the rule above main: the panes, and what the shown one shows.
func (m *Model) tabLine(w int) string {
	line := m.st.line.s("─")
	for _, p := range m.tabPanes() {
		shown := p == m.tab && (!m.f.one || m.focus == p) || m.f.one && m.focus == p
		line += " " + m.tabText(p, shown) + " "
	}
	tail := ""
	if m.tab == paneLogs && w >= 100 {
		first, end := m.log.view.Bounds()
		tail = m.st.dim.s(" "+thousands(end-first)+" lines ") + m.st.line.s("─")
	}
	if m.zoom {
		text := " zoomed, " + m.keyOf("zoom") + " for all "
		if w < 100 {
			text = " zoomed "
		}
		tail += m.st.dim.s(text)
	}
	title := ""
	room := w - width(line) - width(tail) - 4
	switch {
	case m.f.one && m.focus == paneServices:
	case m.tab == paneLogs:
		title = m.log.title(m, room)
	case m.tab == paneEvents && m.ev.at > 0:
		title = strings.TrimSpace(m.newerEvents())
	}
	if title = cut(title, room); title != "" {
		line += m.st.line.s("── ") + title + " "
	}
	if n := w - width(line) - width(tail); n > 0 {
		line += m.st.line.s(strings.Repeat("─", n))
	}
	return fit(line+tail, w)
}

// tabAt finds the pane whose name was clicked.
func (m *Model) tabAt(x, y int) pane {
	if m.f.stripRule.contains(x, y) {
		return paneEvents
	}
	at := m.f.tabs.x + 1
	for _, p := range m.tabPanes() {
		n := width(m.tabText(p, false)) + 2
		if x >= at && x < at+n {
			return p
		}
		at += n
	}
	return 0
}

// stripLine is the rule above the events where they have a place of their own.
func (m *Model) stripLine(w int) string {
	return m.ruled("─ "+m.tabText(paneEvents, true)+" "+m.newerEvents(), w)
}

// newerEvents says that the cursor among the events keeps newer ones out of sight.
func (m *Model) newerEvents() string {
	if m.ev.at == 0 {
		return ""
	}
	return m.st.warn.s(fmt.Sprintf("%s newer, %s goes to them ", thousands(int64(m.ev.at)), m.keyOf("back")))
}

// ruled continues a title with a rule.
func (m *Model) ruled(title string, w int) string {
	if n := w - width(title); n > 0 {
		return title + m.st.line.s(strings.Repeat("─", n))
	}
	return cut(title, w)
}

// banners are the lines above the footer, the most important first.
func (m *Model) banners() []string {
	var out []string
	add := func(p paint, text, offer string) {
		if offer != "" {
			offer = "   " + m.st.key.s(offer)
		}
		room := max(m.w-width(offer)-2, 0)
		rows := []string{text}
		if room > 40 { // else a long text would take the screen
			rows = wrapped(text, room)
		}
		for i, row := range rows[:min(len(rows), 2)] {
			if i == 1 && len(rows) > 2 {
				row += " …"
			}
			out = append(out, " "+p.s(cut(row, room))+offer)
			offer = ""
		}
	}
	if m.status.text != "" {
		p := m.st.plain
		if m.status.bad {
			p = m.st.fail
		}
		add(p, m.status.text, "")
	}
	if m.picking {
		add(m.st.plain, "open "+m.portMenu(), "")
	}
	m.stopBanner(add)
	up, canUp := m.up()
	canUp = canUp && m.ending == nil
	upKey := "[" + m.keyOf("up") + "] "
	if l := m.freshLedger(); l != nil {
		text, offer := ledgerLine(l), ""
		if m.w >= 120 && strings.HasSuffix(text, "untouched") {
			text += " (same container id, start time, restart count)"
		}
		if canUp && slices.Contains(up.services, l.Service) && strings.HasPrefix(up.label, "bring back") {
			offer = upKey + "bring back"
		}
		if m.tab != paneLedger && m.w >= 70 {
			offer = strings.TrimSpace(offer + "  [" + m.keyOf("ledger") + "] ledger")
		}
		p := m.st.good
		if _, degraded, _ := suffered(l); len(degraded) > 0 {
			p = m.st.warn
		}
		if died, _, _ := suffered(l); len(died) > 0 {
			p = m.st.fail
		}
		add(p, text, offer)
	}
	if r := m.snap.Reload; r != nil {
		m.reloadBanner(r, up, canUp, add)
	}
	m.failureBanner(add)
	if text := m.causeLine(m.w - 2); text != "" {
		add(m.st.warn, text, "")
	}
	if len(m.snap.Watch.Notices) > 0 && m.h >= 30 {
		add(m.st.warn, oneLine(m.snap.Watch.Notices[0]), "")
	}
	return out
}

func (m *Model) reloadBanner(r *engine.Reload, up upWish, canUp bool, add func(paint, string, string)) {
	if r.Err != "" {
		add(m.st.fail, "Compose file changed and does not load: "+oneLine(r.Err), "")
		return
	}
	var names []string
	for _, c := range r.Changes {
		name := c.Service + " " + changeText(c.Kind)
		if len(r.Changes) == 1 && len(c.Reasons) > 0 {
			name += " (" + strings.Join(c.Reasons, ", ") + ")"
		}
		names = append(names, name)
	}
	text := "Compose file changed"
	if len(names) > 0 {
		text += ": " + strings.Join(names, ", ")
	}
	offer := ""
	if canUp && len(up.services) == 0 {
		offer = "[" + m.keyOf("up") + "] apply"
	}
	add(m.st.warn, text, offer)
}

func changeText(k project.ChangeKind) string {
	switch k {
	case project.Added:
		return "is new"
	case project.Removed:
		return "is gone"
	case project.Recreate:
		return "to be recreated"
	case project.Rules:
		return "has other rules"
	case project.Rescale:
		return "has another scale"
	case project.Build:
		return "to be rebuilt"
	}
	return "changed"
}

// failureBanner tells of the selected service's trouble, else of the first that is broken, else of a build that is.
func (m *Model) failureBanner(add func(paint, string, string)) {
	broken := func(s *engine.Service) bool {
		return s.State == engine.StateBroken && s.Err != "" || s.Last != nil && !s.Last.Ended.IsZero() && s.Last.Err != ""
	}
	s := m.selected()
	if s == nil || !broken(s) {
		s = nil
		for i := range m.snap.Services {
			if broken(&m.snap.Services[i]) {
				s = &m.snap.Services[i]
				break
			}
		}
	}
	if s == nil {
		return
	}
	text := s.Err
	if text == "" && s.Last != nil {
		text = s.Last.Action + ": " + s.Last.Err
	}
	text = oneLine(text)
	if !strings.Contains(text, s.Name) {
		text = s.Name + ": " + text
	}
	if s.Remedy != "" {
		text += "; " + s.Remedy
	}
	offer := ""
	if m.tab != paneBuilds && slices.ContainsFunc(m.snap.Builds, func(b engine.Build) bool {
		return brokenBuild(m.snap, &b) && slices.Contains(b.Services, s.Name)
	}) {
		offer = "[" + m.keyOf("builds") + "] builds"
	}
	add(m.st.fail, text, offer)
}

// footerCache keeps the footer while what it is made of stays.
type footerCache struct {
	w     int
	items string
	row   string
}

// footerLine shows the keys that work now; whole items leave when room is short, the least important first.
func (m *Model) footerLine(w int) string {
	if m.ending != nil {
		key, label, _ := strings.Cut(m.endingOffer(), " ")
		return fit(" "+m.st.key.s(key)+" "+m.st.keyHint.s(label), w)
	}
	type item struct {
		key, label  string
		rank, place int
	}
	var items []item
	for i := range m.keys.actions {
		a := &m.keys.actions[i]
		if a.rank == 0 || a.short == "" || len(a.keys) == 0 || a.where&m.focus == 0 {
			continue
		}
		if m.keys.find(m, a.keys[0], m.focus) != a {
			continue // the focused pane gives the key another meaning, or it can do nothing now
		}
		label := a.short
		if a.label != nil {
			label = a.label(m)
		}
		place := i
		if a.where == paneAny {
			place += 1000
		}
		if a.name == "up" {
			place = -1
		}
		items = append(items, item{a.firstKey(), label, a.rank, place})
	}
	slices.SortStableFunc(items, func(a, b item) int { return a.rank - b.rank })
	room, keep := w-1, 0
	for _, it := range items {
		n := width(it.key) + 1 + width(it.label) + 2
		if n > room+2 {
			break
		}
		room -= n
		keep++
	}
	items = items[:keep]
	slices.SortStableFunc(items, func(a, b item) int { return a.place - b.place })
	var b strings.Builder
	for _, it := range items {
		b.WriteString(it.key + "\x00" + it.label + "\x00")
	}
	if m.footer.row != "" && m.footer.w == w && m.footer.items == b.String() {
		return m.footer.row
	}
	row := ""
	for i, it := range items {
		if i > 0 {
			row += "  "
		} else {
			row += " "
		}
		row += m.st.key.s(it.key) + " " + m.st.keyHint.s(it.label)
	}
	m.footer = footerCache{w: w, items: b.String(), row: fit(row, w)}
	return m.footer.row
}
