package ui

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"bulkhead/engine"
)

// eventsPane lists what happened with its causes, the newest first.
type eventsPane struct {
	at    int    // row of the cursor; 0 is the newest
	seq   uint64 // of the record under the cursor; 0: stays on the newest
	top   int
	free  bool
	h     int
	cache eventsCache
}

type eventsCache struct {
	seq    uint64
	notes  int
	events []event
}

// event is one line of the pane.
type event struct {
	seq     uint64
	time    time.Time
	service string
	what    string
	cause   string
	tone    tone
}

// list gives the events, newest first.
func (p *eventsPane) list(m *Model) []event {
	if p.cache.events != nil && p.cache.seq == m.snap.Seq && p.cache.notes == len(m.notes) {
		return p.cache.events
	}
	out := make([]event, 0, len(m.snap.Records)+len(m.notes))
	for i := range m.snap.Records {
		r := &m.snap.Records[i]
		e := event{seq: r.Seq, time: r.Time, service: r.Service, what: recordText(*r), cause: r.Cause, tone: recordTone(r)}
		if r.Replica > 1 || r.Replica == 1 && m.replicas(r.Service) > 1 {
			e.service = fmt.Sprintf("%s/%d", r.Service, r.Replica)
		}
		if r.Likely != nil {
			e.cause = "likely cause: " + r.Likely.String()
		}
		if len(r.Paths) > 0 && !strings.Contains(e.cause, baseName(r.Paths[0])) {
			e.cause = strings.TrimSpace(e.cause + " " + pathsText(r.Paths))
		}
		out = append(out, e)
	}
	for _, n := range m.notes {
		out = append(out, event{time: n.at, what: n.text, tone: toneBad})
	}
	slices.SortStableFunc(out, func(a, b event) int { return a.time.Compare(b.time) })
	slices.Reverse(out)
	p.cache = eventsCache{seq: m.snap.Seq, notes: len(m.notes), events: out}
	return out
}

func (m *Model) replicas(name string) int {
	if s := m.service(name); s != nil {
		return max(s.Wanted, len(s.Replicas))
	}
	return 0
}

func baseName(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }

// pathsText names the first path and how many more there are.
func pathsText(paths []string) string {
	if len(paths) == 0 {
		return ""
	}
	if len(paths) == 1 {
		return baseName(paths[0])
	}
	return fmt.Sprintf("%s and %d more", baseName(paths[0]), len(paths)-1)
}

// recordText says in a few words what a record is about; its cause stands elsewhere.
func recordText(r engine.Record) string {
	if r.Kind == "plan" && (r.Text == "" || r.Text[0] == '#') { // that of a batch is one line of words
		return fmt.Sprintf("plan of %s", plural(strings.Count(r.Text, "\n#")+strings.Count(r.Text[:min(len(r.Text), 1)], "#"), "step"))
	}
	if r.Text != "" {
		text := strings.TrimPrefix(oneLine(r.Text), r.Service+": ")
		if r.Likely != nil {
			text = strings.TrimSuffix(text, "; likely cause: "+r.Likely.String())
		}
		if r.Cause != "" {
			text = strings.TrimSuffix(text, " ("+oneLine(r.Cause)+")")
		}
		return strings.Replace(text, "starting, starting", "starting", 1) // state and health say the same
	}
	if r.Err != "" {
		return oneLine(strings.TrimSpace(r.Action + " failed: " + r.Err))
	}
	switch r.Kind {
	case "service":
		text := r.State.String()
		if r.HasExit {
			text = fmt.Sprintf("%s %d", text, r.ExitCode)
		}
		if r.Health == engine.Healthy || r.Health == engine.Unhealthy {
			text += ", " + r.Health.String()
		}
		return text
	case "ledger":
		if r.Ledger != nil {
			return ledgerLine(r.Ledger)
		}
	}
	text := r.Kind
	if r.Action != "" {
		text = r.Action
	}
	if r.Notice != "" {
		text = r.Notice
	}
	for _, s := range r.Stages {
		if s.Name == "total" || s.Name == "ready" {
			text += " " + took(s.Took)
			break
		}
	}
	return text
}

// shownCause is how long the line about a likely cause stays.
const shownCause = 30 * time.Second

// causeLine tells of the latest trouble that has a likely cause, while it is fresh and lasts: "gateway unhealthy 2.3 s after orders was
// killed". Who needs whom is left out where it does not fit into w cells.
func (m *Model) causeLine(w int) string {
	for _, r := range slices.Backward(m.snap.Records) {
		if m.now.Sub(r.Time) > shownCause {
			break
		}
		s := m.service(r.Service)
		if s == nil || r.Likely == nil {
			continue
		}
		sign := "healthy again"
		switch {
		case r.HasExit:
			sign = fmt.Sprintf("died (exit code %d)", r.ExitCode)
		case r.Health == engine.Unhealthy:
			sign = r.Health.String()
		}
		if r.HasExit && s.State == engine.StateRunning || r.Health == engine.Unhealthy && s.Health != engine.Unhealthy {
			return "" // it is over
		}
		text := fmt.Sprintf("%s %s %.1f s after %s %s", r.Service, sign, r.Likely.Before.Seconds(), r.Likely.Service, r.Likely.What)
		if full := text + " (likely cause: " + strings.Join(r.Likely.Path, " needs ") + ")"; width(full) <= w {
			return full
		}
		return text + " (likely)"
	}
	return ""
}

func recordTone(r *engine.Record) tone {
	switch {
	case r.Err != "" || r.State == engine.StateBroken || r.HasExit && r.ExitCode != 0:
		return toneBad
	case r.Kind == "fault" || r.Health == engine.Unhealthy || r.State == engine.StatePaused:
		return toneWarn
	case r.State == engine.StateRunning || r.Health == engine.Healthy || r.Notice == "ready":
		return toneGood
	case r.Kind == "build" || r.State == engine.StateBuilding || r.State == engine.StateStarting:
		return toneBusy
	}
	return tonePlain
}

func (p *eventsPane) move(n int) {
	p.at = max(p.at+n, 0)
	p.free = false
	p.seq = 0 // Render looks up what is under the cursor now
}

func (p *eventsPane) scroll(n int) { p.top, p.free = p.top+n, true }

func (p *eventsPane) clickRow(i int) { p.at, p.seq, p.free = max(p.top+i, 0), 0, false }

// chosen is the moment and the service of the event under the cursor.
func (p *eventsPane) chosen(m *Model) (time.Time, string, bool) {
	all := p.list(m)
	if p.at >= len(all) {
		return time.Time{}, "", false
	}
	name, _, _ := strings.Cut(all[p.at].service, "/")
	return all[p.at].time, name, true
}

// Render draws the pane into r.
func (p *eventsPane) Render(m *Model, r rect) []string {
	if r.empty() {
		return nil
	}
	all := p.list(m)
	p.h = r.h
	if p.seq != 0 && p.at > 0 {
		if i := slices.IndexFunc(all, func(e event) bool { return e.seq == p.seq }); i >= 0 {
			p.at = i // newer events came in above
		}
	}
	p.at = max(min(p.at, len(all)-1), 0)
	if p.at < len(all) {
		p.seq = all[p.at].seq
	}
	if !p.free {
		p.top = min(max(p.top, p.at-r.h+1), p.at)
	}
	p.top = max(min(p.top, len(all)-r.h), 0)
	names := 7
	for i := range m.snap.Services {
		names = min(max(names, width(m.snap.Services[i].Name)), 16)
	}
	rest := r.w - 1 - 9 - 1 - names - 1
	whatW := max(min(rest/2, 60), 20)
	out := make([]string, 0, r.h)
	for i := p.top; i < len(all) && len(out) < r.h; i++ {
		e := &all[i]
		cursor := " "
		if i == p.at && m.focus == paneEvents {
			cursor = m.st.titleFocus.s(">")
		}
		row := cursor + m.st.dim.s(e.time.Local().Format("15:04:05")) + "  " + m.namePaint(e.service).s(fit(e.service, names)) + " "
		if e.cause == "" {
			row += m.paintOf(e.tone).s(fit(e.what, rest))
		} else {
			w := max(whatW, min(width(e.what), rest-width(e.cause)-2))
			row += m.paintOf(e.tone).s(fit(e.what, w)) + "  " + m.st.dim.s(e.cause)
		}
		row = fit(row, r.w)
		if i == p.at && m.focus == paneEvents {
			row = m.st.selected.over(row)
		}
		out = append(out, row)
	}
	if len(all) == 0 {
		out = append(out, m.st.dim.s(fit(" nothing happened yet", r.w)))
	}
	for len(out) < r.h {
		out = append(out, spaces(r.w))
	}
	return out
}
