package ui

import (
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"bulkhead/engine/logs"
)

// windowPrompt asks for the time that lines are to be of: two moments, typed or picked from the marks and the events.
type windowPrompt struct {
	inputs  [2]input // since, until
	exact   [2]border
	at      int // of inputs
	borders []border
	pick    int // of borders; -1: none
	fault   string
	cx, cy  int // of the cursor, set while drawing
}

// border is a moment that has a name.
type border struct {
	at   time.Time
	text string // as it is written into the box
	what string
}

// windowFields name the inputs.
var windowFields = [2]string{"since", "until"}

func askWindow(m *Model) tea.Cmd {
	p := &windowPrompt{inputs: [2]input{newInput(), newInput()}, pick: -1}
	for i, t := range []time.Time{m.log.since, m.log.until} {
		if !t.IsZero() {
			p.exact[i] = border{at: t, text: borderText(t, m.now)}
			p.inputs[i].set(p.exact[i].text)
		}
	}
	for _, mk := range m.log.marks {
		p.borders = append(p.borders, border{at: mk.at, what: "MARK"})
	}
	for _, e := range m.ev.list(m) {
		p.borders = append(p.borders, border{at: e.time, what: strings.TrimSpace(e.service + "  " + e.what)})
	}
	slices.SortStableFunc(p.borders, func(a, b border) int { return b.at.Compare(a.at) })
	for i := range p.borders {
		p.borders[i].text = borderText(p.borders[i].at, m.now)
	}
	m.over = p
	return nil
}

// borderText writes a moment in a form that logs.Moment reads back, to the second where it is enough for a person.
func borderText(t, now time.Time) string {
	if now.Sub(t) < 0 || now.Sub(t) >= 24*time.Hour {
		return t.Local().Format("2006-01-02T15:04:05")
	}
	return t.Local().Format(time.TimeOnly)
}

// Key implements overlayer.
func (p *windowPrompt) Key(m *Model, k tea.KeyPressMsg) (tea.Cmd, bool) {
	switch k.String() {
	case "esc", "ctrl+c":
		return nil, true
	case "tab", "shift+tab":
		p.at, p.pick = 1-p.at, -1
	case "up":
		p.choose(max(p.pick-1, 0))
	case "down":
		p.choose(min(p.pick+1, len(p.borders)-1))
	case "enter":
		return p.apply(m)
	default:
		p.inputs[p.at].key(k)
		p.fault = ""
	}
	return nil, false
}

// paste takes text from the clipboard.
func (p *windowPrompt) paste(text string) { p.inputs[p.at].insert(text) }

// choose writes a named moment into the box.
func (p *windowPrompt) choose(i int) {
	if i < 0 || i >= len(p.borders) {
		return
	}
	p.pick, p.fault = i, ""
	p.exact[p.at] = p.borders[i]
	p.inputs[p.at].set(p.borders[i].text)
}

// apply takes the window up, or says what is wrong with it.
func (p *windowPrompt) apply(m *Model) (tea.Cmd, bool) {
	var window [2]time.Time
	for i := range p.inputs {
		text := strings.TrimSpace(p.inputs[i].value())
		switch {
		case text == "":
		case text == p.exact[i].text:
			window[i] = p.exact[i].at // to the nanosecond
		default:
			t, err := logs.Moment(text, m.opts.Now())
			if err != nil {
				p.at, p.fault = i, windowFields[i]+": "+err.Error()
				return nil, false
			}
			window[i] = t
		}
	}
	if !window[0].IsZero() && !window[1].IsZero() && !window[0].Before(window[1]) {
		p.fault = "since is not before until"
		return nil, false
	}
	m.log.since, m.log.until = window[0], window[1]
	m.log.refilter()
	m.focusPane(paneLogs)
	return m.settle(), true
}

// Cursor implements overlayer.
func (p *windowPrompt) Cursor() (int, int, bool) { return p.cx, p.cy, true }

// Render implements overlayer.
func (p *windowPrompt) Render(m *Model, w, h int) []string {
	inner := min(w-2, 64)
	var rows []string
	for i := range p.inputs {
		name := fit(windowFields[i], 6)
		if i == p.at {
			name = m.st.titleFocus.s(name)
			p.cx, p.cy = min(2+7+p.inputs[i].cursorCell(), max(w-1, 0)), 1+i
		} else {
			name = m.st.dim.s(name)
		}
		rows = append(rows, " "+name+" "+p.inputs[i].text(inner-9))
	}
	hint := m.st.dim.s("5m  1h30m  15:04  15:04:05  2026-11-23T15:04:05Z")
	if p.fault != "" {
		hint = m.st.fail.s(p.fault)
	}
	rows = append(rows, " "+hint, m.st.line.s(strings.Repeat("─", max(inner, 0))))
	if len(p.borders) == 0 {
		rows = append(rows, m.st.dim.s(" no mark and no event to go by"))
	}
	n := min(len(p.borders), max(min(h-9, 8), 1))
	top := max(min(p.pick-n/2, len(p.borders)-n), 0)
	for i := top; i < top+n; i++ {
		b := &p.borders[i]
		row := fit("   "+clockText(b.at, m.now)+"  "+b.what, inner)
		if i == p.pick {
			row = m.st.selected.over(" > " + row[3:])
		}
		rows = append(rows, row)
	}
	rows = append(rows, m.st.line.s(strings.Repeat("─", max(inner, 0))), m.st.dim.s(" enter shows  tab the other one  ↑ ↓ an event or mark  esc"))
	return box(m, "Lines of a time", rows, inner, h)
}
