package cli

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"bulkhead/engine/container"
)

type lsVerb struct {
	app        *app
	format     string
	filter     []string
	quiet, all bool
}

// projectRow is one project of ls; its JSON has docker compose's keys.
type projectRow struct {
	Name        string
	Status      string
	ConfigFiles string
}

func (v *lsVerb) command() *cobra.Command {
	c := &cobra.Command{
		Use:   "ls",
		Short: "List the projects that run on this engine",
		Args:  noArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return v.run(cmd.Context()) },
	}
	fs := c.Flags()
	fs.StringVar(&v.format, "format", "table", "`how` to print: table or json")
	fs.BoolVarP(&v.quiet, "quiet", "q", false, "names only")
	fs.StringArrayVar(&v.filter, "filter", nil, "only those whose name matches: name=`EXPRESSION`, repeatable")
	fs.BoolVarP(&v.all, "all", "a", false, "those that do not run, too")
	completeWords(c, "format", "table", "json")
	return c
}

func (v *lsVerb) run(ctx context.Context) error {
	var names []string
	for _, f := range v.filter {
		key, value, ok := strings.Cut(f, "=")
		if !ok || key != "name" {
			return usagef("ls: --filter %s: write name=EXPRESSION", f)
		}
		names = append(names, value)
	}
	if err := v.app.conn.reach(ctx); err != nil {
		return err
	}
	list, err := summaries(ctx, v.app.conn.rt, container.ListOptions{All: v.all, OneOffs: true})
	if err != nil {
		return err
	}
	rows := slices.DeleteFunc(projectRows(list), func(r projectRow) bool {
		return len(names) > 0 && !slices.ContainsFunc(names, func(n string) bool { return matches(n, r.Name) })
	})
	if v.quiet {
		return printEach(v.app.console.stdout, rows, func(r projectRow) string { return r.Name })
	}
	return writeList(v.app.console.stdout, v.format, false, []string{"NAME", "STATUS", "CONFIG FILES"}, rows,
		func(r projectRow) []any { return []any{r.Name, r.Status, r.ConfigFiles} })
}

// matches says whether a name is, or matches as an expression.
func matches(expression, name string) bool {
	re, err := regexp.Compile(expression)
	return expression == name || err == nil && re.MatchString(name)
}

// projectRows sums containers up by project.
func projectRows(list []container.Summary) []projectRow {
	byName := map[string][]container.Summary{}
	for _, s := range list {
		byName[s.Project] = append(byName[s.Project], s)
	}
	rows := []projectRow{}
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		states, known := map[string]int{}, true
		var files, status []string
		for _, s := range byName[name] {
			states[s.State]++
			known = known && s.Files != nil
			for _, f := range s.Files {
				if !slices.Contains(files, f) {
					files = append(files, f)
				}
			}
		}
		for _, state := range slices.Sorted(maps.Keys(states)) {
			status = append(status, fmt.Sprintf("%s(%d)", state, states[state]))
		}
		row := projectRow{Name: name, Status: strings.Join(status, ", "), ConfigFiles: strings.Join(files, ",")}
		if !known {
			row.ConfigFiles = "N/A"
		}
		rows = append(rows, row)
	}
	return rows
}
