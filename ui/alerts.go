package ui

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"bulkhead/engine/logs"
)

// alerts are the log lines that the project wants to be alerted to: they ring, are noted in the events
// and count on the row of their service. Commands to run stand in the user's own config alone.
type alerts struct {
	e     *env
	store *logs.Store
	by    map[string]*alert // by service
	began time.Time         // lines from before are no news
}

// alert are those of one service.
type alert struct {
	pattern string
	view    *logs.View
	seen    int64 // ordinal after the last line that was alerted to
	count   int
}

// mostAlerts is how many lines one look tells of; a flood of them is one note.
const mostAlerts = 3

// refresh looks for new lines, and rings when there are some.
func (a *alerts) refresh() tea.Cmd {
	var cmds []tea.Cmd
	for i := range a.e.snap.Services {
		s := &a.e.snap.Services[i]
		pattern := strings.Join(s.Config.Extra.Alerts, "|")
		w := a.by[s.Name]
		if pattern == "" {
			delete(a.by, s.Name)
			continue
		}
		if w == nil || w.pattern != pattern {
			re, err := regexp.Compile(pattern)
			if err != nil {
				continue // the project is not loaded with such a one
			}
			w = &alert{pattern: pattern, view: a.store.View(logs.Filter{Services: []string{s.Name},
				Match: re, Since: a.began})}
			a.by[s.Name] = w
		}
		w.view.Refresh()
		first, end := w.view.Bounds()
		from := max(w.seen, first)
		w.seen = end
		for ord := from; ord < end; ord++ {
			l, ok := w.view.Line(ord)
			if !ok || l.Stream == logs.System {
				continue
			}
			w.count++
			if ord-from >= mostAlerts {
				continue
			}
			text := s.Name + " alert: " + oneLine(string(logs.Plain(nil, l.Text)))
			a.e.status.fail(text)
			cmds = append(cmds, a.ring(s.Name, text))
		}
	}
	return tea.Batch(cmds...)
}

// ring tells a person, and runs the command of the user's own config.
func (a *alerts) ring(service, text string) tea.Cmd {
	var cmds []tea.Cmd
	if how := a.e.opts.Config.Notify; how != "none" {
		cmds = append(cmds, tea.Raw(notification(how, text, envOf(a.e.opts.Environ, "TMUX") != "")))
	}
	if command := a.e.opts.Config.AlertCommand; len(command) > 0 {
		run, environ := a.e.opts.run, append([]string{"BULKHEAD_SERVICE=" + service}, a.e.opts.Environ...)
		cmds = append(cmds, a.e.jobs.do("alert command", func(ctx context.Context) tea.Msg {
			if _, err := run(ctx, environ, text, command[0], command[1:]...); err != nil {
				return alertFailedMsg{fmt.Errorf("alert_command %s: %w", command[0], err)}
			}
			return nil
		}))
	}
	return tea.Batch(cmds...)
}

// alertFailedMsg says that the command of the config did not work.
type alertFailedMsg struct{ err error }

// receive implements receiver.
func (a *alerts) receive(msg tea.Msg) (tea.Cmd, bool) {
	failed, ok := msg.(alertFailedMsg)
	if ok {
		a.e.status.fail(failed.err.Error())
	}
	return nil, ok
}

// text is how many alerts a service had, for its row; "" for none.
func (a *alerts) text(service string) string {
	if w := a.by[service]; w != nil && w.count > 0 {
		return a.e.st.badge.s(fmt.Sprintf("!%d", w.count)) + " "
	}
	return ""
}
