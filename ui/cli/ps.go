package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"bulkhead/engine"
	"bulkhead/engine/container"
	"bulkhead/engine/logs"
	"bulkhead/engine/project"
)

type psVerb struct {
	app                          *app
	asJSON, all, quiet, services bool
	orphans, noTrunc             bool
	format, filter               string
	status                       []string
}

func (v *psVerb) command() *cobra.Command {
	c := &cobra.Command{
		Use:   "ps [SERVICE…]",
		Short: "List the project's containers",
		Long: `List the project's containers as docker compose does: those that run, or with -a all. --format wide and --json have
those of all services, with restarts, generations, and whether they run the code on disk.`,
		ValidArgsFunction: v.app.loader.completeServices,
		RunE:              withServices(v.run),
	}
	fs := c.Flags()
	fs.StringVar(&v.format, "format", "",
		"`how` to print: table, wide, table TEMPLATE, json, or a Go TEMPLATE with the functions of the docker command")
	fs.StringVar(&v.filter, "filter", "", "only those with a `property`: status=running")
	fs.StringArrayVar(&v.status, "status", nil,
		"only those of this `state`, repeatable: paused, restarting, removing, running, dead, created, exited")
	fs.BoolVarP(&v.quiet, "quiet", "q", false, "container ids only")
	fs.BoolVar(&v.services, "services", false, "names of services only")
	fs.BoolVar(&v.orphans, "orphans", true, "those of services that the file does not name, too")
	fs.BoolVarP(&v.all, "all", "a", false,
		"those that do not run and those of run, too; with --json services that have no container")
	fs.BoolVar(&v.noTrunc, "no-trunc", false, "nothing cut short")
	fs.BoolVar(&v.asJSON, "json", false, "one JSON array")
	exclusive(c, "json", "quiet", "services")
	exclusive(c, "json", "format")
	completeWords(c, "status", containerStates...)
	return c
}

// containerStates are the runtime's words that --status takes.
var containerStates = []string{"paused", "restarting", "removing", "running", "dead", "created", "exited"}

func (v *psVerb) run(ctx context.Context, services []string) error {
	if key, val, ok := strings.Cut(v.filter, "="); ok && key == "status" {
		v.status = append(v.status, val)
	} else if v.filter != "" {
		return usagef("ps: --filter %s: write status=running, or another state", v.filter)
	}
	name, p, err := v.app.loader.find(ctx, services...)
	if err != nil {
		return err
	}
	if v.asJSON || v.format == "wide" {
		return v.replicas(ctx, name, p, services)
	}
	if p != nil && len(services) == 0 && !v.orphans {
		services = serviceNames(p)
	}
	if err := v.app.conn.reach(ctx); err != nil {
		return err
	}
	return v.app.conn.supervised(ctx, name, func(ctx context.Context) error {
		return v.containers(ctx, name, services)
	})
}

// containers prints what docker compose prints. One question is enough for the table.
func (v *psVerb) containers(ctx context.Context, name string, services []string) error {
	all := v.all || len(v.status) > 0
	list, err := containersOf(ctx, v.app.conn.rt,
		container.ListOptions{Project: name, All: all, OneOffs: all}, services)
	if err != nil {
		return err
	}
	list = slices.DeleteFunc(list, func(s container.Summary) bool {
		return len(v.status) > 0 && !slices.Contains(v.status, s.State)
	})
	out := v.app.console.stdout
	switch {
	case v.quiet:
		return printEach(out, list, func(s container.Summary) string { return s.ID })
	case v.services:
		return printEach(out, list, func(s container.Summary) string { return s.Service })
	}
	format := cmp.Or(v.format, v.app.env.dockerSettings().PsFormat, "table")
	switch format {
	case "table":
		format = psTable
		if slices.ContainsFunc(list, func(s container.Summary) bool {
			return s.Labels["com.docker.compose.engine"] != ""
		}) {
			format += "\t{{.Engine}}"
		}
	case "raw":
		format = psRaw
	}
	rows := make([]*psView, len(list))
	for i, s := range list {
		rows[i] = &psView{s: s, trunc: !v.noTrunc}
	}
	if format == "json" || strings.Contains(format, "json .}}") ||
		strings.Contains(format, ".Health") || strings.Contains(format, ".ExitCode") {
		if err := v.inspect(ctx, rows); err != nil {
			return err
		}
	}
	return writeFormat(out, format, psHeaders, rows)
}

// inspect finds out what a listing does not have.
func (v *psVerb) inspect(ctx context.Context, rows []*psView) error {
	return concurrently(ctx, len(rows), 8, func(ctx context.Context, i int) error {
		r := rows[i]
		in, err := v.app.conn.rt.Inspect(ctx, r.s.ID)
		if errors.Is(err, engine.ErrNotFound) {
			return nil // removed in between
		}
		switch {
		case err != nil:
		case r.s.State == "running" && in.Health != engine.HealthNone:
			r.health = in.Health.String()
		case r.s.State == "exited" || r.s.State == "dead":
			r.exitCode = in.ExitCode
		}
		return err
	})
}

// replicas prints what only bulkhead knows, of all services.
func (v *psVerb) replicas(ctx context.Context, name string, p *project.Project, services []string) error {
	if err := v.app.conn.connect(ctx); err != nil {
		return err
	}
	q := &listing{conn: v.app.conn, env: v.app.env, name: name, p: p, all: v.all}
	var rows []psRow
	err := v.app.conn.supervised(ctx, name, func(ctx context.Context) (err error) {
		rows, err = q.rows(ctx)
		return err
	})
	if err != nil {
		return err
	}
	rows = slices.DeleteFunc(rows, func(r psRow) bool {
		return len(services) > 0 && !slices.Contains(services, r.Service) || len(v.status) > 0 &&
			!slices.Contains(v.status, r.State)
	})
	out := v.app.console
	switch {
	case v.asJSON:
		return out.printJSON(rows)
	case v.quiet:
		return printEach(out.stdout, rows, func(r psRow) string { return r.ContainerID })
	case v.services:
		return printEach(out.stdout, rows, func(r psRow) string { return r.Service })
	}
	return printTable(out.stdout, rows)
}

// summaries lists containers. Labels and names are anybody's: they are clean.
func summaries(ctx context.Context, rt engine.Runtime, o container.ListOptions) ([]container.Summary, error) {
	l, err := capability[container.Lister](rt, "list containers")
	if err != nil {
		return nil, err
	}
	list, err := l.Summaries(ctx, o)
	return logs.CleanAll(list), err
}

// containersOf lists the containers of some services, or of all where none is named, by project and name.
func containersOf(
	ctx context.Context, rt engine.Runtime, o container.ListOptions, services []string,
) ([]container.Summary, error) {
	list, err := summaries(ctx, rt, o)
	list = slices.DeleteFunc(list, func(s container.Summary) bool {
		return len(services) > 0 && !slices.Contains(services, s.Service)
	})
	slices.SortFunc(list, func(a, b container.Summary) int {
		return cmp.Or(strings.Compare(a.Project, b.Project), strings.Compare(a.Name, b.Name))
	})
	return list, err
}

// capability returns an optional part of a runtime, or an error that says what is lacking.
func capability[T any](rt engine.Runtime, what string) (T, error) {
	t, ok := rt.(T)
	if !ok {
		return t, fmt.Errorf("%s: %w", what, container.ErrUnsupported)
	}
	return t, nil
}

// printEach prints a line for each of a list, equal ones once.
func printEach[T any](w io.Writer, list []T, text func(T) string) error {
	seen := map[string]bool{}
	for _, x := range list {
		t := text(x)
		if seen[t] {
			continue
		}
		seen[t] = true
		if _, err := fmt.Fprintln(w, clean(t)); err != nil {
			return err
		}
	}
	return nil
}
