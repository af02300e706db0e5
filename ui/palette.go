package ui

import (
	"slices"
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
	label string   // what is matched
	names []string // words that mean it exactly
	key   string
	rank  int // of an empty palette: lower comes first
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
		if a.run == nil || a.group == moving && a.shows == "" || a.name == "palette" || a.name == "back" {
			continue
		}
		logsOnly := slices.Equal(a.where, in(paneLogs))
		if !a.worksIn(e.focus) && !logsOnly || !a.can() {
			continue
		}
		run := a.run
		if logsOnly {
			run = func() tea.Cmd { e.focusPane(paneLogs); return a.run() }
		}
		label := a.words()
		switch { // a word is not said twice
		case strings.HasPrefix(a.help, label):
			label = a.help
		case !strings.HasPrefix(label, a.help):
			label += ": " + a.help
		}
		c := command{label: label, names: append([]string{a.name, a.words()}, a.alias...), key: a.firstKey(), rank: paletteRank(a)}
		c.run = func() tea.Cmd { m.recent.add(a.name); return run() }
		if i := m.recent.index(a.name); i >= 0 {
			c.rank = i - keptRecent
		}
		out = append(out, c)
	}
	was := sel.target
	for i := range e.snap.Services {
		name := e.snap.Services[i].Name
		choose := func() { m.svc.selectName(name) }
		out = append(out, command{label: "go to " + name, names: []string{name}, rank: rankOther, run: func() tea.Cmd {
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
			out = append(out, command{label: verb + " " + name, names: []string{verb + " " + name}, key: a.firstKey(), rank: rankOther + paletteRank(a), run: func() tea.Cmd {
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
		p.shown = slices.Clone(p.all)
		slices.SortStableFunc(p.shown, func(a, b command) int { return a.rank - b.rank })
		return
	}
	p.shown = nil
	matches := fuzzy.FindFrom(q, commands(p.all))
	for class := range matchClasses {
		for i := range p.all {
			if p.all[i].class(q) == class {
				p.shown = append(p.shown, p.all[i])
			}
		}
	}
	for _, m := range matches {
		if p.all[m.Index].class(q) == matchClasses {
			p.shown = append(p.shown, p.all[m.Index])
		}
	}
}

// matchClasses is how many better kinds of a match there are than one by scattered letters.
const matchClasses = 4

// class says how well a query names the command: 0 exactly, 1 it begins one of its names, 2 it begins
// its words, 3 it stands in its words, 4 at best its letters are scattered in it.
func (c *command) class(q string) int {
	q, label := strings.ToLower(q), strings.ToLower(c.label)
	switch {
	case slices.Contains(c.names, q):
		return 0
	case slices.ContainsFunc(c.names, func(n string) bool { return strings.HasPrefix(n, q) }):
		return 1
	case strings.HasPrefix(label, q) || strings.Contains(label, " "+q):
		return 2
	case strings.Contains(label, q):
		return 3
	}
	return matchClasses
}

// rankOther is the rank of what names a service, behind all that does not.
const rankOther = 100

// paletteRank says where an action stands in an empty palette: what only looks first, what takes
// services down last.
func paletteRank(a *action) int {
	switch {
	case slices.Contains([]string{"kill", "signal", "stop-start", "down", "fault", "scale-down", "pause", "quit"}, a.name):
		return 3
	case a.shows != "", a.name == "inspect", a.name == "graph", a.name == "search", a.name == "help", a.name == "echo":
		return 0
	case a.group == "logs", a.group == "screen", a.name == "its-logs", a.name == "filter", a.name == "sort":
		return 1
	}
	return 2
}

// keptRecent is how many actions the palette remembers.
const keptRecent = 5

// recent are the actions that were chosen in the palette, the latest first.
type recent struct{ names []string }

func (r *recent) index(name string) int { return slices.Index(r.names, name) }

func (r *recent) add(name string) {
	r.names = append([]string{name}, slices.DeleteFunc(r.names, func(n string) bool { return n == name })...)
	r.names = r.names[:min(len(r.names), keptRecent)]
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

// hints implements hinter.
func (p *palette) hints() []hint {
	return []hint{{"↑↓", "choose"}, {"enter", "do it"}, {"esc", "close"}}
}

// click implements clicker.
func (p *palette) click(_, y int) (tea.Cmd, bool) {
	if i := p.top + y - 3; y >= 3 && i < len(p.shown) {
		return p.shown[i].run(), true
	}
	return nil, false
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
			row = p.e.st.bar(justify(" > "+c.label, c.key+" ", inner))
		}
		rows = append(rows, row)
	}
	if len(p.shown) == 0 {
		rows = append(rows, p.e.st.dim.s("   no such command"))
	}
	for len(rows) < n+2 {
		rows = append(rows, "")
	}
	return box(&p.e.st, "Commands", rows, inner, h)
}
