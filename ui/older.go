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
	e      *env
	win    *logWindow
	filter *logFilter

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

// look asks for the lines from before the first one that is seen, in the background, once for each
// place that is scrolled to.
func (o *olderLines) look() tea.Cmd {
	first, end := o.win.view.Bounds()
	if o.win.follow || o.busy || end == first || o.win.top.line.Seq == 0 {
		return nil
	}
	services, from := o.filter.want.Services, o.win.top.line.Time
	asked := fmt.Sprint(from.UnixNano(), " ", strings.Join(services, " "))
	if asked == o.asked {
		return nil
	}
	o.busy = true
	backend := o.e.backend
	return o.e.jobs.do("read older lines", func(ctx context.Context) tea.Msg {
		found, err := backend.LoadOlder(ctx, services, from)
		return olderMsg{asked: asked, found: found, err: err}
	})
}

// found takes in what came of it.
func (o *olderLines) found(msg olderMsg) tea.Cmd {
	o.busy, o.full = false, msg.found.Full
	if msg.err != nil {
		o.e.status.fail(msg.err.Error())
	}
	if !msg.found.More {
		o.asked = msg.asked
	}
	return o.look()
}

// text says in the title what is above the first line, when that is seen; "" when there is nothing to say.
func (o *olderLines) text() string {
	if first, _ := o.win.view.Bounds(); o.win.follow || o.win.top.ord > first || o.win.skip > 0 {
		return ""
	}
	switch dropped := o.win.view.Dropped(); {
	case o.busy:
		return "loading older lines"
	case dropped > 0:
		return "… " + thousands(dropped) + " older lines dropped"
	case o.full:
		return "… no room for older lines"
	}
	return ""
}
