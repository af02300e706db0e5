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

const (
	// secondQuit is within which a second ctrl+c stops.
	secondQuit = 2 * time.Second
	// shownFirst is how long the shutdown is shown before another ctrl+c counts: a terminal or a
	// wrapper may send two where one was meant.
	shownFirst = time.Second
)

// shutdown is the way out of the screen. It stays until the project that a person ends has stopped,
// and shows who still stops, for how long, and what ctrl+c does.
type shutdown struct {
	e     *env
	v     *verbs
	shell *shellOpener
	words func() string // the last words of who still stops

	lastCtrl time.Time // of the last ctrl+c that only announced what the next one does
	stopping bool      // the whole project is being stopped, and the screen ends then
	since    time.Time
	killed   time.Time // when ctrl+c was pressed again; zero before
	left     bool      // the program is about to end: keys act on nothing any more

	ending engine.Ending
	err    error // what Run returns
}

type (
	// endedMsg is the end of the stop of the whole project.
	endedMsg struct{ err error }
	// quitMsg ends the program from outside.
	quitMsg struct{}
)

// receive leaves once the project has stopped, and has Run return what did not work.
func (s *shutdown) receive(msg tea.Msg) (tea.Cmd, bool) {
	switch msg := msg.(type) {
	case fatalMsg:
		s.err, s.ending = msg.err, engine.EndLeave
	case endedMsg:
		switch {
		case s.left:
			return nil, true
		case !s.killed.IsZero():
			s.err = fmt.Errorf("stop %s: killed by a second ctrl+c", s.e.snap.Project)
		case msg.err != nil && !errors.Is(msg.err, context.Canceled):
			s.err = fmt.Errorf("stop %s: %w", s.e.snap.Project, msg.err)
		}
	case quitMsg:
	default:
		return nil, false
	}
	return s.quit(), true
}

// leave ends the screen: at once where the containers go on running, else when all have stopped.
// What is to happen then to containers and networks is the caller's.
func (s *shutdown) leave(o engine.Ending) tea.Cmd {
	s.ending = o
	if o == engine.EndLeave {
		return s.quit()
	}
	if s.stopping {
		return nil
	}
	s.stopping, s.since = true, s.e.opts.Now()
	s.e.over = nil
	s.e.status.clear()
	backend := s.e.backend
	return s.e.jobs.do("stop the project", func(ctx context.Context) tea.Msg {
		return endedMsg{err: backend.Do(ctx, engine.Command{Verb: engine.VerbStop, Cause: "bulkhead ends"})}
	})
}

// quit ends the program, once the terminal is the screen's.
func (s *shutdown) quit() tea.Cmd {
	s.left = true
	return s.shell.whenBack(tea.Quit)
}

// ctrlC is ctrl+c: the second within a while stops the project; while that stops, the first one
// kills what still runs, the next one leaves although something does.
func (s *shutdown) ctrlC() tea.Cmd {
	now := s.e.opts.Now()
	switch {
	case s.stopping:
		return s.atOnce(now)
	case now.Sub(s.lastCtrl) < secondQuit:
		return s.leave(engine.EndStop)
	}
	s.lastCtrl = now
	s.e.status.set("ctrl+c again stops " + s.e.snap.Project + " and quits; " + s.e.keyOf("quit") + " asks")
	s.e.status.twice = true
	return nil
}

// tick takes the announcement away once a second ctrl+c would not stop any more.
func (s *shutdown) tick() {
	if s.e.status.twice && s.e.now.Sub(s.lastCtrl) >= secondQuit {
		s.e.status.clear()
	}
}

// atOnce is ctrl+c while the project stops.
func (s *shutdown) atOnce(now time.Time) tea.Cmd {
	switch {
	case s.killed.IsZero() && now.Sub(s.since) < shownFirst, !s.killed.IsZero() &&
		now.Sub(s.killed) < shownFirst:
		return nil
	case !s.killed.IsZero():
		s.ending = engine.EndLeave
		s.err = fmt.Errorf(
			"stop %s: bulkhead was ended before everything had stopped; `bulkhead kill` tries again",
			s.e.snap.Project)
		return s.quit()
	}
	s.killed = now
	var names []string
	for i := range s.e.snap.Services {
		svc := &s.e.snap.Services[i]
		if slices.ContainsFunc(svc.Replicas, func(r engine.Replica) bool {
			return r.State == engine.StateRunning || r.State == engine.StatePaused ||
				r.State == engine.StateStopping
		}) {
			names = append(names, svc.Name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	return s.v.send("kill "+strings.Join(names, ", "), "ctrl+c", engine.Command{Verb: engine.VerbKill,
		Services: names})
}

// allows says whether an action makes sense while the project stops: looking does, and killing one service.
func (s *shutdown) allows(a *action) bool {
	if !s.stopping {
		return true
	}
	switch a.name {
	case "kill", "inspect", "graph", "mark", "only", "mute", "unmute-all", "replicas", "sort":
		return true
	case "quit", "palette":
		return false
	}
	return a.group != "services"
}

// text is the line that says how far the shutdown is.
func (s *shutdown) text() string {
	var rest []string
	for i := range s.e.snap.Services {
		svc := &s.e.snap.Services[i]
		if alive(svc) && !slices.ContainsFunc(svc.Replicas, func(r engine.Replica) bool {
			return r.State == engine.StateStopping
		}) {
			rest = append(rest, svc.Name)
		}
	}
	word, parts := "stopping", s.e.snap.stoppings(s.e.now, 0)
	if !s.killed.IsZero() {
		word = "killing"
	}
	if len(parts) == 0 {
		parts = []string{s.e.snap.Project}
	}
	text := word + " " + strings.Join(parts, ", ")
	if words := s.words(); words != "" {
		text += ": " + words
	}
	if n := len(rest); n > 3 {
		text += "; then " + plural(n, "service")
	} else if n > 0 {
		text += "; then " + strings.Join(rest, ", ")
	}
	return text
}

// next is what ctrl+c does now.
func (s *shutdown) next() string {
	if s.killed.IsZero() {
		return "again kills"
	}
	return "again leaves"
}

func (s *shutdown) askQuit() tea.Cmd {
	s.e.over = newMenu(s.e, "Quit", []string{fmt.Sprintf("%s has %s running.", s.e.snap.Project,
		plural(s.e.snap.alive(), "service"))}, []choice{
		{key: "l", label: "leave them running", hint: "bulkhead up comes back to them",
			run: func() tea.Cmd { return s.leave(engine.EndLeave) }},
		{key: "s", label: "stop them", hint: "in reverse dependency order", run: func() tea.Cmd {
			return s.leave(engine.EndStop)
		}},
		{key: "c", label: "cancel"},
	})
	return nil
}

func (s *shutdown) askDown() tea.Cmd {
	if s.e.opts.Config.Confirm == "none" {
		return s.leave(engine.EndDown)
	}
	return s.askDownWith(false)
}

// askDownWith asks what goes; orphans says whether the containers go too that the file does not name.
func (s *shutdown) askDownWith(orphans bool) tea.Cmd {
	lines := []string{"Stops " + s.e.snap.Project + ", removes its containers and networks, and quits."}
	down, volumes := engine.EndDown, engine.EndDownVolumes
	var left []string
	for _, o := range s.e.snap.Orphans {
		left = append(left, o.Name)
	}
	if len(left) > 0 {
		text := "The file does not name the services of these, which stay: "
		if orphans {
			down, volumes = engine.EndDownOrphans, engine.EndDownAll
			text = "These go too, although the file does not name their services: "
		}
		lines = append(lines, wrapped(text+strings.Join(left, ", "), max(min(s.e.w-6, 76), 20))...)
	}
	choices := []choice{
		{key: "d", label: "down", hint: "volumes keep their data", run: func() tea.Cmd {
			return s.leave(down)
		}},
		{key: "v", label: "down, volumes too", hint: "their data is lost", run: func() tea.Cmd {
			s.e.over = newMenu(s.e, "Down with volumes",
				[]string{"Everything in the named volumes of " + s.e.snap.Project + " is lost."}, []choice{
					{key: "c", label: "cancel"},
					{key: "y", label: "remove the volumes", run: func() tea.Cmd { return s.leave(volumes) }},
				})
			return nil
		}},
	}
	if len(left) > 0 {
		label, hint := "orphans too", plural(len(left), "container")
		if orphans {
			label, hint = "leave the orphans", ""
		}
		choices = append(choices, choice{key: "o", label: label, hint: hint, run: func() tea.Cmd {
			return s.askDownWith(!orphans)
		}})
	}
	s.e.over = newMenu(s.e, "Down", lines, append(choices, choice{key: "c", label: "cancel"}))
	return nil
}
