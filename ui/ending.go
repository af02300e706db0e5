package ui

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"bulkhead/engine"
)

// The screen stays until the project that a person ends has stopped: it shows who still stops, for how long, and what ctrl+c does.

// shownFirst is how long that is shown before another ctrl+c counts: a terminal or a wrapper may send two where one was meant.
const shownFirst = time.Second

// ending is a stop of the whole project that leads to the end of the screen.
type ending struct {
	since  time.Time
	killed time.Time // when ctrl+c was pressed again; zero before
}

// endedMsg is the end of that stop.
type endedMsg struct{ err error }

// leave ends the screen: at once where the containers go on running, else when all have stopped. What is to happen then to containers
// and networks is the caller's.
func (m *Model) leave(o Outcome) tea.Cmd {
	m.outcome = o
	if o == Leave {
		return m.quit()
	}
	if m.ending != nil {
		return nil
	}
	m.ending = &ending{since: m.opts.Now()}
	m.over, m.search.open, m.picking, m.status = nil, false, false, statusLine{}
	return m.jobs.do("stop the project", func(ctx context.Context) tea.Msg {
		return endedMsg{err: m.backend.Do(ctx, engine.Command{Verb: engine.VerbStop, Cause: "bulkhead ends"})}
	})
}

// quit ends the program. What is typed until it has ended acts on nothing any more.
func (m *Model) quit() tea.Cmd {
	m.left = true
	return tea.Quit
}

// ended leaves once the project has stopped, and returns from Run what did not work.
func (m *Model) ended(msg endedMsg) tea.Cmd {
	switch {
	case m.left:
		return nil
	case !m.ending.killed.IsZero():
		m.failed = fmt.Errorf("stop %s: killed by a second ctrl+c", m.snap.Project)
	case msg.err != nil && !errors.Is(msg.err, context.Canceled):
		m.failed = fmt.Errorf("stop %s: %w", m.snap.Project, msg.err)
	}
	return m.quit()
}

// endAtOnce is ctrl+c while the project stops: the first one kills what still runs, the next one leaves although something does.
func (m *Model) endAtOnce() tea.Cmd {
	e, now := m.ending, m.opts.Now()
	switch {
	case e.killed.IsZero() && now.Sub(e.since) < shownFirst, !e.killed.IsZero() && now.Sub(e.killed) < shownFirst:
		return nil
	case !e.killed.IsZero():
		m.outcome = Leave
		m.failed = fmt.Errorf("stop %s: it was left before all had ended; `bulkhead kill` tries again", m.snap.Project)
		return m.quit()
	}
	e.killed = now
	var names []string
	for i := range m.snap.Services {
		s := &m.snap.Services[i]
		if slices.ContainsFunc(s.Replicas, func(r engine.Replica) bool {
			return r.State == engine.StateRunning || r.State == engine.StatePaused || r.State == engine.StateStopping
		}) {
			names = append(names, s.Name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	return m.send("kill "+strings.Join(names, ", "), "ctrl+c", engine.Command{Verb: engine.VerbKill, Services: names})
}

// allowedWhileEnding says whether an action makes sense while the project stops: looking does, and killing one service.
func (a *action) allowedWhileEnding() bool {
	switch a.name {
	case "kill", "inspect", "graph", "mark", "only", "mute", "unmute-all", "replicas", "sort":
		return true
	case "quit", "palette":
		return false
	}
	return a.group != "services"
}

// endingText is the line that says how far the end of the project is.
func (m *Model) endingText() string {
	var rest []string
	for i := range m.snap.Services {
		s := &m.snap.Services[i]
		if alive(s) && !slices.ContainsFunc(s.Replicas, func(r engine.Replica) bool { return r.State == engine.StateStopping }) {
			rest = append(rest, s.Name)
		}
	}
	word, parts := "stopping", m.stoppings(0)
	if !m.ending.killed.IsZero() {
		word = "killing"
	}
	if len(parts) == 0 {
		parts = []string{m.snap.Project}
	}
	text := word + " " + strings.Join(parts, ", ")
	if n := len(rest); n > 3 {
		text += "; then " + plural(n, "service")
	} else if n > 0 {
		text += "; then " + strings.Join(rest, ", ")
	}
	return text
}

// endingOffer says what ctrl+c does now.
func (m *Model) endingOffer() string {
	if m.ending.killed.IsZero() {
		return "ctrl+c again kills"
	}
	return "ctrl+c again leaves"
}

// stoppings says of each container that is being stopped, for at least some time, how long already and how long it may take:
// "db 3s of 10s".
func (m *Model) stoppings(least time.Duration) []string {
	var out []string
	for i := range m.snap.Services {
		s := &m.snap.Services[i]
		for j := range s.Replicas {
			r := &s.Replicas[j]
			if r.State != engine.StateStopping || m.now.Sub(r.Since) < least {
				continue
			}
			who := target{service: s.Name}
			if len(s.Replicas) > 1 {
				who.replica = r.Number
			}
			out = append(out, who.String()+" "+stopText(r, m.now))
		}
	}
	return out
}

// stopText says how long a container is being stopped, and of how long it has: "3s of 10s".
func stopText(r *engine.Replica, now time.Time) string {
	text := age(now.Sub(r.Since))
	if grace := r.StopBy.Sub(r.Since); !r.StopBy.IsZero() && grace > 0 {
		text += " of " + age(grace.Round(time.Second))
	}
	return text
}

// stoppingReplica is the replica of a service that is being stopped and has the longest to go; nil for none.
func stoppingReplica(s *engine.Service) *engine.Replica {
	var last *engine.Replica
	for i := range s.Replicas {
		if r := &s.Replicas[i]; r.State == engine.StateStopping && !r.StopBy.IsZero() && (last == nil || r.StopBy.After(last.StopBy)) {
			last = r
		}
	}
	return last
}

// stopBanner is the line above the footer while something stops, and what a key does about it.
func (m *Model) stopBanner(add func(paint, string, string)) {
	if m.ending != nil {
		add(m.st.busy, m.endingText(), "") // the footer has the key
		return
	}
	parts := m.stoppings(time.Second) // a loop's own swaps are over sooner: they would only move the rows
	if len(parts) == 0 {
		return
	}
	text, offer := "stopping "+strings.Join(parts, ", "), "on it kills"
	if s := m.selected(); s != nil && stoppingReplica(s) != nil {
		offer = "kills " + s.Name
	}
	if k := m.keyOf("kill"); k != "" {
		add(m.st.busy, text, "["+k+"] "+offer)
	} else {
		add(m.st.busy, text, "")
	}
}

// sinceText says since when a service is in its state, and of a stop how far it is.
func (m *Model) sinceText(s *engine.Service, at string) string {
	if r := stoppingReplica(s); r != nil {
		return " " + stopText(r, m.now) + ", then killed"
	}
	return " since " + at
}
