package cli

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"bulkhead/engine/container"
)

// target finds the containers that a verb reads from or writes to, by their labels: a Compose file
// is asked for its name alone, so what was removed from it is found too.
type target struct {
	app     *app
	service string
	index   int  // number of the replica; 0: any
	all     bool // those that do not run, too
	oneOffs bool // those of run, too
}

// addIndex adds --index.
func (t *target) addIndex(c *cobra.Command) {
	c.Flags().Var(number{&t.index, 0, mostReplica}, "index", "`number` of the replica; else the first")
}

// project opens the runtime and returns the name of the project.
func (t *target) project(ctx context.Context) (string, error) {
	name, p, err := t.app.loader.find(ctx)
	if err != nil {
		return "", err
	}
	if p != nil && t.service != "" && !slices.Contains(serviceNames(p), t.service) {
		// It may have been removed from the file while its container runs; else it is mistyped.
		if err := t.app.conn.reach(ctx); err != nil {
			return "", err
		}
		if list, err := t.list(ctx, name); err == nil && len(list) == 0 {
			return "", checkServices(p, []string{t.service})
		}
	}
	return name, t.app.conn.reach(ctx)
}

// list returns the containers, those of services before one-offs, by number.
func (t *target) list(ctx context.Context, project string) ([]container.Summary, error) {
	list, err := summaries(ctx, t.app.conn.rt, container.ListOptions{Project: project, All: t.all,
		OneOffs: t.oneOffs})
	if err != nil {
		return nil, err
	}
	list = slices.DeleteFunc(list, func(s container.Summary) bool {
		return t.service != "" && s.Service != t.service || t.index > 0 && s.Number != strconv.Itoa(t.index)
	})
	number := func(s container.Summary) int {
		n, _ := strconv.Atoi(s.Number) // one-offs have none
		if s.OneOff {
			return 1 << 30
		}
		return n
	}
	slices.SortStableFunc(list, func(a, b container.Summary) int { return number(a) - number(b) })
	return list, nil
}

// one returns the first container.
func (t *target) one(ctx context.Context) (container.Summary, error) {
	name, err := t.project(ctx)
	if err != nil {
		return container.Summary{}, err
	}
	var list []container.Summary
	err = t.app.conn.supervised(ctx, name, func(ctx context.Context) (err error) {
		list, err = t.list(ctx, name)
		return err
	})
	switch {
	case err != nil:
		return container.Summary{}, err
	case len(list) > 0:
		return list[0], nil
	case t.index > 0:
		return container.Summary{},
			fmt.Errorf("service %s has no replica %d that runs; `bulkhead ps -a` lists them",
				t.service, t.index)
	}
	return container.Summary{}, fmt.Errorf("service %s does not run; `bulkhead up -d %s` starts it",
		t.service, t.service)
}

// reachProject opens the runtime and returns the name of the project, whose services are checked
// where its file is known.
func (a *app) reachProject(ctx context.Context, services []string) (string, error) {
	name, _, err := a.loader.find(ctx, services...)
	if err != nil {
		return "", err
	}
	return name, a.conn.reach(ctx)
}
