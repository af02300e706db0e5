package ui

import (
	"fmt"
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"

	"bulkhead/engine"
	"bulkhead/ui/duration"
)

// order is how services are sorted.
type order uint8

const (
	byName order = iota
	byState
	byCPU
	byMem
	orders
)

// String is the order's name on the screen.
func (o order) String() string { return [...]string{"name", "state", "CPU", "memory"}[o] }

// servicesPane lists services, and replicas of those that are opened.
type servicesPane struct {
	e        *env
	sel      *selection
	muted    map[string]bool // the log pane's
	expanded map[string]bool
	order    order

	rows   []target
	last   int // row of the selection when it was last seen
	top    int
	h      int  // rows that were shown last
	free   bool // the wheel moved the window away from the selection
	filter nameFilter
	alerts *alerts
	heads  []headSpot // where the names of the columns were drawn last
	cache  servicesCache
}

// servicesCache is what was drawn last, and what it was drawn of.
type servicesCache struct {
	seq      uint64
	second   int64
	sel      target
	r        rect
	top      int
	focus    bool
	marks    int
	muted    int
	expanded int
	order    order
	filter   string
	rows     []string
}

func newServicesPane(e *env, muted map[string]bool) *servicesPane {
	return &servicesPane{e: e, sel: &selection{e: e, marked: map[string]bool{}}, muted: muted,
		expanded: map[string]bool{}, filter: nameFilter{input: newInput()}}
}

// tabName is short on a narrow screen.
func (p *servicesPane) tabName(w int) string {
	if w < 100 {
		return "svc"
	}
	return string(paneServices)
}

const paneServices paneID = "services"

func (p *servicesPane) id() paneID           { return paneServices }
func (p *servicesPane) restyle()             { p.cache = servicesCache{} }
func (p *servicesPane) title(int) string     { return "" }
func (p *servicesPane) scroll(n int) tea.Cmd { p.top, p.free = p.top+n, true; return nil }

// back clears the marks, then the filter.
func (p *servicesPane) back() bool {
	if !p.sel.marking() && p.filter.on() {
		p.filter.clear()
		p.refresh()
		return true
	}
	if !p.sel.marking() {
		return false
	}
	clear(p.sel.marked)
	return true
}

// refresh makes the rows of a snapshot. The selection stays with its service; when that is gone, it stays at its place.
func (p *servicesPane) refresh() {
	snap := p.e.snap
	order := make([]*engine.Service, len(snap.Services))
	for i := range snap.Services {
		order[i] = &snap.Services[i]
	}
	slices.SortStableFunc(order, func(a, b *engine.Service) int {
		switch p.order {
		case byState:
			return severity(b) - severity(a)
		case byCPU:
			return compareDown(a.CPU, b.CPU)
		case byMem:
			return compareDown(float64(a.Mem), float64(b.Mem))
		}
		return 0
	})
	p.rows = p.rows[:0]
	for _, s := range order {
		if !p.filter.matches(s.Name) {
			continue
		}
		p.rows = append(p.rows, target{service: s.Name})
		if p.expanded[s.Name] && len(s.Replicas) > 1 {
			for _, r := range s.Replicas {
				p.rows = append(p.rows, target{service: s.Name, replica: r.Number})
			}
		}
	}
	for _, o := range snap.Orphans {
		if p.filter.matches(o.Name) {
			p.rows = append(p.rows, target{orphan: o.Name})
		}
	}
	for name := range p.sel.marked {
		if snap.service(name) == nil {
			delete(p.sel.marked, name)
		}
	}
	p.locate()
}

// locate finds the selection again among the rows.
func (p *servicesPane) locate() {
	if len(p.rows) == 0 {
		return // keep the name: the services may come back
	}
	i := slices.Index(p.rows, p.sel.target)
	if i < 0 && p.sel.replica > 0 {
		i = slices.Index(p.rows, target{service: p.sel.service})
	}
	if i < 0 {
		i = min(p.last, len(p.rows)-1)
	}
	p.last, p.sel.target = i, p.rows[i]
}

func compareDown(a, b float64) int {
	switch {
	case a > b || b != b && a == a:
		return -1
	case a < b || a != a && b == b:
		return 1
	}
	return 0
}

// severity ranks what a person should look at first.
func severity(s *engine.Service) int {
	switch {
	case s.State == engine.StateBroken:
		return 9
	case s.State == engine.StateExited && (s.ExitCode != 0 || s.ByHand), outside(s) == engine.OutsideRemoved:
		return 8
	case s.State == engine.StateRestarting:
		return 7
	case s.Health == engine.Unhealthy:
		return 6
	case s.State == engine.StatePaused:
		return 5
	case len(s.Stale) > 0:
		return 4
	case s.State == engine.StateRunning:
		return 1
	case s.State == engine.StateExited:
		return 0
	}
	return 3
}

func (p *servicesPane) move(n int) {
	if len(p.rows) == 0 {
		return
	}
	p.last = min(max(p.last+n, 0), len(p.rows)-1)
	p.sel.target, p.free = p.rows[p.last], false
}

func (p *servicesPane) click(x, y int) {
	if y == p.headRows()-1 {
		p.sortBy(x)
		return
	}
	if i := y - p.headRows() + p.top; y >= p.headRows() && i >= 0 && i < len(p.rows) {
		p.last, p.sel.target = i, p.rows[i]
	}
}

func (p *servicesPane) selectName(name string) {
	if i := slices.Index(p.rows, target{service: name}); i >= 0 {
		p.last, p.sel.target, p.free = i, p.rows[i], false
	}
}

// mark marks the service under the cursor, or takes its mark away, and goes on to the next.
func (p *servicesPane) mark() tea.Cmd {
	p.sel.toggleMark()
	p.move(1)
	return nil
}

// sort goes on to the next order.
func (p *servicesPane) sort() tea.Cmd {
	p.order = (p.order + 1) % orders
	p.refresh()
	p.e.status.set("services sorted by " + p.order.String())
	return nil
}

func (p *servicesPane) toggleExpanded() tea.Cmd {
	name := p.sel.service
	if p.expanded[name] {
		delete(p.expanded, name)
		p.sel.target = target{service: name}
	} else {
		p.expanded[name] = true
	}
	p.refresh()
	return nil
}

// headRows is how many rows stand above the first service.
func (p *servicesPane) headRows() int {
	if p.e.f.wide && !p.e.f.one {
		return 2
	}
	return 1
}

// render draws the pane into r.
func (p *servicesPane) render(r rect) []string {
	p.h = max(r.h-p.headRows(), 0)
	p.window()
	key := servicesCache{
		seq: p.e.snap.Seq, second: p.e.now.Unix(), sel: p.sel.target, r: r, top: p.top,
		focus: p.e.focus == paneServices,
		marks: namesHash(p.sel.marked), muted: namesHash(p.muted), expanded: len(p.expanded),
		order: p.order, filter: p.filter.query(),
	}
	old := p.cache
	old.rows = nil
	if p.cache.rows != nil && key.same(old) {
		return p.cache.rows
	}
	key.rows = p.draw(r)
	p.cache = key
	return key.rows
}

func (a servicesCache) same(b servicesCache) bool {
	return a.seq == b.seq && a.second == b.second && a.sel == b.sel && a.r == b.r && a.top == b.top &&
		a.focus == b.focus &&
		a.marks == b.marks && a.muted == b.muted && a.expanded == b.expanded && a.order == b.order &&
		a.filter == b.filter
}

// namesHash tells sets of names apart.
func namesHash(names map[string]bool) int {
	n := 0
	for name := range names {
		n += hue(name, 1<<30) + 1
	}
	return n
}

// window keeps the selection in sight, unless the wheel moved on.
func (p *servicesPane) window() {
	if !p.free {
		p.top = min(max(p.top, p.last-p.h+1), p.last)
	}
	p.top = max(min(p.top, len(p.rows)-p.h), 0)
}

// columns are the widths for a pane of w cells.
func (p *servicesPane) columns(w int) columns {
	if p.headRows() == 2 {
		return wideColumns(w)
	}
	name := 0
	for _, t := range p.rows {
		name = max(name, width(t.service))
	}
	return fitColumns(w, name, portsWidth(p.e.snap.Services))
}

func (p *servicesPane) draw(r rect) []string {
	cols := p.columns(r.w)
	more := len(p.rows) - p.top - p.h // below what is shown
	titled := p.headRows() == 2
	var out []string
	if titled {
		title := fmt.Sprintf(" %s %d", strings.ToUpper(string(paneServices)), len(p.e.snap.Services))
		hint := fmt.Sprintf("sort: %s   %s mark   [1] ", p.order, p.e.keyOf("mark"))
		if more > 0 {
			hint = fmt.Sprintf("↓ %d more   ", more) + hint
		}
		if p.top > 0 {
			hint = fmt.Sprintf("↑ %d more   ", p.top) + hint
		}
		out = append(out,
			titlePaint(&p.e.st, p.e.focus == paneServices).s(fit(p.e.focusMark(paneServices)+title,
				r.w-width(hint)))+p.e.st.dim.s(hint))
	}
	out = append(out, p.headLine(cols, r.w))
	for i := p.top; i < len(p.rows) && i-p.top < p.h; i++ {
		if more > 0 && i-p.top == p.h-1 && !titled {
			out = append(out, p.rowAbove(more, p.rows[i], cols, r.w))
			break
		}
		out = append(out, p.row(p.rows[i], cols, r.w))
	}
	if len(p.rows) == 0 {
		text := "   no services"
		if p.filter.on() {
			text = "   no service matches " + p.filter.query() + "; esc shows all"
		}
		out = append(out, p.e.st.dim.s(fit(text, r.w)))
	}
	for len(out) < r.h {
		out = append(out, spaces(r.w))
	}
	return out[:min(len(out), max(r.h, 0))]
}

// rowAbove draws the last row that has room, and at its end how many more there are. Its last column
// is fitted to what is left of it.
func (p *servicesPane) rowAbove(more int, t target, c columns, w int) string {
	mark := cut(fmt.Sprintf(" ↓ %d more ", more), w)
	w -= width(mark)
	c.last = max(c.last-width(mark), 0)
	return fit(p.row(t, c, w), w) + p.e.st.dim.s(mark)
}

func titlePaint(st *styles, focus bool) paint {
	if focus {
		return st.titleFocus
	}
	return st.title
}

// headLine names the columns, and says what is filtered and how many rows are above.
func (p *servicesPane) headLine(c columns, w int) string {
	focus := p.e.focus == paneServices
	lead := "     "
	if p.headRows() == 1 {
		lead = " " + p.e.focusMark(paneServices) + "   "
		lead = lead[:len(lead)-(width(lead)-leadW)]
	}
	paint := p.e.st.title
	if focus {
		paint = p.e.st.titleFocus
	}
	left := columnHeads(c, lead, focus || p.headRows() == 2)
	p.heads = headSpots(c)
	right := ""
	if p.filter.on() || p.filter.open {
		right = " /" + p.filter.query()
	}
	if p.top > 0 && p.headRows() == 1 {
		right += fmt.Sprintf(" ↑ %d more", p.top)
	}
	if right == "" {
		return paint.s(fit(left, w))
	}
	right += " "
	p.filter.x = max(w-width(right), 0) + 2 + width(p.filter.query())
	return paint.s(fit(strings.TrimRight(left, " "), w-width(right))) + p.e.st.warn.s(right)
}

// row draws one service or replica.
func (p *servicesPane) row(t target, c columns, w int) string {
	sel := t == p.sel.target
	if t.orphan != "" {
		return p.orphanRow(t.orphan, sel, c, w)
	}
	s := p.e.snap.service(t.service)
	if s == nil {
		return spaces(w)
	}
	cursor, mark := " ", " "
	if sel {
		cursor = ">"
	}
	if p.sel.marked[t.service] && t.replica == 0 {
		mark = "*"
	}
	var row string
	switch {
	case t.replica > 0:
		row = p.replicaRow(s, t, c, cursor)
	default:
		sign, paint := signOf(s)
		muted := " "
		if p.muted[s.Name] {
			muted = p.e.st.dim.s("⊘")
		}
		state := stateText(s)
		if r := stoppingReplica(s); r != nil && c.last == 0 {
			state += " " + duration.Age(p.e.now.Sub(r.Since)) // the change that says more has no column here
		}
		lead := mark + cursor + muted + p.e.st.tone(paint).s(sign) + " "
		if text := p.spanning(s, c, w); text != "" {
			row = lead + fit(s.Name, c.name) + " " + p.e.st.tone(paint).s(fit(cut(state, c.state),
				c.state)) + " " + text
			break
		}
		row = rowOf(c, lead, s.Name, p.e.st.tone(paint).s(cut(state, c.state)),
			healthText(&p.e.st, s.State, s.Health), upText(s.State, s.Started, p.e.now),
			restarts(s.Restarts, s.State), percent(s.CPU), bytesText(s.Mem),
			ports(s.Ports, max(c.port, 6)), p.lastCell(s, c))
	}
	row = fit(row, w)
	switch {
	case sel && p.e.focus == paneServices:
		return p.e.st.bar(row)
	case sel:
		return p.e.st.selectedDim.over(row)
	}
	return row
}

// lastCell is the last column: why a service does not do what it should, else its last change.
func (p *servicesPane) lastCell(s *engine.Service, c columns) string {
	alert := p.alerts.text(s.Name)
	if text := reason(&p.e.st, p.e.snap, s, p.e.now); text != "" && width(text) <= c.last &&
		stoppingReplica(s) == nil {
		return alert + text
	}
	if kind := p.e.snap.pendingOf(s.Name); kind != "" && s.Doing == "" && len(s.Stale)+len(s.Pending) == 0 {
		return alert + p.e.st.warn.s("pending "+kind)
	}
	return alert + lastChange(&p.e.st, s, p.e.now, c.last)
}

// orphanRow is a container of the project whose service the file does not name.
func (p *servicesPane) orphanRow(name string, sel bool, c columns, w int) string {
	cursor := " "
	if sel {
		cursor = ">"
	}
	text := p.e.snap.orphanText(name)
	if k := p.e.keyOf("down"); k != "" {
		text += "; " + k + " offers to remove it"
	}
	row := fit(" "+cursor+" "+p.e.st.dim.s("⊗")+" "+fit(name, max(c.name, min(width(name), w/3)))+" "+
		p.e.st.warn.s(fit("orphan", 7))+" "+p.e.st.dim.s(text), w)
	if sel && p.e.focus == paneServices {
		return p.e.st.bar(row)
	}
	return row
}

// spanning is why a service does not do what it should, where its column is too narrow for that: it
// takes the place of the columns that have nothing to say then.
func (p *servicesPane) spanning(s *engine.Service, c columns, w int) string {
	if stoppingReplica(s) != nil {
		return ""
	}
	text := reason(&p.e.st, p.e.snap, s, p.e.now)
	if alert := p.alerts.text(s.Name); text != "" {
		text = alert + text
	}
	if text == "" || width(text) <= c.last {
		return ""
	}
	if s.State == engine.StateRunning && c.health > 0 {
		text = healthText(&p.e.st, s.State, s.Health) + "  " + text
	}
	return cut(text, w-leadW-c.name-c.state-2)
}

func (p *servicesPane) replicaRow(s *engine.Service, t target, c columns, cursor string) string {
	i := slices.IndexFunc(s.Replicas, func(r engine.Replica) bool { return r.Number == t.replica })
	if i < 0 {
		return ""
	}
	r := &s.Replicas[i]
	started := r.Since
	if !r.Identity.Started.IsZero() {
		started = r.Identity.Started
	}
	last := p.e.st.dim.s(strings.TrimSpace(fmt.Sprintf("%s run %d  %s", shortID(r.Identity.ID),
		r.Generation, r.Cause)))
	if r.State == engine.StateStopping {
		last = p.e.st.busy.s(stopText(r, p.e.now))
	}
	sign, paint := stateSign(r.State, r.Health, r.ExitCode, s.ByHand)
	branch := "├"
	if i == len(s.Replicas)-1 {
		branch = "└"
	}
	return rowOf(c, " "+cursor+" "+p.e.st.dim.s(branch)+" ", p.e.st.tone(paint).s(sign)+
		fmt.Sprintf(" %d", r.Number),
		p.e.st.tone(paint).s(replicaText(r)), healthText(&p.e.st, r.State, r.Health),
		upText(r.State, started, p.e.now), restarts(r.Restarts, r.State), percent(r.CPU),
		bytesText(r.Mem), ports(r.Ports, max(c.port, 6)), last)
}

// onScreen names the services whose readings are seen; nil: all, because all rows are, or because
// their order depends on them.
func (p *servicesPane) onScreen() []string {
	if p.order == byCPU || p.order == byMem || p.e.w == 0 {
		return nil
	}
	out := []string{}
	if !p.e.f.services.empty() {
		if p.h >= len(p.rows) {
			return nil
		}
		for _, t := range p.rows[min(p.top, len(p.rows)):min(p.top+p.h, len(p.rows))] {
			if !slices.Contains(out, t.service) {
				out = append(out, t.service)
			}
		}
	}
	if !slices.Contains(out, p.sel.service) {
		out = append(out, p.sel.service)
	}
	return out
}
