package ui

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"
)

// mutes are the services whose lines are left out where those of all are shown. The log pane owns
// them, the services pane marks them.
type mutes struct {
	e       *env
	names   map[string]bool // they need not exist yet
	targets func() []string // the services that the mute key is about
	hidden  func() bool     // some services were chosen, so that mutes change nothing now
}

func (m *mutes) any() bool { return len(m.names) > 0 }

// can says whether there is a service that the key is about.
func (m *mutes) can() bool { return len(m.targets()) > 0 }

// all says whether the key would unmute.
func (m *mutes) all() bool {
	return !slices.ContainsFunc(m.targets(), func(name string) bool { return !m.names[name] })
}

func (m *mutes) label() string {
	if m.all() {
		return "unmute"
	}
	return "mute"
}

// toggle mutes the services that the key is about, or unmutes them where all are muted.
func (m *mutes) toggle() tea.Cmd {
	names := m.targets()
	who := strings.Join(names, ", ")
	if m.all() {
		for _, name := range names {
			delete(m.names, name)
		}
		m.e.status.set(who + " unmuted")
		return nil
	}
	for _, name := range names {
		m.names[name] = true
	}
	text := fmt.Sprintf("%s muted, %s unmutes", who, m.e.keyOf("unmute-all"))
	if m.hidden() {
		text += "; it shows where all services do"
	}
	m.e.status.set(text)
	return nil
}

func (m *mutes) clear() tea.Cmd {
	m.e.status.set(strings.Join(slices.Sorted(maps.Keys(m.names)), ", ") + " unmuted")
	clear(m.names)
	return nil
}
