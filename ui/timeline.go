package ui

import (
	"strings"
	"time"

	"bulkhead/engine"
)

const timelineSpan = 5 * time.Minute

// timeline draws one lane per service from the records of the last minutes. Where no record says anything, and the
// state of now was entered later, the lane is blank: it shows what is known.
func (m *Model) timeline(r rect) []string {
	if r.empty() {
		return nil
	}
	name := 7
	for i := range m.snap.Services {
		name = min(max(name, width(m.snap.Services[i].Name)), 16)
	}
	w := max(r.w-2-name-1-5, 1)
	legend := "last 5 min   ━ running  ┄ starting  ▒ unhealthy  ░ down  ‖ paused  ▓ building  K fault  s change"
	out := []string{m.ruled("─ "+m.st.bold.s("TIMELINE")+"  "+m.st.dim.s(legend)+" ", r.w)}
	byService := map[string][]*engine.Record{}
	for i := range m.snap.Records {
		rec := &m.snap.Records[i]
		byService[rec.Service] = append(byService[rec.Service], rec)
	}
	for _, t := range m.svc.rows {
		if len(out) >= r.h {
			break
		}
		s := m.service(t.service)
		if s == nil || t.replica > 0 {
			continue
		}
		lead := "  "
		if t.service == m.svc.sel.service {
			lead = " >"
		}
		row := lead + m.st.names[hue(s.Name, len(m.st.names))].s(fit(s.Name, name)) + " " + m.lane(s, byService[s.Name], w) + m.st.dim.s(" now")
		out = append(out, fit(row, r.w))
	}
	return fill(out, r)
}

// laneSign is how a lane shows a state.
func laneSign(s engine.State, h engine.Health) (rune, tone) {
	switch s {
	case engine.StateRunning:
		switch h {
		case engine.Unhealthy:
			return '▒', toneWarn
		case engine.HealthStarting:
			return '┄', toneBusy
		}
		return '━', toneGood
	case engine.StateStarting, engine.StateCreated, engine.StateRestarting, engine.StateStopping:
		return '┄', toneBusy
	case engine.StateBuilding:
		return '▓', toneBusy
	case engine.StatePaused:
		return '‖', toneWarn
	case engine.StateExited, engine.StateBroken:
		return '░', toneBad
	}
	return ' ', tonePlain
}

// lane is one service's row of w cells.
func (m *Model) lane(s *engine.Service, records []*engine.Record, w int) string {
	type cell struct {
		sign rune
		tone tone
	}
	cells := make([]cell, w)
	start := m.now.Add(-timelineSpan)
	col := func(t time.Time) int { return int(int64(t.Sub(start)) * int64(w) / int64(timelineSpan)) }
	paint := func(from, to int, c cell) {
		for i := max(from, 0); i < min(to, w); i++ {
			cells[i] = c
		}
	}
	for i := range cells {
		cells[i] = cell{' ', tonePlain}
	}
	at, cur := 0, cell{' ', tonePlain}
	if !s.Started.IsZero() {
		at, cur = col(s.Started), cell{'━', toneGood} // its container runs since then
	}
	for _, r := range records {
		if r.Kind != "service" || r.State == engine.StateUnknown {
			continue
		}
		c := col(r.Time)
		paint(at, max(c, at), cur)
		sign, t := laneSign(r.State, r.Health)
		at, cur = c, cell{sign, t}
	}
	paint(at, w, cur)
	// What the service is now it has been since Since, whatever records are kept.
	sign, t := laneSign(s.State, s.Health)
	if cells[w-1].sign == ' ' || at <= col(s.Since) {
		paint(min(col(s.Since), w-1), w, cell{sign, t})
	}
	for _, r := range records {
		switch {
		case r.Kind == "fault":
			paint(col(r.Time), col(r.Time)+1, cell{'K', toneBad})
		case r.Action != "" && r.Kind != "build" && strings.HasPrefix(r.Action, "sync"):
			paint(col(r.Time), col(r.Time)+1, cell{'s', toneBusy})
		}
	}
	var b strings.Builder
	for i := 0; i < w; {
		j := i
		var run strings.Builder
		for ; j < w && cells[j].tone == cells[i].tone; j++ {
			run.WriteRune(cells[j].sign)
		}
		b.WriteString(m.paintOf(cells[i].tone).s(run.String()))
		i = j
	}
	return b.String()
}
