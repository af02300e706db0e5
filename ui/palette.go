package ui

import (
	"slices"
	"strings"
	"unicode"

	tea "charm.land/bubbletea/v2"
)

// palette finds any action, for any service, by some of its letters.
type palette struct {
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
	run   func(*Model) tea.Cmd
	score int
}

func openPalette(m *Model) tea.Cmd {
	p := &palette{input: newInput(), all: m.commands()}
	p.filter()
	m.over = p
	return nil
}

// commands are all actions that can do something now, for the selection first and then for every service.
func (m *Model) commands() []command {
	var out []command
	for i := range m.keys.actions {
		a := &m.keys.actions[i]
		if a.run == nil || a.group == "moving" || a.name == "palette" || a.name == "back" {
			continue
		}
		if a.where != paneAny && a.where&m.focus == 0 && a.where != paneLogs || a.ok != nil && !a.ok(m) {
			continue
		}
		label := a.name
		if a.help != "" {
			label = strings.ReplaceAll(a.name, "-", " ") + ": " + a.help
		}
		run := a.run
		if a.where == paneLogs {
			run = func(m *Model) tea.Cmd { m.focusPane(paneLogs); return a.run(m) }
		}
		out = append(out, command{label: label, key: a.firstKey(), run: run})
	}
	for _, s := range m.snap.Services {
		was := m.svc.sel
		name := s.Name
		out = append(out, command{label: "go to " + name, run: func(m *Model) tea.Cmd {
			m.svc.selectName(name)
			m.focusPane(paneServices)
			return nil
		}})
		m.svc.sel = target{service: name} // what an action can do depends on the selection
		for i := range m.keys.actions {
			a := &m.keys.actions[i]
			if !a.each || m.svc.marking() || a.ok != nil && !a.ok(m) {
				continue
			}
			verb := strings.ReplaceAll(a.name, "-", " ")
			if a.label != nil {
				verb = a.label(m)
			}
			out = append(out, command{label: verb + " " + name, key: a.firstKey(), run: func(m *Model) tea.Cmd {
				m.svc.selectName(name)
				return a.run(m)
			}})
		}
		m.svc.sel = was
	}
	return out
}

// filter ranks the commands by how well they match what is typed.
func (p *palette) filter() {
	q := strings.ToLower(p.input.value())
	p.shown = p.shown[:0]
	for _, c := range p.all {
		if n, ok := fuzzy(q, c.label); ok {
			c.score = n
			p.shown = append(p.shown, c)
		}
	}
	slices.SortStableFunc(p.shown, func(a, b command) int { return b.score - a.score })
	p.at, p.top = 0, 0
}

// fuzzy says whether the letters of q come in text in their order, and how well: letters in a row and at the start of words count
// more, long texts less.
func fuzzy(q, text string) (score int, ok bool) {
	runes := []rune(strings.ToLower(text))
	i, run := 0, 0
	for _, want := range q {
		if want == ' ' {
			run = 0
			continue
		}
		for ; i < len(runes) && runes[i] != want; i++ {
			run = 0
		}
		if i == len(runes) {
			return 0, false
		}
		run++
		score += 2 * run
		if i == 0 || !unicode.IsLetter(runes[i-1]) {
			score += 8
		}
		i++
	}
	if q != "" && strings.Contains(strings.ToLower(text), q) {
		score += 20
	}
	return score*4 - len(runes)/2, true
}

// Key implements overlayer.
func (p *palette) Key(m *Model, k tea.KeyPressMsg) (tea.Cmd, bool) {
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
		run := p.shown[p.at].run
		m.over = nil // before run, which may open another layer
		cmd := tea.Batch(run(m), m.settle())
		return cmd, m.over == nil
	}
	before := p.input.value()
	p.input.key(k)
	if p.input.value() != before {
		p.filter()
	}
	return nil, false
}

// Cursor implements overlayer.
func (p *palette) Cursor() (int, int, bool) { return p.cx, 1, true }

// Render implements overlayer.
func (p *palette) Render(m *Model, w, h int) []string {
	inner := min(w-2, 76)
	n := min(max(h-6, 1), 14)
	p.top = min(max(p.top, p.at-n+1), p.at)
	rows := []string{" > " + p.input.text(inner-4), m.st.line.s(strings.Repeat("─", max(inner, 0)))}
	p.cx = min(4+p.input.cursorCell(), max(w-1, 0))
	for i := p.top; i < min(p.top+n, len(p.shown)); i++ {
		c := &p.shown[i]
		row := ends("   "+c.label, m.st.dim.s(c.key)+" ", inner)
		if i == p.at {
			row = m.st.selected.over(ends(" > "+c.label, c.key+" ", inner))
		}
		rows = append(rows, row)
	}
	if len(p.shown) == 0 {
		rows = append(rows, m.st.dim.s("   nothing by that name"))
	}
	for len(rows) < n+2 {
		rows = append(rows, "")
	}
	return box(m, "Commands", rows, inner, h)
}
