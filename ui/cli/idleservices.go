package cli

import (
	"context"
	"fmt"
	"slices"

	"bulkhead/engine"
)

// leaveOutIdle leaves out the services that there is nothing to do for, with a line for each, as docker compose does:
// for pause and unpause those of which nothing runs, for start those that no active profile enables and that have no
// container. left is false where no service is left.
func (x *action) leaveOutIdle(ctx context.Context) (left bool, err error) {
	cmd := &x.cmds[0]
	var idle func(service string) string // why, "" where it is not
	switch {
	case cmd.Verb == engine.VerbPause || cmd.Verb == engine.VerbUnpause:
		idle = func(string) string { return "nothing of it runs" }
	case cmd.Verb == engine.VerbStart && x.p != nil && len(cmd.Services) > 0:
		idle = func(service string) string {
			if !slices.Contains(x.p.Disabled, service) {
				return ""
			}
			return "no active profile enables it, and it has no container"
		}
	default:
		return true, nil
	}
	all, err := x.app.conn.rt.Instances(ctx, x.name)
	if err != nil {
		return false, fmt.Errorf("%s: %w", x.what(*cmd), err)
	}
	has := func(service string) bool {
		return slices.ContainsFunc(all, func(in engine.Instance) bool {
			return (service == "" || in.Service == service) &&
				(cmd.Verb == engine.VerbStart || in.State.TakesSignals() || in.State == engine.StateRestarting)
		})
	}
	if len(cmd.Services) == 0 {
		if len(all) > 0 && !has("") {
			x.app.console.printWarning(x.what(*cmd) + ": nothing of it runs")
			return false, nil
		}
		return true, nil
	}
	cmd.Services = slices.DeleteFunc(slices.Clone(cmd.Services), func(service string) bool {
		why := idle(service)
		if why == "" || has(service) {
			return false
		}
		x.app.console.printWarning(fmt.Sprintf("%s %s: %s", cmd.Verb, service, why))
		return true
	})
	return len(cmd.Services) > 0, nil
}
