package cli

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"bulkhead/engine/container"
	"bulkhead/engine/logs"
)

type topVerb struct{ target }

func (v *topVerb) command() *cobra.Command {
	return &cobra.Command{
		Use:               "top [SERVICE…]",
		Short:             "List the processes in the containers",
		ValidArgsFunction: v.app.loader.completeServices,
		RunE:              withServices(v.run),
	}
}

// processes are those of one container.
type processes struct {
	Service, Number string
	Titles          []string
	Rows            [][]string
}

func (v *topVerb) run(ctx context.Context, services []string) error {
	name, err := v.project(ctx)
	if err != nil {
		return err
	}
	var all []processes
	err = v.app.conn.supervised(ctx, name, func(ctx context.Context) (err error) {
		all, err = v.processes(ctx, name, services)
		return err
	})
	if err != nil {
		return err
	}
	_, err = v.app.console.stdout.Write(topTable(logs.CleanAll(all)))
	return err
}

func (v *topVerb) processes(ctx context.Context, project string, services []string) ([]processes, error) {
	list, err := containersOf(ctx, v.app.conn.rt,
		container.ListOptions{Project: project, OneOffs: true}, services)
	if err != nil {
		return nil, err
	}
	lister, err := capability[container.ProcessLister](v.app.conn.rt, "list processes")
	if err != nil {
		return nil, err
	}
	all := make([]processes, len(list))
	return all, concurrently(ctx, len(list), 8, func(ctx context.Context, i int) error {
		titles, rows, err := lister.Top(ctx, list[i].ID)
		all[i] = processes{Service: list[i].Service, Number: list[i].Number, Titles: titles, Rows: rows}
		return err
	})
}

// topTable puts the processes of all containers under common titles, the command last.
func topTable(all []processes) []byte {
	titles := []string{"SERVICE", "#"}
	rows := 0
	for _, p := range all {
		rows += len(p.Rows)
		for _, t := range p.Titles {
			if !slices.Contains(titles, t) && len(p.Rows) > 0 {
				titles = append(titles, t)
			}
		}
	}
	if rows == 0 {
		return nil
	}
	if i := slices.Index(titles, "CMD"); i >= 0 {
		titles = append(slices.Delete(titles, i, i+1), "CMD")
	}
	var out bytes.Buffer
	w := tabwriter.NewWriter(&out, 4, 1, 2, ' ', 0)
	fmt.Fprintln(w, strings.Join(titles, "\t"))
	for _, p := range all {
		for _, row := range p.Rows {
			cells := []string{p.Service, p.Number}
			for _, t := range titles[2:] {
				cell := "-"
				if i := slices.Index(p.Titles, t); i >= 0 && i < len(row) {
					cell = row[i]
				}
				cells = append(cells, cell)
			}
			fmt.Fprintln(w, strings.Join(cells, "\t"))
		}
	}
	_ = w.Flush() // a buffer takes everything
	return out.Bytes()
}
