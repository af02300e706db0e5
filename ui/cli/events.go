package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"bulkhead/engine/container"
	"bulkhead/engine/logs"
)

type eventsVerb struct {
	target
	asJSON       bool
	since, until string
}

func (v *eventsVerb) command() *cobra.Command {
	c := &cobra.Command{
		Use:               "events [SERVICE…]",
		Short:             "Print what happens to the project's containers, as it happens",
		ValidArgsFunction: v.app.loader.completeServices,
		RunE:              withServices(v.run),
	}
	fs := c.Flags()
	fs.BoolVar(&v.asJSON, "json", false, "a JSON object a line")
	fs.StringVar(&v.since, "since", "",
		"from a `time` on: 2026-11-23T12:00:00Z, seconds since 1970, or 10m ago")
	fs.StringVar(&v.until, "until", "", "up to a `time`; else it goes on")
	return c
}

func (v *eventsVerb) run(ctx context.Context, services []string) error {
	for flag, text := range map[string]string{"since": v.since, "until": v.until} {
		if _, err := parseTime("events", flag, text, time.Now()); err != nil {
			return err
		}
	}
	name, err := v.app.reachProject(ctx, services)
	if err != nil {
		return err
	}
	reader, err := capability[container.ActionReader](v.app.conn.rt, "read events")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	err = reader.Actions(ctx, name, v.since, v.until, func(a container.Action) {
		if len(services) > 0 && !slices.Contains(services, a.Service) {
			return
		}
		if _, err := fmt.Fprintln(v.app.console.stdout, v.text(logs.CleanAll(a))); err != nil {
			cancel(err)
		}
	})
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		return cause
	}
	if ctx.Err() != nil {
		return nil // ctrl+c is how it ends
	}
	return err
}

// text is one event as docker compose prints it.
func (v *eventsVerb) text(a container.Action) string {
	if v.asJSON {
		return string(encode(map[string]any{"time": a.Time, "type": "container", "service": a.Service,
			"id": a.ID, "action": a.Name, "attributes": a.Attributes}))
	}
	return fmt.Sprintf("%s container %s %s (%s)", a.Time.Format("2006-01-02 15:04:05.000000"), a.Name,
		a.ID, strings.Join(sortedPairs(a.Attributes), ", "))
}
