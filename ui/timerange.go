package ui

import (
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"bulkhead/engine/logs"
)

// timeRangePrompt asks for the time that lines are to be of: two moments, typed or picked from the
// marks and the events.
type timeRangePrompt struct {
	e       *env
	log     *logPane
	inputs  [2]input // since, until
	exact   [2]moment
	at      int // of inputs
	moments []moment
	pick    int // of moments; -1: none
	fault   string
	cx, cy  int // of the cursor, set while drawing
}

// moment is a moment that has a name.
type moment struct {
	at   time.Time
	text string // as it is written into the box
	what string
}

// timeRangeFields name the inputs.
var timeRangeFields = [2]string{"since", "until"}

func newTimeRangePrompt(e *env, log *logPane, events []event) *timeRangePrompt {
	p := &timeRangePrompt{e: e, log: log, inputs: [2]input{newInput(), newInput()}, pick: -1}
	for i, t := range []time.Time{log.filter.since, log.filter.until} {
		if !t.IsZero() {
			p.exact[i] = moment{at: t, text: momentText(t, e.now)}
			p.inputs[i].set(p.exact[i].text)
		}
	}
	for _, mk := range log.marks.byLine {
		p.moments = append(p.moments, moment{at: mk.at, what: "MARK"})
	}
	for _, ev := range events {
		p.moments = append(p.moments,
			moment{at: ev.time, what: strings.TrimSpace(target{service: ev.service,
				replica: ev.replica}.String() + "  " + ev.what)})
	}
	slices.SortStableFunc(p.moments, func(a, b moment) int { return b.at.Compare(a.at) })
	for i := range p.moments {
		p.moments[i].text = momentText(p.moments[i].at, e.now)
	}
	return p
}

// momentText writes a moment in a form that logs.Moment reads back, to the second where it is enough for a person.
func momentText(t, now time.Time) string {
	if now.Sub(t) < 0 || now.Sub(t) >= 24*time.Hour {
		return t.Local().Format("2006-01-02T15:04:05")
	}
	return t.Local().Format(time.TimeOnly)
}

// key implements overlay.
func (p *timeRangePrompt) key(k tea.KeyPressMsg) (tea.Cmd, bool) {
	switch k.String() {
	case "esc", "ctrl+c":
		return nil, true
	case "tab", "shift+tab":
		p.at, p.pick = 1-p.at, -1
	case "up":
		p.choose(max(p.pick-1, 0))
	case "down":
		p.choose(min(p.pick+1, len(p.moments)-1))
	case "enter":
		return p.apply()
	default:
		p.inputs[p.at].key(k)
		p.fault = ""
	}
	return nil, false
}

// paste implements paster.
func (p *timeRangePrompt) paste(text string) { p.inputs[p.at].insert(oneLine(text)) }

// choose writes a named moment into the box.
func (p *timeRangePrompt) choose(i int) {
	if i < 0 || i >= len(p.moments) {
		return
	}
	p.pick, p.fault = i, ""
	p.exact[p.at] = p.moments[i]
	p.inputs[p.at].set(p.moments[i].text)
}

// apply takes the times up, or says what is wrong with it.
func (p *timeRangePrompt) apply() (tea.Cmd, bool) {
	var times [2]time.Time
	for i := range p.inputs {
		text := strings.TrimSpace(p.inputs[i].value())
		switch {
		case text == "":
		case text == p.exact[i].text:
			times[i] = p.exact[i].at // to the nanosecond
		default:
			t, err := logs.Moment(text, p.e.opts.Now())
			if err != nil {
				p.at, p.fault = i, timeRangeFields[i]+": "+err.Error()
				return nil, false
			}
			times[i] = t
		}
	}
	if !times[0].IsZero() && !times[1].IsZero() && !times[0].Before(times[1]) {
		p.fault = "since is not before until"
		return nil, false
	}
	p.log.filter.since, p.log.filter.until = times[0], times[1]
	p.log.filter.apply()
	p.e.focusPane(paneLogs)
	return nil, true
}

// hints implements hinter.
func (p *timeRangePrompt) hints() []hint {
	return []hint{{"enter", "show"}, {"tab", "the other one"}, {"↑↓", "an event or mark"}, {"esc", "cancel"}}
}

// cursor implements overlay.
func (p *timeRangePrompt) cursor() (int, int, bool) { return p.cx, p.cy, true }

// render implements overlay.
func (p *timeRangePrompt) render(w, h int) []string {
	inner := min(w-2, 64)
	var rows []string
	for i := range p.inputs {
		name := fit(timeRangeFields[i], 6)
		if i == p.at {
			name = p.e.st.titleFocus.s(name)
			p.cx, p.cy = min(2+7+p.inputs[i].cursorCell(), max(w-1, 0)), 1+i
		} else {
			name = p.e.st.dim.s(name)
		}
		rows = append(rows, " "+name+" "+p.inputs[i].text(inner-9))
	}
	hint := p.e.st.dim.s("5m  1h30m  15:04  15:04:05  2026-11-23T15:04:05Z")
	if p.fault != "" {
		hint = p.e.st.fail.s(p.fault)
	}
	rows = append(rows, " "+hint, p.e.st.line.s(strings.Repeat("─", max(inner, 0))))
	if len(p.moments) == 0 {
		rows = append(rows, p.e.st.dim.s(" no mark and no event to go by"))
	}
	n := min(len(p.moments), max(min(h-9, 8), 1))
	top := max(min(p.pick-n/2, len(p.moments)-n), 0)
	for i := top; i < top+n; i++ {
		b := &p.moments[i]
		row := fit("   "+clockText(b.at, p.e.now)+"  "+b.what, inner)
		if i == p.pick {
			row = p.e.st.bar(" > " + row[3:])
		}
		rows = append(rows, row)
	}
	rows = append(rows, p.e.st.line.s(strings.Repeat("─", max(inner, 0))),
		p.e.st.dim.s(" enter shows  tab the other one  ↑ ↓ an event or mark  esc"))
	return box(&p.e.st, "Time range", rows, inner, h)
}
