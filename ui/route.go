package ui

import (
	"slices"

	tea "charm.land/bubbletea/v2"

	"bulkhead/engine"
)

// Routing of keys, pasted text and the mouse.

// keyPress routes a key: to the overlay, to what text is typed in, or to the focused pane's or the screen's action.
func (m *Model) keyPress(k tea.KeyPressMsg) tea.Cmd {
	e, key := m.e, k.String()
	switch {
	case m.end.left:
		return nil
	case key == "ctrl+c":
		return m.interrupt(m.end.ctrlC)
	case key == "ctrl+z":
		return tea.Sequence(m.log.ahead.hold(), suspend())
	}
	m.log.ahead.held = false
	if o := e.over; o != nil {
		cmd, closed := o.key(k)
		if !closed {
			return cmd
		}
		if e.over == o {
			e.over = nil
		}
		return tea.Batch(cmd, m.settle())
	}
	if t := m.typer(); t != nil {
		return t.key(k)
	}
	e.status.clear()
	if cmd, ok := m.ports.pick(key); ok {
		return cmd
	}
	a := e.keys.find(key, e.focus)
	if a == nil || a.run == nil {
		e.status.set(e.keys.elsewhere(key, e.focus, e.paneIDs()))
		return nil
	}
	if !m.end.allows(a) {
		e.status.set(e.snap.Project + " is being stopped; ctrl+c " + m.end.next())
		return nil
	}
	cmd := a.run()
	return tea.Batch(cmd, m.settle())
}

// interrupt is ctrl+c, or an interrupt from outside: it ends what else is going on, unless the
// project is being stopped already.
func (m *Model) interrupt(stop func() tea.Cmd) tea.Cmd {
	if m.end.stopping {
		return stop()
	}
	if i, ok := m.e.over.(interrupter); !ok || i.interrupt() {
		m.e.over = nil
	}
	if t := m.typer(); t != nil {
		t.cancel()
	}
	m.ports.picking = false
	return stop()
}

// paste routes pasted text to what text is typed in.
func (m *Model) paste(text string) tea.Cmd {
	if m.e.over != nil {
		if p, ok := m.e.over.(paster); ok {
			p.paste(text)
		}
		return nil
	}
	if t := m.typer(); t != nil {
		return t.paste(text)
	}
	return nil
}

func (m *Model) click(at tea.Mouse) tea.Cmd {
	e := m.e
	if at.Button != tea.MouseLeft {
		return nil
	}
	if e.over != nil {
		return m.clickOver(at)
	}
	e.status.clear()
	if e.f.tabs.contains(at.X, at.Y) || e.f.stripRule.contains(at.X, at.Y) {
		if p := m.tabs.at(at.X, at.Y); p != "" {
			e.focusPane(p)
		}
		return nil
	}
	id, r, ok := e.f.at(at.X, at.Y, e.tab)
	if !ok {
		return nil
	}
	e.focus = id
	m.pane(id).click(at.X-r.x, at.Y-r.y)
	return m.settle()
}

// clickOver is a click while something lies over the panes: one outside of it closes it, like esc.
func (m *Model) clickOver(at tea.Mouse) tea.Cmd {
	e, o := m.e, m.e.over
	var cmd tea.Cmd
	closed := false
	switch c, ok := o.(clicker); {
	case !e.overAt.contains(at.X, at.Y):
		cmd, closed = o.key(tea.KeyPressMsg{Code: tea.KeyEscape})
	case ok:
		cmd, closed = c.click(at.X-e.overAt.x, at.Y-e.overAt.y)
	}
	if closed && e.over == o {
		e.over = nil
	}
	return tea.Batch(cmd, m.settle())
}

// wheel scrolls the overlay or the pane under the pointer; the focus stays where it is.
func (m *Model) wheel(at tea.Mouse) tea.Cmd {
	by := 3
	switch at.Button {
	case tea.MouseWheelUp:
		by = -3
	case tea.MouseWheelDown:
	default:
		return nil
	}
	if m.e.over != nil {
		if s, ok := m.e.over.(scroller); ok {
			s.scroll(by)
		}
		return nil
	}
	id, _, ok := m.e.f.at(at.X, at.Y, m.e.tab)
	if !ok {
		return nil
	}
	return m.pane(id).scroll(by)
}

// motion is the pointer moving with its button down.
func (m *Model) motion(at tea.Mouse) tea.Cmd {
	if d, ok := m.pane(m.e.tab).(dragger); ok && m.e.over == nil {
		return d.drag(at.X-m.e.f.main.x, at.Y-m.e.f.main.y)
	}
	return nil
}

// release is the end of a drag, wherever the pointer is by then.
func (m *Model) release() {
	for _, p := range m.e.panes {
		if d, ok := p.pane.(dragger); ok {
			d.drop()
		}
	}
}

// back undoes one thing: first in the focused pane, then marks, the single service and the zoom.
// What is muted stays so: it has a key of its own.
func (m *Model) back() tea.Cmd {
	switch {
	case m.focused().back(), m.svc.back():
	case m.e.focus == paneServices && m.banners.fold():
	case m.log.filter.solo:
		m.log.filter.solo = false
	case m.e.zoom:
		m.e.zoom = false
	case m.banners.fold():
	}
	return nil
}

// cyclePane is the action that focuses the next pane, or the one before.
func (m *Model) cyclePane(by int) func() tea.Cmd {
	return func() tea.Cmd {
		all := m.e.paneIDs()
		i := slices.Index(all, m.e.focus)
		m.e.focusPane(all[(i+by+len(all))%len(all)])
		return nil
	}
}

// cycleTab is the action that goes on to the logs of the next service; from other panes to the next tab.
func (m *Model) cycleTab(by int) func() tea.Cmd {
	return func() tea.Cmd {
		services := m.e.snap.Services
		if m.e.focus != paneLogs || len(services) == 0 {
			tabs := m.e.tabPanes()
			i := slices.Index(tabs, m.e.tab)
			m.e.focusPane(tabs[(i+by+len(tabs))%len(tabs)])
			return nil
		}
		clear(m.svc.sel.marked)
		i := 0 // 0 is all services
		if m.log.filter.solo {
			i = slices.IndexFunc(services, func(s engine.Service) bool {
				return s.Name == m.svc.sel.service
			}) + 1
		}
		i = (i + by + len(services) + 1) % (len(services) + 1)
		m.log.filter.solo = i > 0
		if i > 0 {
			m.svc.selectName(services[i-1].Name)
		}
		return nil
	}
}

// askTimeRange asks for the time that lines are to be of.
func (m *Model) askTimeRange() tea.Cmd {
	m.e.over = newTimeRangePrompt(m.e, m.log, m.ev.list())
	return nil
}
