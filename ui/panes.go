package ui

import (
	"slices"
	"strconv"

	tea "charm.land/bubbletea/v2"
)

// paneID names a pane, on the screen too; the constants stand with the panes' types.
type paneID string

// paneLine is a pane with the words that lead to it in the palette.
type paneLine struct {
	pane
	alias  []string
	action string // that shows it; "" where it has the pane's own name
}

// paneTable has the panes in the order of their digits. A pane is a file of its own, with its id and
// its keys, and a line here.
func (m *Model) paneTable(clip *clipboard) []paneLine {
	return []paneLine{
		{pane: m.svc, alias: []string{"svc", "service"}},
		{pane: m.log, alias: []string{"log"}},
		{pane: m.ev, alias: []string{"event", "ev"}},
		{pane: m.built, alias: []string{"build"}},
		{pane: &ledgerPane{e: m.e, clip: clip}, alias: []string{"blast"}},
		{pane: m.drill, action: "drill-pane"},
	}
}

// paneActions are the keys that some panes have as their own matter, and those that show a pane.
func (m *Model) paneActions() (own, show []action) {
	for i, p := range m.e.panes {
		if k, ok := p.pane.(keyer); ok {
			own = append(own, k.actions()...)
		}
		a := action{name: p.action, alias: p.alias, keys: []string{strconv.Itoa(i + 1)},
			help: string(p.id()), group: moving, shows: p.id()}
		if a.name == "" {
			a.name = string(p.id())
		}
		a.run = func() tea.Cmd { m.e.focusPane(p.id()); return nil }
		show = append(show, a)
	}
	return own, show
}

// paneIDs lists the panes for tab and the digits.
func (e *env) paneIDs() []paneID {
	ids := make([]paneID, len(e.panes))
	for i, p := range e.panes {
		ids[i] = p.id()
	}
	return ids
}

// digit is the number that a pane goes by, 0 for what is no pane.
func (e *env) digit(id paneID) int {
	return slices.IndexFunc(e.panes, func(p paneLine) bool { return p.id() == id }) + 1
}

// tabPanes are the panes that the rule above main names, in order: on a wide or a high screen not
// those that have a place of their own.
func (e *env) tabPanes() []paneID {
	ids := e.paneIDs()
	if e.f.wide || e.f.strip && !e.f.one {
		return slices.DeleteFunc(ids, func(p paneID) bool { return p == paneServices || p == paneEvents })
	}
	return ids
}
