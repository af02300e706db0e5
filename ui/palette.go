package ui

import (
	"strings"

	tea "charm.land/bubbletea/v2"
	"github.com/sahilm/fuzzy"
)

// palette finds any action, for any service, by some of its letters.
type palette struct {
	e     *env
	input input
	all   []command
	shown []command
	at    int
	top   int
	cx    int
}

// command is one entry of the palette.
type command struct {
	label string // what is matched
	key   string
	run   func() tea.Cmd
}

// newPalette offers commands.
func newPalette(e *env, all []command) *palette {
	p := &palette{e: e, input: newInput(), all: all}
	p.filter()
	return p
}

// openPalette offers all actions that can do something now, for the selection first and then for every service.
func (m *Model) openPalette() tea.Cmd {
	var out []command
	e, sel := m.e, m.svc.sel
	for i := range e.keys.actions {
		a := &e.keys.actions[i]
		if a.run == nil || a.group == "moving" || a.name == "palette" || a.name == "back" {
			continue
		}
		if a.where != paneAny && a.where&e.focus == 0 && a.where != paneLogs || !a.can() {
			continue
		}
		run := a.run
		if a.where == paneLogs {
			run = func() tea.Cmd { e.focusPane(paneLogs); return a.run() }
		}
		out = append(out, command{label: a.words() + ": " + a.help, key: a.firstKey(), run: run})
	}
	was := sel.target
	for i := range e.snap.Services {
		name := e.snap.Services[i].Name
		choose := func() { m.svc.selectName(name) }
		out = append(out, command{label: "go to " + name, run: func() tea.Cmd {
			choose()
			e.focusPane(paneServices)
			return nil
		}})
		sel.target = target{service: name} // what an action can do depends on the selection
		for j := range e.keys.actions {
			a := &e.keys.actions[j]
			if !a.each || sel.marking() || !a.can() {
				continue
			}
			verb := a.words()
			if a.label != nil {
				verb = a.label()
			}
			out = append(out, command{label: verb + " " + name, key: a.firstKey(), run: func() tea.Cmd {
				choose()
				return a.run()
			}})
		}
	}
	sel.target = was
	e.over = newPalette(e, out)
	return nil
}

// filter ranks the commands by how well they match what is typed.
func (p *palette) filter() {
	p.at, p.top = 0, 0
	q := strings.TrimSpace(p.input.value())
	if q == "" {
		p.shown = p.all
		return
	}
	p.shown = nil
	for _, m := range fuzzy.FindFrom(q, commands(p.all)) {
		p.shown = append(p.shown, p.all[m.Index])
	}
}

// commands implements fuzzy.Source.
type commands []command

func (c commands) Len() int            { return len(c) }
func (c commands) String(i int) string { return c[i].label }

// key implements overlay.
func (p *palette) key(k tea.KeyPressMsg) (tea.Cmd, bool) {
	switch k.String() {
	case "esc", "ctrl+p":
		return nil, true
	case "up", "ctrl+k", "shift+tab":
		p.at = max(p.at-1, 0)
		return nil, false
	case "down", "ctrl+j", "tab", "ctrl+n":
		p.at = max(min(p.at+1, len(p.shown)-1), 0)
		return nil, false
	case "enter":
		if p.at >= len(p.shown) {
			return nil, false
		}
		return p.shown[p.at].run(), true
	}
	before := p.input.value()
	p.input.key(k)
	if p.input.value() != before {
		p.filter()
	}
	return nil, false
}

// paste implements paster.
func (p *palette) paste(text string) {
	p.input.insert(oneLine(text))
	p.filter()
}

// cursor implements overlay.
func (p *palette) cursor() (int, int, bool) { return p.cx, 1, true }

// render implements overlay.
func (p *palette) render(w, h int) []string {
	inner := min(w-2, 76)
	n := min(max(h-6, 1), 14)
	p.top = min(max(p.top, p.at-n+1), p.at)
	rows := []string{" > " + p.input.text(inner-4), p.e.st.line.s(strings.Repeat("─", max(inner, 0)))}
	p.cx = min(4+p.input.cursorCell(), max(w-1, 0))
	for i := p.top; i < min(p.top+n, len(p.shown)); i++ {
		c := &p.shown[i]
		row := justify("   "+c.label, p.e.st.dim.s(c.key)+" ", inner)
		if i == p.at {
			row = p.e.st.selected.over(justify(" > "+c.label, c.key+" ", inner))
		}
		rows = append(rows, row)
	}
	if len(p.shown) == 0 {
		rows = append(rows, p.e.st.dim.s("   nothing by that name"))
	}
	for len(rows) < n+2 {
		rows = append(rows, "")
	}
	return box(&p.e.st, "Commands", rows, inner, h)
}
