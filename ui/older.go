package ui

import (
	"context"
	"fmt"
	"strings"

	tea "charm.land/bubbletea/v2"

	"bulkhead/engine"
)

// olderLines is what the log pane knows of lines from before those that it has.
type olderLines struct {
	busy  bool
	asked string // scope and first line that nothing was found for
	full  bool   // there are more, and no room for them
}

// olderMsg is the answer to a look for older lines.
type olderMsg struct {
	asked string
	found engine.Older
	err   error
}

// lookOlder asks for the lines from before the first one that is seen, aside, once for each place that is scrolled to.
func (m *Model) lookOlder() tea.Cmd {
	p := &m.log
	first, end := p.view.Bounds()
	if p.follow || p.older.busy || end == first || p.top.line.Seq == 0 {
		return nil
	}
	services, from := p.want.Services, p.top.line.Time
	asked := fmt.Sprint(from.UnixNano(), " ", strings.Join(services, " "))
	if asked == p.older.asked {
		return nil
	}
	p.older.busy = true
	return m.jobs.do("read older lines", func(ctx context.Context) tea.Msg {
		found, err := m.backend.LoadOlder(ctx, services, from)
		return olderMsg{asked: asked, found: found, err: err}
	})
}

// foundOlder takes in what came of it.
func (m *Model) foundOlder(msg olderMsg) tea.Cmd {
	p := &m.log
	p.older.busy, p.older.full = false, msg.found.Full
	if msg.err != nil {
		m.fail(msg.err.Error())
	}
	if !msg.found.More {
		p.older.asked = msg.asked
	}
	return m.lookOlder()
}

// olderText says in the title what is above the first line, when that is seen; "" when there is nothing to say.
func (p *logPane) olderText() string {
	if first, _ := p.view.Bounds(); p.follow || p.top.ord > first || p.skip > 0 {
		return ""
	}
	switch dropped := p.view.Dropped(); {
	case p.older.busy:
		return "loading older lines"
	case dropped > 0:
		return "… " + thousands(dropped) + " older lines dropped"
	case p.older.full:
		return "… no room for older lines"
	}
	return ""
}
