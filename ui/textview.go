package ui

import (
	"fmt"
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"

	"charm.land/bubbles/v2/key"

	"bulkhead/engine"
)

// textView is a scrollable text over the panes: help, inspect, the dependency graph. Its lines are made anew for every drawing, so
// that what it shows stays true.
type textView struct {
	title string
	lines func(m *Model, w int) []string
	close []string // keys that close it, beside esc and q
	top   int
	page  int
}

func (t *textView) scroll(n int) { t.top += n }

// Key implements overlayer.
func (t *textView) Key(m *Model, k tea.KeyPressMsg) (tea.Cmd, bool) {
	switch s := k.String(); s {
	case "esc", "q", "enter":
		return nil, true
	case "j", "down":
		t.top++
	case "k", "up":
		t.top--
	case "ctrl+d", "pgdown", "space":
		t.top += max(t.page-1, 1)
	case "ctrl+u", "pgup":
		t.top -= max(t.page-1, 1)
	case "g", "home":
		t.top = 0
	case "G", "end":
		t.top = farAway
	default:
		if slices.Contains(t.close, s) {
			return nil, true
		}
	}
	return nil, false
}

// Cursor implements overlayer.
func (t *textView) Cursor() (int, int, bool) { return 0, 0, false }

// Render implements overlayer.
func (t *textView) Render(m *Model, w, h int) []string {
	inner := min(w-2, 120)
	lines := t.lines(m, inner-2)
	t.page = max(h-4, 1)
	t.top = max(min(t.top, len(lines)-t.page), 0)
	rows := make([]string, 0, t.page)
	for _, l := range lines[t.top:min(t.top+t.page, len(lines))] {
		rows = append(rows, " "+fit(l, inner-2)+" ")
	}
	title := t.title
	if len(lines) > t.page {
		title += fmt.Sprintf(" · %d-%d of %d", t.top+1, min(t.top+t.page, len(lines)), len(lines))
	}
	return box(m, title+" · esc closes", rows, inner, h)
}

// openHelp shows all keys, made from the key map.
func openHelp(m *Model) tea.Cmd {
	m.over = &textView{title: "Keys", lines: helpLines, close: []string{"?"}}
	return nil
}

func helpLines(m *Model, w int) []string {
	var groups []string
	byGroup := map[string][]key.Binding{}
	for i := range m.keys.actions {
		a := &m.keys.actions[i]
		if len(a.keys) == 0 {
			continue
		}
		if !slices.Contains(groups, a.group) {
			groups = append(groups, a.group)
		}
		byGroup[a.group] = append(byGroup[a.group], a.key)
	}
	var out []string
	for _, g := range groups {
		out = append(out, m.st.titleFocus.s(strings.ToUpper(g)))
		half := (len(byGroup[g]) + 1) / 2
		colW := w / 2
		if w < 100 {
			half, colW = len(byGroup[g]), w
		}
		lines := func(b key.Binding) []string {
			text := wrapped(b.Help().Desc, colW-13)
			rows := []string{fit("  "+m.st.key.s(fit(b.Help().Key, 9))+" "+text[0], colW)}
			for _, more := range text[1:] {
				rows = append(rows, fit(spaces(12)+more, colW))
			}
			return rows
		}
		for i := range half {
			rows := lines(byGroup[g][i])
			if i+half < len(byGroup[g]) && colW < w {
				beside := lines(byGroup[g][i+half])
				for len(rows) < len(beside) {
					rows = append(rows, spaces(colW))
				}
				for j := range beside {
					rows[j] += beside[j]
				}
			}
			out = append(out, rows...)
		}
		out = append(out, "")
	}
	for _, note := range []string{"Keys belong to the focused pane: w, p, left and right mean something else among the logs.",
		"ctrl+c twice stops the project and quits. Mouse: click selects, dragging selects log lines, the wheel scrolls the pane under it; " +
			"shift+drag is the terminal's own selection (option+drag in iTerm).",
		"bulkhead keys prints this map in the form of the config file.", m.opts.Version} {
		for _, row := range wrapped(note, w) {
			out = append(out, m.st.dim.s(row))
		}
	}
	return out
}

// openGraph shows who needs whom.
func openGraph(m *Model) tea.Cmd {
	m.over = &textView{title: "Dependencies", close: []string{m.keyOf("graph")}, lines: func(m *Model, w int) []string {
		out := append([]string{m.st.dim.s("a service stands above what it needs"), ""}, m.graphLines()...)
		out = append(out, "")
		for _, row := range wrapped("● running  ◐ unhealthy  ◌ starting  ⟳ building  ‖ paused  ✗ down  ✓ done  (+) drawn above", w) {
			out = append(out, m.st.dim.s(row))
		}
		return out
	}}
	return nil
}

// graphLines draws the dependencies as trees, with states. What was drawn with its own needs before is only named.
func (m *Model) graphLines() []string {
	needed := map[string]bool{}
	for i := range m.snap.Services {
		for _, d := range m.snap.Services[i].DependsOn {
			needed[d] = true
		}
	}
	var out []string
	drawn := map[string]bool{}
	var draw func(name, lead, branch, below string)
	draw = func(name, lead, branch, below string) {
		s := m.service(name)
		text := lead + branch
		if s == nil {
			out = append(out, text+m.st.dim.s(name+" (not enabled)"))
			return
		}
		sign, t := stateSign(s.State, s.Health, s.ExitCode, s.ByHand)
		label := s.Name
		if name == m.svc.sel.service {
			label = m.st.bold.s(label)
		}
		text += m.paintOf(t).s(sign) + " " + label
		if s.State != engine.StateRunning || s.Health == engine.Unhealthy {
			word := stateText(s)
			if s.State == engine.StateRunning {
				word = s.Health.String()
			}
			text += m.st.dim.s(" " + word)
		}
		if drawn[name] && len(s.DependsOn) > 0 {
			out = append(out, text+m.st.dim.s(" (+)"))
			return
		}
		drawn[name] = true
		out = append(out, text)
		for i, d := range s.DependsOn {
			if i == len(s.DependsOn)-1 {
				draw(d, lead+below, "└─ ", "   ")
			} else {
				draw(d, lead+below, "├─ ", "│  ")
			}
		}
	}
	for i := range m.snap.Services {
		if name := m.snap.Services[i].Name; !needed[name] {
			draw(name, "", "", "")
		}
	}
	return out
}
