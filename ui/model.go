package ui

import (
	"context"

	tea "charm.land/bubbletea/v2"

	"bulkhead/engine"
	"bulkhead/engine/logs"
)

// Model is the root: it routes messages to the parts and lays out their rows. What is shown and done is the parts' own.
type Model struct {
	e         *env
	changed   <-chan struct{}
	receivers []receiver

	// The parts by their types, for the table of actions.
	svc     *servicesPane
	log     *logPane
	ev      *eventsPane
	built   *buildsPane
	sources *sources
	links   *links
	line    *timeline
	verbs   *verbs
	echo    *echo
	shell   *shellOpener
	ports   *portOpener
	detail  *detail
	graph   *graph
	end     *shutdown
	trust   *truster
	drill   *drillPane
	tour    *tour

	// The parts that are only drawn.
	header   *header
	tabs     *tabBar
	banners  *banners
	footer   *footer
	overview *overview
	notify   *notifier
	alerts   *alerts

	recent recent
	rest   *rest
	theme  string // in effect
	plain  bool   // the terminal shows ASCII only
	dark   bool   // the terminal's background

	dirty   bool
	content string
	cursor  *tea.Cursor
}

type changedMsg struct{}

func newModel(ctx context.Context, o Options, changed <-chan struct{}) (*Model, error) {
	if err := o.Config.check(); err != nil {
		return nil, err
	}
	theme := themeOf(o.Config.Theme, o.Environ)
	m := &Model{changed: changed, theme: theme, dark: theme != "light",
		plain: plainTerminal(o.Environ), dirty: true}
	e := &env{opts: o, jobs: &jobs{ctx: ctx}, backend: &cleanBackend{Backend: o.Backend},
		status: &status{clock: o.Now},
		snap:   snapshot{&engine.Snapshot{}}, now: o.Now(), focus: paneServices, tab: paneLogs,
		st: newStyles(theme, m.dark)}
	e.st.setOwn(o.Config.Colors, theme)
	m.e = e
	m.makeParts(o.Backend.Logs())
	keys, err := newKeymap(o.Config, m.actions())
	if err != nil {
		return nil, err
	}
	e.keys = keys
	m.refresh()
	return m, nil
}

// makeParts makes what the screen is of.
func (m *Model) makeParts(store *logs.Store) {
	e := m.e
	clip, muted := &clipboard{e: e}, map[string]bool{}
	m.svc = newServicesPane(e, muted)
	sel := m.svc.sel
	m.log = newLogPane(e, store, sel, clip, muted)
	m.line = &timeline{e: e, svc: m.svc, log: m.log}
	m.ev = &eventsPane{e: e, line: m.line, log: m.log, svc: m.svc}
	m.drill = newDrillPane(e)
	m.tour = &tour{e: e, on: e.opts.Tour}
	m.built = newBuildsPane(e, clip)
	e.panes = m.paneTable(clip)

	m.echo = &echo{e: e, sel: sel, clip: clip}
	m.verbs = &verbs{e: e, sel: sel, echo: m.echo}
	m.shell = &shellOpener{e: e, sel: sel}
	m.ports = &portOpener{e: e, sel: sel, clip: clip}
	m.end = &shutdown{e: e, v: m.verbs, shell: m.shell, words: m.log.lastWords}
	m.trust = &truster{e: e, v: m.verbs, end: m.end}
	m.receivers = []receiver{m.verbs, m.log, clip, m.shell, m.ports, m.drill, m.end}

	m.detail = &detail{e: e, sel: sel, clip: clip}
	m.graph = &graph{e: e, sel: sel, clip: clip, verb: m.verbs}
	m.rest = &rest{e: e, moved: e.now}
	m.header = &header{e: e, end: m.end, rest: m.rest}
	m.tabs = &tabBar{e: e}
	m.banners = &banners{e: e, sel: sel, verbs: m.verbs, end: m.end, ports: m.ports, log: m.log, tour: m.tour}
	m.footer = &footer{e: e, end: m.end}
	m.overview = &overview{e: e, svc: m.svc, ports: m.ports, graph: m.graph}
	m.notify = &notifier{e: e}
	m.sources = &sources{e: e, sel: sel, log: m.log, built: m.built, clip: clip}
	m.links = newLinks(e, m.sources)
	m.receivers = append(m.receivers, m.sources, m.links)
	m.alerts = &alerts{e: e, store: store, by: map[string]*alert{}, began: e.now}
	m.svc.alerts = m.alerts
	m.receivers = append(m.receivers, m.alerts)
}

// Init implements tea.Model.
func (m *Model) Init() tea.Cmd {
	cmds := []tea.Cmd{m.waitChanged(0), m.rest.tick()}
	if m.theme == "auto" || m.theme == "contrast" || m.theme == "ansi" {
		cmds = append(cmds, tea.RequestBackgroundColor)
	}
	return tea.Batch(cmds...)
}

// Update implements tea.Model. It routes; the parts do the work.
func (m *Model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	m.dirty = true
	m.rest.note(msg)
	switch msg := msg.(type) {
	case changedMsg:
		return m, tea.Batch(m.refresh(), m.waitChanged(frameTime))
	case tickMsg:
		return m, m.tick()
	case tea.WindowSizeMsg:
		m.e.w, m.e.h = msg.Width, msg.Height
		return m, nil
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
		return m, nil
	case tea.BackgroundColorMsg:
		m.dark = msg.IsDark()
		m.restyle()
		return m, nil
	case tea.FocusMsg:
		m.rest.blurred = false
		return m, m.rest.attend(m.svc.onScreen())
	case tea.BlurMsg:
		m.rest.blurred = true
		return m, m.rest.attend(m.svc.onScreen())
	case tea.ResumeMsg:
		m.log.ahead.held = false
		return m, tea.RequestWindowSize
	case tea.InterruptMsg:
		return m, m.interrupt(func() tea.Cmd { return m.end.leave(engine.EndStop) })
	}
	for _, r := range m.receivers {
		if cmd, ok := r.receive(msg); ok {
			return m, cmd
		}
	}
	m.dirty = false
	return m, nil
}

// refresh takes the latest state.
func (m *Model) refresh() tea.Cmd {
	e := m.e
	before := e.snap.Snapshot
	e.snap, e.now = snapshot{e.backend.Snapshot()}, e.opts.Now()
	if e.status.outdated(e.snap) {
		e.status.clear()
	}
	for _, p := range m.e.panes {
		p.refresh()
	}
	m.tour.refresh()
	m.trust.refresh(m.typer() != nil)
	return tea.Batch(m.notify.alarm(before, m.rest.blurred), m.alerts.refresh(), m.settle())
}

// tick is the clock's step: readings of CPU and memory leave no token.
func (m *Model) tick() tea.Cmd {
	if m.end.stopping || m.e.snap.Drilling || len(m.e.snap.stoppings(m.e.now, 0)) > 0 {
		m.rest.moved = m.e.opts.Now() // seconds count
	}
	cmd := m.refresh()
	m.end.tick()
	return tea.Batch(cmd, m.rest.tick(), m.rest.attend(m.svc.onScreen()))
}

// settle has the panes go by the selection as it is now.
func (m *Model) settle() tea.Cmd {
	cmds := []tea.Cmd{m.links.look()}
	for _, p := range m.e.panes {
		if s, ok := p.pane.(settler); ok {
			cmds = append(cmds, s.settle())
		}
	}
	return tea.Batch(cmds...)
}

// restyle draws everything again in other colours.
func (m *Model) restyle() {
	m.e.st = newStyles(m.theme, m.dark)
	m.e.st.setOwn(m.e.opts.Config.Colors, m.theme)
	for _, p := range m.e.panes {
		p.restyle()
	}
	m.line.restyle()
	m.footer.cache = footerCache{}
}

// pane is the pane of an id.
func (m *Model) pane(id paneID) pane {
	return m.e.panes[m.e.digit(id)-1].pane
}

func (m *Model) focused() pane { return m.pane(m.e.focus) }

// typer is the pane in which text is typed now, nil for none.
func (m *Model) typer() typer {
	_, t := m.typing()
	return t
}

// typing is the pane in which text is typed now, with what takes it.
func (m *Model) typing() (pane, typer) {
	for _, p := range m.e.panes {
		if w, ok := p.pane.(writable); ok {
			if t := w.typer(); t != nil {
				return p.pane, t
			}
		}
	}
	return nil, nil
}

// View implements tea.Model. Bubble Tea asks for it once a message; it draws only when something
// changed, and nothing while a shell has the terminal: a release of it that has to wait writes what
// is new.
func (m *Model) View() tea.View {
	if m.dirty && !m.shell.lent {
		m.content = logs.TerminalText(m.render())
		if m.plain {
			m.content = asciiMarks.Replace(m.content)
		}
		m.content = m.links.lay(m.content)
		if m.end.left && envOf(m.e.opts.Environ, "STY") != "" {
			m.content = "" // without altscreen, GNU screen keeps the last frame
		}
		m.dirty = false
	}
	v := tea.NewView(m.content)
	v.AltScreen, v.ReportFocus, v.Cursor = true, true, m.cursor
	v.WindowTitle, v.ProgressBar = m.notify.title(), m.notify.progress()
	if m.e.opts.Config.Mouse != "off" {
		v.MouseMode = tea.MouseModeCellMotion
	}
	return v
}

var _ tea.Model = (*Model)(nil)
