package docker

import (
	"context"
	"errors"
	"io"
	"strings"
	"time"

	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/client"

	"bulkhead/engine/container"
)

// actionReader is the container.ActionReader.
type actionReader struct {
	conn *connection
}

var _ container.ActionReader = (*Runtime)(nil)

// Actions implements container.ActionReader. One-offs are left out, as docker compose leaves them out.
func (a *actionReader) Actions(
	ctx context.Context, project, since, until string, emit func(container.Action),
) error {
	ctx, cancel := context.WithCancel(ctx)
	stream := a.conn.cli.Events(ctx, client.EventsListOptions{Filters: labelFilter(labelProject +
		"=" + project), Since: since, Until: until})
	// The client's goroutine ends by closing Err.
	defer func() {
		cancel()
		for range stream.Err {
		}
	}()
	take := func(m events.Message) {
		if m.Type == events.ContainerEventType && m.Actor.Attributes[labelOneOff] != "True" {
			emit(action(m))
		}
	}
	for {
		select {
		case m := <-stream.Messages:
			take(m)
		case err := <-stream.Err:
			if errors.Is(err, io.EOF) && until != "" {
				return nil // that was all until then
			}
			if err == nil || errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF // the engine went away
			}
			return a.conn.wrap("follow the events of "+project, err)
		}
	}
}

func action(m events.Message) container.Action {
	out := container.Action{
		Time: time.Unix(0, m.TimeNano), Service: m.Actor.Attributes[labelService], ID: m.Actor.ID,
		Name:       string(m.Action),
		Attributes: map[string]string{},
	}
	if m.TimeNano == 0 {
		out.Time = time.Unix(m.Time, 0)
	}
	for k, v := range m.Actor.Attributes {
		if !strings.HasPrefix(k, "com.docker.compose.") {
			out.Attributes[k] = v
		}
	}
	return out
}
