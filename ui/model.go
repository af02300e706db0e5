package ui

import (
	"context"
	"slices"
	"time"

	tea "charm.land/bubbletea/v2"

	"bulkhead/engine"
	"bulkhead/engine/logs"
)

// secondQuit is within which a second ctrl+c stops.
const secondQuit = 2 * time.Second

// Model is the root: it routes messages to the parts and puts their rows together.
type Model struct {
	opts    Options
	jobs    *jobs
	backend Backend
	changed <-chan struct{}
	keys    *keymap
	st      styles
	theme   string // in effect
	dark    bool   // the terminal's background

	w, h    int
	f       frame
	snap    *engine.Snapshot
	now     time.Time
	focus   pane
	tab     pane // what main shows: logs, events, builds or ledger
	zoom    bool
	blurred bool
	moved   time.Time        // when something happened last: a key, a token of the engine
	seen    engine.Attention // what the engine was told last
	pacer   pacer

	svc    servicesPane
	log    logPane
	ev     eventsPane
	bld    buildsPane
	led    ledgerPane
	line   timeline
	over   overlayer
	search searchBox
	footer footerCache

	status   statusLine
	notes    []note
	lastCtrl time.Time
	picking  bool // the next digit picks a port

	outcome Outcome
	failed  error   // what Run returns
	ending  *ending // the project is being stopped, and the screen ends then; nil mostly
	left    bool    // the program is about to end

	dirty   bool
	content string
	cursor  *tea.Cursor
}

// statusLine is what happened last; it stays until the next key.
type statusLine struct {
	text string
	bad  bool

	service string    // whose failed command it tells of
	at      time.Time // of that failure

	offer bool // holds only while a second ctrl+c stops
}

type (
	changedMsg struct{}
	tickMsg    time.Time
)

func newModel(ctx context.Context, o Options, changed <-chan struct{}) (*Model, error) {
	if err := o.Config.check(); err != nil {
		return nil, err
	}
	km, err := newKeymap(o.Config)
	if err != nil {
		return nil, err
	}
	m := &Model{
		opts: o, jobs: &jobs{ctx: ctx}, backend: &cleanBackend{Backend: o.Backend}, changed: changed, keys: km,
		snap: &engine.Snapshot{}, now: o.Now(), moved: o.Now(), focus: paneServices, tab: paneLogs, theme: themeOf(o.Config.Theme, o.Environ), dirty: true,
	}
	m.dark = m.theme != "light"
	m.st = newStyles(m.theme, m.dark)
	m.svc = newServicesPane()
	m.log = newLogPane(o.Backend.Logs(), o.Config.Timestamps)
	m.log.drawn = &m.st // a key may come before the first drawing
	m.search = newSearchBox()
	m.refresh()
	return m, nil
}

// Init implements tea.Model.
func (m *Model) Init() tea.Cmd {
	cmds := []tea.Cmd{m.waitChanged(0), m.tick()}
	if m.theme == "auto" || m.theme == "contrast" || m.theme == "ansi" {
		cmds = append(cmds, tea.RequestBackgroundColor)
	}
	return tea.Batch(cmds...)
}

// Update implements tea.Model. It routes; the parts do the work.
func (m *Model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	m.dirty = true
	m.stir(msg)
	defer m.keepPace()
	switch msg := msg.(type) {
	case changedMsg:
		alarm := m.refresh()
		return m, tea.Batch(alarm, m.waitChanged(frameTime))
	case tickMsg:
		m.pacer.forget()
		if m.ending != nil || len(m.stoppings(0)) > 0 {
			m.moved = m.opts.Now() // seconds count
		}
		alarm := m.refresh() // readings of CPU and memory leave no token
		if m.status.offer && m.now.Sub(m.lastCtrl) >= secondQuit {
			m.status = statusLine{} // a second ctrl+c would not stop any more
		}
		return m, tea.Batch(alarm, m.tick(), m.attend())
	case tea.WindowSizeMsg:
		m.w, m.h = msg.Width, msg.Height
	case tea.KeyPressMsg:
		return m, m.keyPress(msg)
	case tea.PasteMsg:
		return m, m.paste(msg.Content)
	case tea.MouseClickMsg:
		return m, m.click(msg.Mouse())
	case tea.MouseWheelMsg:
		return m, m.wheel(msg.Mouse())
	case tea.MouseMotionMsg:
		return m, m.motion(msg.Mouse())
	case tea.MouseReleaseMsg:
		m.release()
	case dragMsg:
		return m, m.dragStep()
	case tea.BackgroundColorMsg:
		m.dark = msg.IsDark()
		m.restyle()
	case tea.FocusMsg:
		m.blurred = false
		return m, m.attend()
	case tea.BlurMsg:
		m.blurred = true
		return m, m.attend()
	case viewMsg:
		if msg.gen == m.log.gen {
			m.log.adopt(msg.view)
		}
	case doneMsg:
		m.done(msg)
	case foundMsg:
		m.log.found(m, msg)
	case countMsg:
		m.log.tally(msg)
		return m, m.recount()
	case olderMsg:
		return m, m.foundOlder(msg)
	case copiedMsg:
		return m, m.copied(msg)
	case savedMsg:
		m.saved(msg)
	case shellMsg:
		return m, m.handOver(msg)
	case handedMsg:
		return m, m.startShell(msg.shellMsg)
	case backMsg:
		m.pacer.forget()
		return m, tea.ClearScreen
	case shellDoneMsg:
		m.shellDone(msg)
	case openedMsg:
		return m, m.opened(msg)
	case fatalMsg:
		m.failed, m.outcome = msg.err, Leave
		return m, m.quit()
	case endedMsg:
		return m, m.ended(msg)
	case tea.InterruptMsg:
		return m, m.leave(Stop)
	default:
		m.dirty = false
	}
	return m, nil
}

// refresh takes the latest state.
func (m *Model) refresh() tea.Cmd {
	before := m.snap
	m.snap = m.backend.Snapshot()
	m.now = m.opts.Now()
	m.svc.refresh(m.snap)
	if m.status.service != "" && m.mended() {
		m.status = statusLine{}
	}
	m.bld.refresh(m.snap)
	m.log.refresh()
	return tea.Batch(m.alarm(before), m.settle())
}

// settle brings the log pane in line with the selection, the marks and the search.
func (m *Model) settle() tea.Cmd {
	m.rescope()
	return tea.Batch(m.reopen(), m.recount(), m.lookOlder())
}

// rescope tells the log pane which services it shows.
func (m *Model) rescope() {
	switch {
	case m.svc.marking():
		m.log.scope(m.svc.markedNames(m.snap), 0)
	case m.log.solo && m.svc.sel.service != "":
		m.log.scope([]string{m.svc.sel.service}, m.svc.sel.replica)
	default:
		m.log.scope(nil, 0)
	}
}

// restyle remakes what is drawn in the old colours.
func (m *Model) restyle() {
	m.st = newStyles(m.theme, m.dark)
	m.log.dropCache()
	m.svc.cache = servicesCache{}
	m.line.cache = timelineCache{}
	m.footer = footerCache{}
}

// say puts a line into the status line.
func (m *Model) say(text string) { m.status = statusLine{text: logs.CleanLine(text)} }

// fail shows an error until the next key, and keeps it in the events pane.
func (m *Model) fail(text string) {
	text = logs.CleanLine(text)
	m.status = statusLine{text: text, bad: true}
	m.notes = append(m.notes, note{at: m.opts.Now(), text: text})
	if len(m.notes) > 100 {
		m.notes = slices.Delete(m.notes, 0, len(m.notes)-100)
	}
}

// keyPress gives a key to who it belongs to: the layer on top, the search box, or the focused pane.
func (m *Model) keyPress(k tea.KeyPressMsg) tea.Cmd {
	s := k.String()
	switch {
	case m.left:
		return nil
	case s == "ctrl+c" && m.ending != nil:
		return m.endAtOnce()
	case s == "ctrl+c":
		if now := m.opts.Now(); now.Sub(m.lastCtrl) < secondQuit {
			return m.leave(Stop)
		} else {
			m.lastCtrl = now
		}
		if o, ok := m.over.(*opening); !ok || o.stop() {
			m.over = nil
		}
		m.search.open = false
		m.say("ctrl+c again stops " + m.snap.Project + " and quits; " + m.keyOf("quit") + " asks")
		m.status.offer = true
		return nil
	}
	if m.over != nil {
		cmd, closed := m.over.Key(m, k)
		if closed {
			m.over = nil
		}
		return cmd
	}
	if m.search.open {
		return m.search.key(m, k)
	}
	m.status = statusLine{}
	if m.picking {
		m.picking = false
		if len(s) == 1 && s[0] >= '1' && s[0] <= '9' {
			return m.openPort(int(s[0] - '1'))
		}
		if s == "esc" {
			return nil
		}
	}
	a := m.keys.find(m, s, m.focus)
	if a == nil || a.run == nil {
		return nil
	}
	if m.ending != nil && !a.allowedWhileEnding() {
		m.say(m.snap.Project + " is being stopped; " + m.endingOffer())
		return nil
	}
	cmd := a.run(m)
	return tea.Batch(cmd, m.settle())
}

// paste goes to whoever takes text.
func (m *Model) paste(text string) tea.Cmd {
	if o, ok := m.over.(*opening); ok {
		o.paste(text)
		return nil
	}
	text = oneLine(text)
	switch p := m.over.(type) {
	case *palette:
		p.input.insert(text)
		p.filter()
	case *windowPrompt:
		p.paste(text)
	case nil:
		if m.search.open {
			m.search.input.insert(text)
			return m.search.typed(m)
		}
	}
	return nil
}

// goTo focuses a pane and shows it.
func goTo(p pane) func(*Model) tea.Cmd {
	return func(m *Model) tea.Cmd { m.focusPane(p); return nil }
}

func (m *Model) focusPane(p pane) {
	m.focus = p
	switch {
	case p == paneServices:
	case p == paneEvents && m.f.strip && !m.zoom:
	default:
		m.tab = p
	}
}

func (m *Model) cyclePane(by int) {
	all := panes()
	i := slices.Index(all, m.focus)
	m.focusPane(all[(i+by+len(all))%len(all)])
}

// doBack undoes what stands out: among the logs range, open lines, search, time, stream, level, marks; then the single service and
// the zoom, in this order. What is muted stays so: it has a key of its own.
func doBack(m *Model) tea.Cmd {
	switch {
	case m.focus == paneLogs && m.log.back():
	case m.focus == paneEvents && !m.line.cursor.IsZero():
		m.line.cursor = time.Time{}
		m.log.follow, m.log.ranged = true, false
	case m.focus == paneEvents && m.ev.at > 0:
		m.ev.at, m.ev.seq, m.ev.free = 0, 0, false
	case m.svc.marking():
		m.svc.clearMarks()
	case m.log.solo:
		m.log.solo = false
	case m.zoom:
		m.zoom = false
	}
	return nil
}

// move moves the focused pane's cursor or window by n lines.
func (m *Model) move(n int) {
	switch m.focus {
	case paneServices:
		m.svc.move(n)
	case paneLogs:
		m.log.move(n)
	case paneEvents:
		m.ev.move(n)
	case paneBuilds:
		m.bld.move(m.snap, n)
	case paneLedger:
		m.led.move(n)
	}
}

// pageSize is how many lines the focused pane shows.
func (m *Model) pageSize() int {
	switch m.focus {
	case paneServices:
		return max(m.f.services.h-1, 2)
	case paneEvents:
		if m.f.strip {
			return max(m.f.events.h, 2)
		}
	}
	return max(m.f.main.h, 2)
}

func (m *Model) click(e tea.Mouse) tea.Cmd {
	if m.over != nil || e.Button != tea.MouseLeft {
		return nil
	}
	m.status = statusLine{}
	if m.f.tabs.contains(e.X, e.Y) || m.f.stripRule.contains(e.X, e.Y) {
		if p := m.tabAt(e.X, e.Y); p != 0 {
			m.focusPane(p)
		}
		return nil
	}
	p, r, ok := m.f.at(e.X, e.Y, m.tab)
	if !ok {
		return nil
	}
	m.focus = p
	switch p {
	case paneServices:
		m.svc.clickRow(e.Y - r.y - m.svc.headRows(m.f))
	case paneLogs:
		m.log.grab(e.Y - r.y)
	case paneEvents:
		m.ev.clickRow(e.Y - r.y)
	case paneBuilds:
		m.bld.clickRow(m.snap, e.X-r.x, e.Y-r.y)
	}
	return m.settle()
}

func (m *Model) wheel(e tea.Mouse) tea.Cmd {
	by := 3
	switch e.Button {
	case tea.MouseWheelUp:
		by = -3
	case tea.MouseWheelDown:
	default:
		return nil
	}
	if t, ok := m.over.(*textView); ok {
		t.scroll(by)
		return nil
	}
	if m.over != nil {
		return nil
	}
	p, _, ok := m.f.at(e.X, e.Y, m.tab)
	if !ok {
		return nil
	}
	switch p { // the pane under the pointer scrolls; the focus stays where it is
	case paneServices:
		m.svc.scroll(by)
	case paneLogs:
		m.log.scroll(by)
		return m.lookOlder()
	case paneEvents:
		m.ev.scroll(by)
	case paneBuilds:
		m.bld.scroll(by)
	case paneLedger:
		m.led.scroll(by)
	}
	return nil
}

// View implements tea.Model. Bubble Tea asks for it once a message; it draws only when something changed.
func (m *Model) View() tea.View {
	if m.dirty {
		m.content = logs.TerminalText(m.render())
		m.dirty = false
	}
	v := tea.NewView(m.content)
	v.AltScreen, v.ReportFocus, v.Cursor = true, true, m.cursor
	v.WindowTitle, v.ProgressBar = m.title(), m.progress()
	if m.opts.Config.Mouse != "off" {
		v.MouseMode = tea.MouseModeCellMotion
	}
	return v
}

var _ tea.Model = (*Model)(nil)

// cycleTab goes on to the logs of the next service; from other panes to the next tab.
func (m *Model) cycleTab(by int) tea.Cmd {
	if m.focus != paneLogs || len(m.snap.Services) == 0 {
		tabs := m.tabPanes()
		i := slices.Index(tabs, m.tab)
		m.focusPane(tabs[(i+by+len(tabs))%len(tabs)])
		return nil
	}
	m.svc.clearMarks()
	names := make([]string, len(m.snap.Services))
	for i := range m.snap.Services {
		names[i] = m.snap.Services[i].Name
	}
	i := 0 // 0 is all services
	if m.log.solo {
		i = slices.Index(names, m.svc.sel.service) + 1
	}
	i = (i + by + len(names) + 1) % (len(names) + 1)
	m.log.solo = i > 0
	if m.log.solo {
		m.svc.selectName(names[i-1])
	}
	return nil
}
