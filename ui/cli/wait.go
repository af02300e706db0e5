package cli

import (
	"context"
	"fmt"
	"sync"

	"github.com/spf13/cobra"

	"bulkhead/engine"
	"bulkhead/engine/container"
)

type waitVerb struct {
	target
	down bool
}

func (v *waitVerb) command() *cobra.Command {
	c := &cobra.Command{
		Use:               "wait SERVICE…",
		Short:             "Wait until the containers of services have ended",
		Long:              "Wait until the containers of services have ended. The exit code is that of the container that ended last.",
		Args:              atLeast(1, "the names of services"),
		ValidArgsFunction: v.app.loader.completeServices,
		RunE:              withServices(v.run),
	}
	c.Flags().BoolVar(&v.down, "down-project", false, "then take the project down")
	v.app.addTakeOver(c)
	return c
}

func (v *waitVerb) run(ctx context.Context, services []string) error {
	name, err := v.app.reachProject(ctx, services)
	if err != nil {
		return err
	}
	if v.app.would("wait for %s", services) {
		return nil
	}
	list, err := v.ending(ctx, name, services)
	if err != nil {
		return err
	}
	waiter := container.Completed(v.app.conn.rt)
	var mu sync.Mutex
	last := 0
	err = concurrently(ctx, len(list), -1, func(ctx context.Context, i int) error {
		code, err := waiter.Wait(ctx, list[i].ID)
		if err != nil {
			return container.WrapErr(err, "wait for %s", list[i].Name)
		}
		mu.Lock()
		defer mu.Unlock()
		last = code
		_, err = fmt.Fprintf(v.app.console.stdout, "container %q exited with status code %d\n", list[i].ID, code)
		return err
	})
	if err != nil {
		return err
	}
	if v.down {
		a := &action{app: v.app, cmds: []engine.Command{{Verb: engine.VerbDown, Orphans: true,
			Cause: "wait --down-project"}}}
		if err := a.run(ctx); err != nil {
			return err
		}
	}
	if last != 0 {
		return &exit{code: last}
	}
	return nil
}

// ending are the containers to wait for: those that run, or where none does those that have ended.
func (v *waitVerb) ending(ctx context.Context, project string, services []string) ([]container.Summary, error) {
	for _, all := range []bool{false, true} {
		list, err := containersOf(ctx, v.app.conn.rt, container.ListOptions{Project: project,
			OneOffs: true, All: all}, services)
		if err != nil || len(list) > 0 {
			return list, err
		}
	}
	return nil, fmt.Errorf(
		"wait: project %s has no containers of these services; `bulkhead up -d` makes them", project)
}
