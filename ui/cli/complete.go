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
	} {
		completeWith(root, flag, complete)
	}
	completeWords(root, "progress", progressModes...)
	completeWords(root, "ansi", "never", "always", "auto")
	completeWords(root, "runtime", a.conn.kinds...)
}

// completeWith completes a flag of a command, which has to have it, by a function.
func completeWith(c *cobra.Command, flag string, complete cobra.CompletionFunc) {
	if err := c.RegisterFlagCompletionFunc(flag, complete); err != nil {
		panic(err) // the flag stands a few lines above
	}
}

// completeWords completes a flag with fixed words.
func completeWords(c *cobra.Command, flag string, words ...string) {
	completeWith(c, flag, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp))
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
