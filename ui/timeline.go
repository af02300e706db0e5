package ui

import (
	"fmt"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"bulkhead/engine"
	"bulkhead/engine/project"
	"bulkhead/ui/duration"
)

const timelineSpan = 5 * time.Minute

// timeline is the part of a wide screen that shows what each service was when.
type timeline struct {
	e      *env
	svc    *servicesPane
	log    *logPane
	cursor time.Time // the moment that the logs are moved to; zero: none
	cells  int       // of a lane, when it was drawn last
	cache  timelineCache
}

// timelineCache is what was drawn last, and what it was drawn of.
type timelineCache struct {
	seq    uint64
	start  time.Time
	r      rect
	sel    string
	cursor time.Time
	order  order
	focus  bool
	rows   []string
}

// start is the moment of a lane's first cell. It goes on by whole cells, so that lanes stand still in between.
func (t *timeline) start(now time.Time) time.Time {
	cell := timelineSpan / time.Duration(max(t.cells, 1))
	return now.Truncate(cell).Add(cell - timelineSpan)
}

// move moves the cursor by n cells. Beyond the last one there is no cursor.
func (t *timeline) move(n int, now time.Time) {
	cell := timelineSpan / time.Duration(max(t.cells, 1))
	if t.cursor.IsZero() {
		t.cursor = now.Truncate(cell).Add(cell)
	}
	t.cursor = t.cursor.Add(time.Duration(n) * cell)
	if first := t.start(now); t.cursor.Before(first) {
		t.cursor = first
	}
	if t.cursor.After(now) {
		t.cursor = time.Time{}
	}
}

// seen says whether the timeline has a place on the screen.
func (t *timeline) seen() bool { return !t.e.f.timeline.empty() }

// step is the action that moves the cursor by n cells, and the logs to that moment. Past the end the logs follow again.
func (t *timeline) step(n int) func() tea.Cmd {
	return func() tea.Cmd {
		t.move(n, t.e.now)
		if t.cursor.IsZero() {
			t.log.win.toEnd()
			return nil
		}
		t.e.tab = paneLogs
		t.log.showMoment(t.cursor)
		return nil
	}
}

func (t *timeline) restyle() { t.cache = timelineCache{} }

// render draws one lane per service from the records of the last minutes. Where no record says
// anything, and the state of now was entered later, the lane is blank: it shows what is known.
func (t *timeline) render(r rect) []string {
	if r.empty() {
		return nil
	}
	name := t.e.snap.nameWidth(7, 16)
	t.cells = max(r.w-2-name-1-5, 1)
	start := t.start(t.e.now)
	if t.cursor.Before(start) {
		t.cursor = time.Time{} // time has gone on
	}
	key := timelineCache{seq: t.e.snap.Seq, start: start, r: r, sel: t.svc.sel.service,
		cursor: t.cursor, order: t.svc.order, focus: t.e.focus == paneEvents}
	if c := t.cache; c.rows != nil && c.seq == key.seq && c.start.Equal(start) && c.r == r &&
		c.sel == key.sel && c.cursor.Equal(key.cursor) && c.order == key.order && c.focus == key.focus {
		return c.rows
	}
	key.rows = t.draw(r, name, start)
	t.cache = key
	return key.rows
}

func (t *timeline) draw(r rect, name int, start time.Time) []string {
	at := -1
	text := "last 5 min   ━ running  ┄ starting  ▒ unhealthy  ░ down  ╳ died  ‖ paused  ▓ building  K fault  s change"
	if t.e.focus == paneEvents {
		text += "   " + t.e.keyOf("timeline-left") + "/" + t.e.keyOf("timeline-right") + " moves the logs there"
	}
	if !t.cursor.IsZero() {
		at = cellOf(t.cursor, start, t.cells)
		text = fmt.Sprintf("logs at %s, %s ago   %s follows again",
			t.cursor.Local().Format("15:04:05"), duration.Age(t.e.now.Sub(t.cursor)), t.e.keyOf("back"))
	}
	title := t.e.st.bold.s("TIMELINE") + "  " + t.e.st.dim.s(text) + " "
	out := []string{t.e.ruled("─ "+title, r.w)}
	if x := 2 + name + 1 + at; at >= 0 {
		if x < width(title)+2 { // the mark goes before the text
			out[0] = t.e.st.line.s(strings.Repeat("─", max(r.w-width(title)-2, 0))) + " " + title + "─"
		}
		layOver(out, []string{t.e.st.badge.s("▼")}, x, 0, r.w)
	}
	byService := map[string][]*engine.Record{}
	for i := range t.e.snap.Past {
		rec := &t.e.snap.Past[i]
		byService[rec.Service] = append(byService[rec.Service], rec)
	}
	for i := range t.e.snap.Records {
		rec := &t.e.snap.Records[i]
		byService[rec.Service] = append(byService[rec.Service], rec)
	}
	rows := t.svc.rows
	// The lane of the selection is among those that fit.
	for sel := t.svc.last; len(rows) > 0 && sel >= r.h-1 && len(rows) > r.h-1; sel-- {
		rows = rows[1:]
	}
	for _, row := range rows {
		if len(out) >= r.h {
			break
		}
		s := t.e.snap.service(row.service)
		if s == nil || row.replica > 0 {
			continue
		}
		lead := "  "
		if row.service == t.svc.sel.service {
			lead = " >"
		}
		text := lead + t.e.namePaint(s.Name).s(fit(s.Name, name)) + " " + t.lane(s, byService[s.Name],
			start, t.cells, at) + t.e.st.dim.s(" now")
		out = append(out, fit(text, r.w))
	}
	return fill(out, r)
}

// cellOf is the cell of a moment on a lane of w cells.
func cellOf(t, start time.Time, w int) int {
	return int(int64(t.Sub(start)) * int64(w) / int64(timelineSpan))
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
	case engine.StateStopping:
		return '━', toneBusy // it runs until it has ended
	case engine.StateStarting, engine.StateCreated, engine.StateRestarting:
		return '┄', toneBusy
	case engine.StateBuilding:
		return '▓', toneBusy
	case engine.StatePaused:
		return '‖', toneWarn
	case engine.StateCrashing:
		return '╳', toneBad
	case engine.StateExited, engine.StateBroken:
		return '░', toneBad
	}
	return ' ', tonePlain
}

// died says whether a service ended without anybody having asked for it.
func died(r *engine.Record) bool {
	switch r.State {
	case engine.StateExited, engine.StateRestarting, engine.StateCrashing:
		return r.Cause == engine.EndedByItself
	}
	return false
}

// comesBack says whether an end was a step of something that started the service again, such as a
// restart or a rebuild: the next thing that it was has the same cause.
func comesBack(later []*engine.Record, end *engine.Record) bool {
	for _, r := range later {
		if r.Kind == "service" && r.State != engine.StateUnknown {
			return !died(end) && r.Cause == end.Cause && r.State != engine.StateExited
		}
	}
	return false
}

// lane is one service's row of w cells from start on; the cell at cursor stands out.
func (tl *timeline) lane(s *engine.Service, records []*engine.Record, start time.Time, w, cursor int) string {
	cells := make([]laneCell, w)
	col := func(t time.Time) int { return cellOf(t, start, w) }
	paint := func(from, to int, c laneCell) {
		for i := max(from, 0); i < min(to, w); i++ {
			cells[i] = c
		}
	}
	for i := range cells {
		cells[i] = laneCell{' ', tonePlain}
	}
	at, cur := 0, laneCell{' ', tonePlain}
	if !s.Started.IsZero() {
		at, cur = col(s.Started), laneCell{'━', toneGood} // its container runs since then
	}
	health := engine.HealthUnknown
	for i, r := range records {
		if r.Kind != "service" || r.State == engine.StateUnknown {
			continue
		}
		c := col(r.Time)
		paint(at, max(c, at), cur)
		if r.Health != engine.HealthUnknown || r.State != engine.StateRunning {
			health = r.Health // the others are of a change, and say nothing of it
		}
		sign, t := laneSign(r.State, health)
		if r.HasExit && comesBack(records[i+1:], r) {
			sign, t = '┄', toneBusy // it was asked to, and is on its way
		}
		at, cur = c, laneCell{sign, t}
	}
	paint(at, w, cur)
	// What the service is now it has been since Since, whatever records are kept.
	sign, t := laneSign(s.State, s.Health)
	if cells[w-1].sign == ' ' || at <= col(s.Since) {
		paint(min(col(s.Since), w-1), w, laneCell{sign, t})
	}
	for i := range tl.e.snap.Builds {
		if b := &tl.e.snap.Builds[i]; slices.Contains(b.Services, s.Name) && !b.Canceled {
			from := col(b.Began)
			paint(from, max(col(endOrNow(b.Ended, tl.e.now)), from+1), laneCell{'▓', toneBusy})
		}
	}
	for _, r := range records {
		switch {
		case r.Kind == "fault":
			paint(col(r.Time), col(r.Time)+1, laneCell{'K', toneBad})
		case r.HasExit && died(r) && (col(r.Time) >= w || col(r.Time) < 0 || cells[col(r.Time)].sign != 'K'):
			paint(col(r.Time), col(r.Time)+1, laneCell{'╳', toneBad})
		case r.Action == project.Sync.String(), r.Action == project.SyncRestart.String(),
			r.Action == project.SyncExec.String():
			paint(col(r.Time), col(r.Time)+1, laneCell{'s', toneBusy})
		}
	}
	return tl.drawn(cells, cursor)
}

// laneCell is one cell of a lane.
type laneCell struct {
	sign rune
	tone tone
}

// drawn writes cells, each run of one tone at once; the one at cursor stands out.
func (tl *timeline) drawn(cells []laneCell, cursor int) string {
	var b strings.Builder
	for i := 0; i < len(cells); {
		j := i
		var run strings.Builder
		for ; j < len(cells) && cells[j].tone == cells[i].tone && (j == i || i != cursor && j != cursor); j++ {
			run.WriteRune(cells[j].sign)
		}
		if i == cursor {
			b.WriteString(tl.e.st.selected.s(run.String()))
		} else {
			b.WriteString(tl.e.st.tone(cells[i].tone).s(run.String()))
		}
		i = j
	}
	return b.String()
}
