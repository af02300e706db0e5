package ui

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/compose-spec/compose-go/v2/types"

	"bulkhead/engine"
	"bulkhead/engine/drill"
	"bulkhead/engine/fault"
)

// drillPane puts a fault on each service in turn and shows who suffers: the matrix as it fills, and
// below it the evidence of the cell under the cursor.
type drillPane struct {
	e *env

	fault    string // of the next drill
	stateful bool   // services with named volumes get it, too
	unwell   bool   // it goes on though a service is unhealthy, and says nothing of that

	row, col int       // the cell under the cursor
	left     int       // the first column that is shown
	top      int       // the first row that is shown
	grid     drillGrid // that was drawn last
	asked    time.Time // of the first esc; a second one soon after aborts
	setup    bool      // the next drill is being set up, though there is a report
}

// abortWithin is how soon after the first esc a second one aborts.
const abortWithin = 2 * time.Second

// tabName is none on a narrow screen before there was a drill.
func (p *drillPane) tabName(w int) string {
	if w >= 100 || p.e.snap.Drill != nil || p.e.focus == paneDrill {
		return string(paneDrill)
	}
	return ""
}

func newDrillPane(e *env) *drillPane { return &drillPane{e: e, fault: "kill"} }

const paneDrill paneID = "drill"

func (p *drillPane) id() paneID           { return paneDrill }
func (p *drillPane) refresh()             {}
func (p *drillPane) restyle()             {}
func (p *drillPane) scroll(n int) tea.Cmd { p.move(n); return nil }

func (p *drillPane) title(int) string {
	switch r := p.e.snap.Drill; {
	case p.e.snap.Drilling && r != nil:
		return fmt.Sprintf("%s, %d of %d", r.Fault, r.Done(), len(r.Rows))
	case r != nil:
		return r.Fault + ", over"
	}
	return ""
}

// report is the drill that is shown; nil while one is being set up.
func (p *drillPane) report() *drill.Report {
	if p.setup && !p.e.snap.Drilling {
		return nil
	}
	return p.e.snap.Drill
}

func (p *drillPane) move(n int) {
	if r := p.report(); r != nil {
		p.row = max(min(p.row+n, len(r.Rows)-1), 0)
	}
}

// sideways is the action that moves the cursor by columns.
func (p *drillPane) sideways(n int) func() tea.Cmd {
	return func() tea.Cmd {
		if r := p.report(); r != nil {
			p.col = max(min(p.col+n, len(r.Services)-1), 0)
		}
		return nil
	}
}

func (p *drillPane) click(_, y int) {
	if r := p.report(); r != nil && y >= drillHead && y-drillHead+p.top < len(r.Rows) {
		p.row = y - drillHead + p.top
	}
}

// back aborts with the second esc; the first one says so.
func (p *drillPane) back() bool {
	if !p.e.snap.Drilling {
		if p.setup && p.e.snap.Drill != nil {
			p.setup = false
			return true
		}
		return false
	}
	if now := p.e.opts.Now(); now.Sub(p.asked) <= abortWithin {
		p.asked = time.Time{}
		p.abort()
	} else {
		p.asked = now
		p.e.status.set("esc again within two seconds aborts the drill; what has a fault is healed first")
	}
	return true
}

// open shows the pane alone, as large as the screen is.
func (p *drillPane) open() tea.Cmd {
	p.e.focusPane(paneDrill)
	p.e.zoom = true
	return nil
}

func (p *drillPane) running() bool { return p.e.snap.Drilling }
func (p *drillPane) idle() bool    { return !p.e.snap.Drilling }
func (p *drillPane) shown() bool   { return p.report() != nil }

// drillMsg is the end of a drill.
type drillMsg struct {
	report *drill.Report
	err    error
}

// start begins a drill of all services, or of one row again.
func (p *drillPane) start(o drill.Options) tea.Cmd {
	p.setup = false
	o.Fault, o.Stateful, o.AllowUnhealthy = p.fault, p.stateful || len(o.Services) > 0, p.unwell
	p.e.status.set("drill: " + o.Fault)
	backend := p.e.backend
	return p.e.jobs.do("drill", func(ctx context.Context) tea.Msg {
		r, err := backend.Drill(ctx, o)
		return drillMsg{report: r, err: err}
	})
}

// receive implements receiver: it shows how a drill ended.
func (p *drillPane) receive(msg tea.Msg) (tea.Cmd, bool) {
	if saved, ok := msg.(reportMsg); ok {
		if saved.err != nil {
			p.e.status.fail("save the report: " + saved.err.Error())
		} else {
			p.e.status.set("saved to " + saved.path)
		}
		return nil, true
	}
	done, ok := msg.(drillMsg)
	switch {
	case !ok:
		return nil, false
	case done.err != nil && done.report == nil:
		p.e.status.fail("drill: " + done.err.Error())
	case done.err != nil:
		p.e.status.set("drill: " + done.report.Why)
	case len(done.report.Find(drill.DefaultFailOn())) > 0:
		p.e.status.fail(done.report.Summary())
	default:
		p.e.status.set(done.report.Summary())
	}
	return nil, true
}

// enter starts a drill, or opens the evidence of the row under the cursor.
func (p *drillPane) enter() tea.Cmd {
	if p.report() == nil {
		return p.start(drill.Options{})
	}
	p.e.over = &textView{e: p.e, title: "Evidence", close: []string{"enter"}, lines: p.evidenceOfRow}
	return nil
}

func (p *drillPane) enterLabel() string {
	if p.report() == nil {
		return "start"
	}
	return "evidence"
}

// again runs the row under the cursor once more.
func (p *drillPane) again() tea.Cmd {
	r := p.report()
	if r == nil || p.row >= len(r.Rows) {
		return nil
	}
	killed := r.Rows[p.row].Killed
	if p.e.snap.Drilling {
		p.act(drill.ActAgain, killed)
		return nil
	}
	p.fault = r.Fault
	return p.start(drill.Options{Services: []string{killed}, Onto: true})
}

// hold has the drill wait after the row that runs, or go on.
func (p *drillPane) hold() tea.Cmd { p.act(drill.ActHold, ""); return nil }

func (p *drillPane) holdLabel() string {
	if p.e.snap.Holding {
		return "go on"
	}
	return "hold"
}

// abort heals, and ends the drill.
func (p *drillPane) abort() tea.Cmd {
	p.e.status.set("aborting the drill: healing first")
	p.act(drill.ActAbort, "")
	return nil
}

func (p *drillPane) act(a drill.Act, row string) {
	if err := p.e.backend.DrillAct(a, row); err != nil {
		p.e.status.fail("drill: " + err.Error())
	}
}

// prepare sets the next drill up.
func (p *drillPane) prepare() tea.Cmd { p.setup = true; return nil }

// toggle returns what switches a setting of the next drill.
func (p *drillPane) toggle(setting *bool) func() tea.Cmd {
	return func() tea.Cmd {
		p.setup, *setting = true, !*setting
		return nil
	}
}

// pick asks for the fault of the next drill.
func (p *drillPane) pick() tea.Cmd {
	p.setup = true
	var choices []choice
	keys := "abcdefghilmnoprstuvwxyz" // without those that move in a menu or close it
	for i, k := range fault.Kinds() {
		why := p.e.lacking(&k)
		c := choice{key: keys[i : i+1], label: k.Example, hint: k.Help}
		if why != "" {
			c.label, c.hint = p.e.st.dim.s(k.Example), why
		}
		words := k.Example
		c.run = func() tea.Cmd {
			if why := p.e.lacking(&k); why != "" { // it may be known by now
				p.e.status.fail(words + ": " + why)
				return nil
			}
			p.fault = words
			return nil
		}
		choices = append(choices, c)
	}
	p.e.over = newMenu(p.e, "Fault of the drill", nil, choices)
	return p.e.findLacks()
}

// save asks in which form to save the report.
func (p *drillPane) save() tea.Cmd {
	r := p.report()
	dir := p.e.opts.Config.SaveDir
	if dir == "" {
		dir = os.TempDir() // not the project's folder: a new file there would start rebuilds
	}
	base := filepath.Join(dir, fmt.Sprintf("%s-drill-%s", p.e.snap.Project, p.e.opts.Now().Format("20060102-150405")))
	write := func(ext string) func() tea.Cmd {
		return func() tea.Cmd {
			return p.e.jobs.do("save the report", func(context.Context) tea.Msg {
				return reportMsg{path: base + ext, err: saveReport(r, base+ext)}
			})
		}
	}
	p.e.over = newMenu(p.e, "Save the report", []string{"to " + dir}, []choice{
		{key: "h", label: "HTML", hint: filepath.Base(base) + ".html", run: write(".html")},
		{key: "m", label: "Markdown", hint: filepath.Base(base) + ".md", run: write(".md")},
		{key: "j", label: "JSON", hint: filepath.Base(base) + ".json", run: write(".json")},
		{key: "x", label: "JUnit XML", hint: filepath.Base(base) + ".xml", run: write(".xml")},
	})
	return nil
}

// saveReport writes a report to a new file, which is ours once it is there.
func saveReport(r *drill.Report, path string) error {
	f, err := newFile(path)
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		return err
	}
	return r.Save(path)
}

// reportMsg is the end of a save.
type reportMsg struct {
	path string
	err  error
}

// actions are the pane's keys.
func (p *drillPane) actions() []action {
	const g = "drill"
	own := func(a action) action { a.group, a.where = g, in(paneDrill); return a }
	return []action{
		{name: "drill", keys: []string{"I"}, short: "drill", help: "drill: a fault on each service in turn, and who suffers", group: g, rank: 21, run: p.open},
		own(action{name: "drill-enter", keys: []string{"enter"}, short: "start", help: "start the drill; then the evidence of this row", rank: 1, label: p.enterLabel, run: p.enter}),
		own(action{name: "drill-again", keys: []string{"r"}, short: "row again", help: "run this row again", rank: 2, ok: p.shown, run: p.again}),
		own(action{name: "drill-hold", keys: []string{"space"}, short: "hold", help: "wait after the row that runs, or go on", rank: 2, ok: p.running, label: p.holdLabel, run: p.hold}),
		own(action{name: "drill-abort", keys: []string{"H"}, short: "abort", help: "heal, and end the drill (esc twice does, too)", rank: 1, ok: p.running, run: p.abort}),
		own(action{name: "drill-fault", keys: []string{"t"}, short: "fault", help: "pick the fault of the next drill", rank: 3, ok: p.idle, run: p.pick}),
		own(action{name: "drill-volumes", keys: []string{"v"}, short: "volumes", help: "services with named volumes get the fault too, or not", rank: 4, ok: p.idle, run: p.toggle(&p.stateful)}),
		own(action{name: "drill-unhealthy", keys: []string{"a"}, short: "unhealthy", help: "go on though a service is unhealthy, and say nothing of it, or not", rank: 4, ok: p.idle, run: p.toggle(&p.unwell)}),
		own(action{name: "drill-new", keys: []string{"n"}, short: "new", help: "set up the next drill", rank: 4, ok: func() bool { return p.idle() && p.shown() }, run: p.prepare}),
		own(action{name: "drill-left", keys: []string{"left"}, help: "the cell to the left", run: p.sideways(-1)}),
		own(action{name: "drill-right", keys: []string{"right"}, help: "the cell to the right", run: p.sideways(1)}),
		own(action{name: "drill-save", keys: []string{"ctrl+s"}, short: "report", help: "save the report: HTML, Markdown, JSON, JUnit", rank: 5, ok: p.shown, run: p.save}),
	}
}

// drillHead is how many rows stand above the matrix.
const drillHead = 3

// render draws the pane into r.
func (p *drillPane) render(r rect) []string {
	if r.empty() {
		return nil
	}
	rep := p.report()
	if rep == nil {
		return fill(p.renderSetup(r), r)
	}
	p.row, p.col = max(min(p.row, len(rep.Rows)-1), 0), max(min(p.col, len(rep.Services)-1), 0)
	rows := p.renderHead(rep, r.w)
	// At least five rows are left for the evidence, and as many as the matrix needs are its own.
	shown := max(min(len(rep.Rows), r.h-drillHead-7), min(len(rep.Rows), 3))
	p.top = max(min(p.top, p.row, len(rep.Rows)-shown), p.row-shown+1, 0)
	for i := p.top; i < min(p.top+shown, len(rep.Rows)); i++ {
		rows = append(rows, p.renderRow(rep, i, r.w))
	}
	rows = append(rows, p.e.st.line.s(strings.Repeat("─", r.w)))
	if r.h-len(rows) > 14 {
		for _, l := range drill.Legend() {
			rows = append(rows, " "+p.e.st.dim.s(cut(l, r.w-1)))
		}
		rows = append(rows, p.e.st.line.s(strings.Repeat("─", r.w)))
	}
	rows = append(rows, p.evidence(rep, r.w)...)
	for i := range rows {
		rows[i] = fit(rows[i], r.w)
	}
	return fill(rows, r)
}

func (p *drillPane) renderSetup(r rect) []string {
	var with, without, unseen []string
	for i := range p.e.snap.Services {
		s := &p.e.snap.Services[i]
		switch {
		case s.Wanted == 0:
		case slices.ContainsFunc(s.Config.Config.Volumes, func(v types.ServiceVolumeConfig) bool { return v.Type == types.VolumeTypeVolume && v.Source != "" }):
			with = append(with, s.Name)
		default:
			without = append(without, s.Name)
		}
		if s.Wanted > 0 && s.Config.Extra.Probe == "" {
			unseen = append(unseen, s.Name)
		}
	}
	hit := "without volumes: " + strings.Join(without, ", ")
	if p.stateful {
		hit = "all: " + strings.Join(append(without, with...), ", ")
	}
	st := &p.e.st
	rows := []string{
		" " + st.bold.s("Isolation drill") + " · " + p.e.snap.Project,
		"",
		" fault     " + st.bold.s(p.fault) + st.dim.s("   "+p.e.keyOf("drill-fault")+" picks another"),
		" on        " + hit + st.dim.s("   "+p.e.keyOf("drill-volumes")+" changes it"),
		fmt.Sprintf(" each      %s baseline, %s with the fault, then up to %s to recover", drill.DefaultHold, drill.DefaultHold, drill.DefaultSettle),
		" calls     " + p.tapped(),
	}
	if text := p.unwellText(); text != "" {
		rows = append(rows, " unwell    "+text)
	}
	rows = append(rows, "",
		" "+st.key.s(p.e.keyOf("drill-enter"))+" starts it. Lanes keep what you save until a row is over; what you do to a service voids its row.")
	if len(unseen) > 0 {
		rows = append(rows, " "+st.warn.s("no x-bulkhead.probe, so not to be seen: "+strings.Join(unseen, ", ")))
	}
	var out []string
	for _, row := range rows {
		out = append(out, wrapped(row, r.w)...)
	}
	for i := range out {
		out[i] = fit(out[i], r.w)
	}
	return out
}

// unwellText names the services that are not well before a drill, and what that means for it; "" for none.
func (p *drillPane) unwellText() string {
	var bad []string
	for i := range p.e.snap.Services {
		if s := &p.e.snap.Services[i]; s.Wanted > 0 && (s.State == engine.StateCrashing || s.State == engine.StateRunning && s.Health == engine.Unhealthy) {
			bad = append(bad, s.Name)
		}
	}
	st, key := &p.e.st, p.e.keyOf("drill-unhealthy")
	switch {
	case len(bad) == 0:
		return ""
	case p.unwell:
		return strings.Join(bad, ", ") + ": left out" + st.dim.s("   "+key+" changes it")
	}
	return st.warn.s(strings.Join(bad, ", ")) + ": with that the drill does not begin" + st.dim.s("   "+key+" leaves it out")
}

func (p *drillPane) renderHead(r *drill.Report, w int) []string {
	st := &p.e.st
	state := fmt.Sprintf("%d/%d", r.Done(), len(r.Rows))
	switch {
	case p.e.snap.Drilling && p.e.snap.Holding:
		state += "  waits, " + p.e.keyOf("drill-hold") + " goes on"
	case p.e.snap.Drilling:
		state += "  " + p.e.keyOf("drill-abort") + " abort"
	case r.Why != "":
		state += "  " + r.Why
	default:
		state += "  over"
	}
	second := "baseline..."
	if text := r.BaselineText(); text != "" {
		second = "baseline: " + text
	}
	if r.Load == "" {
		second += " · no load, only probes ask"
	}
	heads, more := p.columnHeads(r, w)
	return []string{
		justify(" "+st.bold.s("Isolation drill")+" · "+r.Title(), st.busy.s(state)+" ", w),
		justify(" "+st.dim.s(second), st.dim.s(more), w),
		heads,
	}
}

// columnHeads is the line above the matrix; more says which columns are shown where not all have room.
func (p *drillPane) columnHeads(r *drill.Report, w int) (heads, more string) {
	p.grid = drillGridOf(r, w)
	n := p.grid.columns
	p.left = max(min(p.left, p.col, len(r.Services)-n), p.col-n+1, 0)
	head := "   " + fit("FAULT ON", p.grid.name)
	for i := p.left; i < p.left+n; i++ {
		name := fit(middle(r.Services[i], p.grid.cell(i)-1), p.grid.cell(i))
		if i == p.col {
			name = p.e.st.titleFocus.s(name)
		} else {
			name = p.e.st.title.s(name)
		}
		head += name
	}
	if n < len(r.Services) {
		more = fmt.Sprintf("  ←→ %d-%d of %d ", p.left+1, p.left+n, len(r.Services))
	}
	return head + p.e.st.title.s(fit("BACK IN", 9)+"VERDICT"), more
}

func (p *drillPane) renderRow(r *drill.Report, i, w int) string {
	row := &r.Rows[i]
	lead := "   "
	if i == p.row {
		lead = " > "
	}
	line := lead + fit(middle(row.Killed, p.grid.name-1), p.grid.name)
	if row.Phase != drill.PhaseDone {
		text := row.Now(p.e.now)
		if row.Phase != drill.PhaseQueued {
			return line + p.e.st.busy.s(text)
		}
		return line + p.e.st.dim.s(text)
	}
	for c := p.left; c < p.left+p.grid.columns; c++ {
		cell := fit(row.Mark(r.Services[c]), p.grid.cell(c))
		paint := p.paintOf(row, r.Services[c])
		if i == p.row && c == p.col {
			mark := strings.TrimRight(cell, " ")
			cell = p.e.st.selected.s(mark) + spaces(p.grid.cell(c)-width(mark))
		} else {
			cell = paint.s(cell)
		}
		line += cell
	}
	return line + fit(row.Back(), 9) + p.e.st.tone(verdictTone(row.Verdict)).s(row.VerdictText())
}

func (p *drillPane) paintOf(row *drill.Row, service string) paint {
	c := row.Cell(service)
	switch {
	case c == nil:
		return p.e.st.busy
	case c.Outcome == drill.Untouched:
		return p.e.st.good
	case c.Outcome == drill.Died && !c.Declared, c.Outcome == drill.Unhealthy && !c.Declared:
		return p.e.st.bad
	}
	return p.e.st.warn
}

func verdictTone(v drill.Verdict) tone {
	switch v {
	case drill.Isolated, drill.Expected:
		return toneGood
	case drill.Unproven, drill.Flaky:
		return toneWarn
	}
	return toneBad
}

// evidence is what was seen of the cell under the cursor.
func (p *drillPane) evidence(r *drill.Report, w int) []string {
	row, service := &r.Rows[p.row], r.Services[p.col]
	st := &p.e.st
	head := " " + st.bold.s(row.Killed+" > "+service)
	if row.Phase != drill.PhaseDone {
		return []string{head + "  " + row.Now(p.e.now)}
	}
	c := row.Cell(service)
	if c == nil && len(row.Events) == 0 {
		return []string{head + "  " + row.Why}
	}
	if c == nil {
		out := []string{head + "  " + st.dim.s("has the fault; timeline of the row:")}
		for _, e := range row.Events {
			out = append(out, cut(fmt.Sprintf(" %+6.2f %s %s %s", float64(e.AfterMS)/1000, e.Service, e.Kind, e.Text), w))
		}
		return out
	}
	text := c.Outcome.String()
	switch {
	case c.Declared:
		text += ", as the file allows"
	case c.Why != "":
		text += ": " + c.Why
	}
	out := []string{head + "  " + p.paintOf(row, service).s(text)}
	if row.Why != "" {
		out = append(out, " "+st.dim.s(row.Verdict.String()+": "+row.Why))
	}
	for _, e := range c.Evidence {
		out = append(out, " "+cut(e.String(), w-1))
	}
	for _, n := range row.Notes {
		out = append(out, " "+st.dim.s(cut(n, w-1)))
	}
	return out
}

// evidenceOfRow is everything that was seen in the row under the cursor.
func (p *drillPane) evidenceOfRow(w int) []string {
	r := p.report()
	if r == nil || p.row >= len(r.Rows) {
		return nil
	}
	var out []string
	for _, l := range r.RowText(p.row) {
		indent := 0
		if l.Evidence {
			indent = 4
		}
		for _, part := range wrapped(l.Text, w-indent) {
			out = append(out, spaces(indent)+part)
		}
	}
	return out
}
