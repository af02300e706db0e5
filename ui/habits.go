package ui

import (
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"
)

// What people know from other terminal programs.

// goToLogs shows the logs of the selected service alone.
func (m *Model) goToLogs() tea.Cmd {
	m.log.filter.solo = true
	clear(m.svc.sel.marked)
	m.e.focusPane(paneLogs)
	return m.log.win.toEnd()
}

// askAction is a menu of what can be done to the selected services now, each with its own key.
func (m *Model) askAction() tea.Cmd {
	names, _ := m.svc.sel.targets()
	var choices []choice
	for i := range m.e.keys.actions {
		a := &m.e.keys.actions[i]
		if a.group != "services" || a.short == "" || len(a.keys) == 0 || a.name == "actions" ||
			a.name == "filter" || !a.can() {
			continue
		}
		if !a.worksIn(paneServices) {
			continue
		}
		label := a.short
		if a.label != nil {
			label = a.label()
		}
		if slices.ContainsFunc(choices, func(c choice) bool { return c.key == a.keys[0] }) {
			continue
		}
		choices = append(choices, choice{key: a.keys[0], label: label, hint: a.help, run: a.run})
	}
	m.e.over = newMenu(m.e, strings.Join(names, ", "), nil, choices)
	return nil
}

// nextTheme goes on to the next theme until the screen ends; the config file keeps one.
func (m *Model) nextTheme() tea.Cmd {
	c := m.e.opts.Config
	all := c.settings()[0].allowed
	m.theme = all[(slices.Index(all, m.theme)+1)%len(all)]
	m.restyle()
	m.e.status.set("theme: " + m.theme + "; the config file keeps it: bulkhead keys")
	return tea.RequestBackgroundColor
}

// toggleMouse leaves the mouse to the terminal, or takes it back.
func (m *Model) toggleMouse() tea.Cmd {
	if m.e.opts.Config.Mouse == "off" {
		m.e.opts.Config.Mouse = "on"
	} else {
		m.e.opts.Config.Mouse = "off"
	}
	m.e.status.set("mouse: " + m.e.opts.Config.Mouse)
	return nil
}

// suspend hands the terminal to the shell that started bulkhead, until fg.
func suspend() tea.Cmd { return tea.Suspend }
