package ui

import (
	"fmt"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"bulkhead/engine"
	"bulkhead/ui/duration"
)

// eventsPane lists what happened with its causes, the newest first.
type eventsPane struct {
	e     *env
	line  *timeline // its cursor belongs to this pane
	log   *logPane
	svc   *servicesPane
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
	replica int // 0 where the service has one
	what    string
	cause   string
	tone    tone
}

const paneEvents paneID = "events"

func (p *eventsPane) id() paneID       { return paneEvents }
func (p *eventsPane) refresh()         {}
func (p *eventsPane) restyle()         {}
func (p *eventsPane) title(int) string { return strings.TrimSpace(p.newer()) }

// render looks up what is under the cursor now
func (p *eventsPane) move(n int)           { p.at, p.seq, p.free = max(p.at+n, 0), 0, false }
func (p *eventsPane) scroll(n int) tea.Cmd { p.top, p.free = p.top+n, true; return nil }
func (p *eventsPane) click(_, y int)       { p.at, p.seq, p.free = max(p.top+y, 0), 0, false }

// back has the logs follow again, then the pane.
func (p *eventsPane) back() bool {
	switch {
	case !p.line.cursor.IsZero():
		p.line.cursor = time.Time{}
		p.log.win.toEnd()
	case p.at > 0:
		p.at, p.seq, p.free = 0, 0, false
	default:
		return false
	}
	return true
}

// newer says that the cursor keeps newer events out of sight.
func (p *eventsPane) newer() string {
	if p.at == 0 {
		return ""
	}
	return p.e.st.warn.s(fmt.Sprintf("%s newer, %s goes to them ", thousands(int64(p.at)), p.e.keyOf("back")))
}

// list returns the events, newest first.
func (p *eventsPane) list() []event {
	if p.cache.events != nil && p.cache.seq == p.e.snap.Seq && p.cache.notes == len(p.e.status.notes) {
		return p.cache.events
	}
	out := make([]event, 0, len(p.e.snap.Records)+len(p.e.status.notes))
	for i := range p.e.snap.Records {
		r := &p.e.snap.Records[i]
		e := event{seq: r.Seq, time: r.Time, service: r.Service, what: recordText(*r), cause: r.Cause,
			tone: recordTone(r)}
		if r.Replica > 1 || r.Replica == 1 && p.e.snap.replicas(r.Service) > 1 {
			e.replica = r.Replica
		}
		if r.Likely != nil {
			e.cause = "likely cause: " + r.Likely.String()
		}
		if len(r.Paths) > 0 && !strings.Contains(e.cause, baseName(r.Paths[0])) {
			e.cause = strings.TrimPrefix(e.cause+": "+pathsText(r.Paths), ": ")
		}
		out = append(out, e)
	}
	for _, n := range p.e.status.notes {
		t := toneOff
		if n.bad {
			t = toneBad
		}
		out = append(out, event{time: n.at, what: n.String(), tone: t})
	}
	slices.SortStableFunc(out, func(a, b event) int { return a.time.Compare(b.time) })
	slices.Reverse(out)
	p.cache = eventsCache{seq: p.e.snap.Seq, notes: len(p.e.status.notes), events: out}
	return out
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

// recordText says in a few words what a record is about; its cause is shown elsewhere.
func recordText(r engine.Record) string {
	switch {
	case r.Ledger != nil:
		return ledgerLine(r.Ledger)
	case r.What != "":
		return oneLine(r.What)
	case r.Text != "": // of what concerns no service, it is all there is
		return oneLine(r.Text)
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
			text += " " + duration.Took(s.Took)
			break
		}
	}
	return text
}

// shownCause is how long the line about a likely cause stays.
const shownCause = 30 * time.Second

// causeLine is about the latest failure that has a likely cause, while it is fresh and lasts:
// "gateway unhealthy 2.3 s after orders was killed". Who needs whom is left out where it does not
// fit into w cells.
func causeLine(snap snapshot, now time.Time, w int) string {
	for _, r := range slices.Backward(snap.Records) {
		if now.Sub(r.Time) > shownCause {
			break
		}
		s := snap.service(r.Service)
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
		if r.HasExit && s.State == engine.StateRunning || r.Health == engine.Unhealthy &&
			s.Health != engine.Unhealthy {
			return "" // it is over
		}
		if r.Likely.Service == "" {
			return fmt.Sprintf("%s %s: %s (likely)", r.Service, sign, r.Likely.What)
		}
		text := fmt.Sprintf("%s %s %.1f s after %s %s", r.Service, sign, r.Likely.Before.Seconds(),
			whose(r), r.Likely.What)
		if r.Likely.Own() {
			if full := text + " (likely)" + r.Likely.Evidence(); width(full) <= w {
				return full
			}
			return text + " (likely)"
		}
		if full := text + " (likely cause: " + strings.Join(r.Likely.Path, " needs ") + ")"; width(full) <= w {
			return full
		}
		return text + " (likely)"
	}
	return ""
}

// whose is the service that a likely cause happened to, for a line that begins with the one in trouble.
func whose(r engine.Record) string {
	if r.Likely.Own() {
		return "it"
	}
	return r.Likely.Service
}

func recordTone(r *engine.Record) tone {
	switch {
	case r.Err != "" || r.State == engine.StateBroken || r.HasExit && r.ExitCode != 0:
		return toneBad
	case r.Kind == "fault" || r.Health == engine.Unhealthy || r.State == engine.StatePaused:
		return toneWarn
	case r.Action != "" && r.Kind != "fault" && r.Kind != "build", r.State == engine.StateRunning ||
		r.Health == engine.Healthy || r.Notice == "ready":
		return toneGood
	case r.Kind == "build" || r.State == engine.StateBuilding || r.State == engine.StateStarting:
		return toneBusy
	}
	return tonePlain
}

// chosen is the moment and the service of the event under the cursor.
func (p *eventsPane) chosen() (time.Time, string, bool) {
	all := p.list()
	if p.at >= len(all) {
		return time.Time{}, "", false
	}
	return all[p.at].time, all[p.at].service, true
}

// jump shows the logs of the moment of the chosen event.
func (p *eventsPane) jump() tea.Cmd {
	at, service, ok := p.chosen()
	if !ok {
		return nil
	}
	if service != "" {
		p.svc.selectName(service)
	}
	p.e.focusPane(paneLogs)
	p.log.showMoment(at)
	p.e.status.set("logs at " + at.Format("15:04:05"))
	return nil
}

// render draws the pane into r.
func (p *eventsPane) render(r rect) []string {
	if r.empty() {
		return nil
	}
	all := p.list()
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
	names := p.e.snap.nameWidth(7, 16)
	rest := r.w - 1 - 9 - 1 - names - 1
	whatW := max(min(rest/2, 60), 20)
	out := make([]string, 0, r.h)
	for i := p.top; i < len(all) && len(out) < r.h; i++ {
		e := &all[i]
		cursor := " "
		if i == p.at && p.e.focus == paneEvents {
			cursor = p.e.st.titleFocus.s(">")
		}
		row := cursor + p.e.st.dim.s(e.time.Local().Format("15:04:05")) + "  " +
			p.e.namePaint(e.service).s(fit(target{service: e.service, replica: e.replica}.String(),
				names)) + " "
		if e.cause == "" {
			row += p.e.st.tone(e.tone).s(fit(e.what, rest))
		} else {
			w := max(whatW, min(width(e.what), rest-width(e.cause)-2))
			row += p.e.st.tone(e.tone).s(fit(e.what, w)) + "  " + p.e.st.dim.s(e.cause)
		}
		row = fit(row, r.w)
		if i == p.at && p.e.focus == paneEvents {
			row = p.e.st.bar(row)
		}
		out = append(out, row)
	}
	if len(all) == 0 {
		out = append(out, p.e.st.dim.s(fit(" nothing happened yet", r.w)))
	}
	for len(out) < r.h {
		out = append(out, spaces(r.w))
	}
	return out
}
