package docker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/client"

	"bulkhead/engine/container"
)

// Events implements container.Runtime. Execs and one-offs are filtered by the engine already.
func (r *Runtime) Events(
	ctx context.Context, project string, since time.Time, emit func(container.Event),
) error {
	what := "follow the events of " + project
	ctx, cancel := context.WithCancel(ctx)
	opt := client.EventsListOptions{Filters: labelFilter(labelProject+"="+project, labelOneOff+"="+notOneOff).
		Add("type", string(events.ContainerEventType)).
		Add("event", "create", "start", "restart", "kill", "die", "stop", "pause", "unpause", "oom",
			"health_status", "destroy", "rename")}
	if !since.IsZero() {
		opt.Since = stamp(since)
	}
	stream := r.cli.Events(ctx, opt)
	// The client's goroutine ends by closing Err.
	defer func() {
		cancel()
		for range stream.Err {
		}
	}()
	for {
		select {
		case m := <-stream.Messages:
			if e, ok := event(m); ok {
				emit(e)
			}
		case err := <-stream.Err:
			if err == nil || errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF // the engine went away
			}
			return r.wrap(what, err)
		}
	}
}

// stamp is a time as the API's since and until take it, exact to the nanosecond.
func stamp(t time.Time) string { return fmt.Sprintf("%d.%09d", t.Unix(), t.Nanosecond()) }

// event decodes a message; ok is false for one that means nothing here.
func event(m events.Message) (e container.Event, ok bool) {
	if m.Type != events.ContainerEventType {
		return e, false
	}
	a := m.Actor.Attributes
	action, detail, _ := strings.Cut(string(m.Action), ":")
	e = container.Event{ID: m.Actor.ID, Service: a[labelService], Name: a["name"]}
	switch events.Action(action) {
	case events.ActionCreate:
		e.Kind = container.EventCreated
	case events.ActionStart:
		e.Kind = container.EventStarted
	case events.ActionKill:
		e.Kind, e.Signal = container.EventKilled, a["signal"]
	case events.ActionDie:
		e.Kind = container.EventDied
		e.ExitCode, _ = strconv.Atoi(a["exitCode"]) // always there
	case events.ActionStop:
		e.Kind = container.EventStopped
	case events.ActionRestart:
		e.Kind = container.EventRestarted
	case events.ActionPause:
		e.Kind = container.EventPaused
	case events.ActionUnPause:
		e.Kind = container.EventUnpaused
	case events.ActionOOM:
		e.Kind = container.EventOOM
	case events.ActionHealthStatus:
		e.Kind, e.Health = container.EventHealth, healthOf(strings.TrimSpace(detail))
	case events.ActionDestroy:
		e.Kind = container.EventRemoved
	case events.ActionRename:
		e.Kind = container.EventRenamed
	default:
		return e, false
	}
	e.Replica, _ = strconv.Atoi(a[labelNumber]) // 0 for one that has no number
	e.Time = time.Unix(0, m.TimeNano)
	if m.TimeNano == 0 {
		e.Time = time.Unix(m.Time, 0)
	}
	return e, true
}
