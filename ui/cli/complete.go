package cli

import (
	"context"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"bulkhead/engine/container"
)

// completeShared completes the values of the flags that every verb takes.
func (a *app) completeShared(root *cobra.Command) {
	for flag, complete := range map[string]cobra.CompletionFunc{
		"profile":      a.loader.completeProfiles,
		"project-name": a.completeProjects,
		"project-directory": func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveFilterDirs
		},
		"file": func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return []string{"yaml", "yml"}, cobra.ShellCompDirectiveFilterFileExt
		},
		"progress": cobra.FixedCompletions(progressModes, cobra.ShellCompDirectiveNoFileComp),
		"ansi": cobra.FixedCompletions([]string{"never", "always", "auto"},
			cobra.ShellCompDirectiveNoFileComp),
		"runtime": cobra.FixedCompletions(a.conn.kinds, cobra.ShellCompDirectiveNoFileComp),
	} {
		if err := root.RegisterFlagCompletionFunc(flag, complete); err != nil {
			panic(err) // the flags are all of sharedFlags
		}
	}
}

// completeProfiles completes with the profiles of the project.
func (l *loader) completeProfiles(
	cmd *cobra.Command, _ []string, _ string,
) ([]string, cobra.ShellCompDirective) {
	p, err := l.load(cmd.Context())
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	names := p.Compose.AllServices().GetProfiles()
	slices.Sort(names)
	return slices.Compact(names), cobra.ShellCompDirectiveNoFileComp
}

// completeProjects completes with the projects on the engine, if it answers soon.
func (a *app) completeProjects(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	ctx, cancel := context.WithTimeout(cmd.Context(), 2*time.Second)
	defer cancel()
	if a.conn.reach(ctx) != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	list, err := summaries(ctx, a.conn.rt, container.ListOptions{All: true, OneOffs: true})
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for _, r := range projectRows(list) {
		names = append(names, r.Name)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
