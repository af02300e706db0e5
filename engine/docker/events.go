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

	"bulkhead/engine"
)

// Events implements engine.Runtime. Execs and one-offs are filtered by the engine already.
func (r *Runtime) Events(ctx context.Context, project string, since time.Time, emit func(engine.Event)) error {
	what := "follow the events of " + project
	ctx, cancel := context.WithCancel(ctx)
	opt := client.EventsListOptions{Filters: labelFilter(labelProject+"="+project, labelOneOff+"="+notOneOff).
		Add("type", string(events.ContainerEventType)).
		Add("event", "create", "start", "restart", "kill", "die", "stop", "pause", "unpause", "oom", "health_status", "destroy", "rename")}
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
func event(m events.Message) (e engine.Event, ok bool) {
	if m.Type != events.ContainerEventType {
		return e, false
	}
	a := m.Actor.Attributes
	action, detail, _ := strings.Cut(string(m.Action), ":")
	e = engine.Event{ID: m.Actor.ID, Service: a[labelService], Name: a["name"]}
	switch events.Action(action) {
	case events.ActionCreate:
		e.Kind = engine.EventCreated
	case events.ActionStart:
		e.Kind = engine.EventStarted
	case events.ActionKill:
		e.Kind, e.Signal = engine.EventKilled, a["signal"]
	case events.ActionDie:
		e.Kind = engine.EventDied
		e.ExitCode, _ = strconv.Atoi(a["exitCode"]) // always there
	case events.ActionStop:
		e.Kind = engine.EventStopped
	case events.ActionRestart:
		e.Kind = engine.EventRestarted
	case events.ActionPause:
		e.Kind = engine.EventPaused
	case events.ActionUnPause:
		e.Kind = engine.EventUnpaused
	case events.ActionOOM:
		e.Kind = engine.EventOOM
	case events.ActionHealthStatus:
		e.Kind, e.Health = engine.EventHealth, healthOf(strings.TrimSpace(detail))
	case events.ActionDestroy:
		e.Kind = engine.EventRemoved
	case events.ActionRename:
		e.Kind = engine.EventRenamed
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
