package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"bulkhead/engine"
)

// watchVerb brings the project up, rebuilds and syncs on file changes, and prints only that. The
// containers go on when it ends, as with docker compose.
type watchVerb struct {
	app   *app
	noUp  bool
	quiet bool
}

func (v *watchVerb) command() *cobra.Command {
	c := &cobra.Command{
		Use:   "watch [SERVICE…]",
		Short: "Rebuild and sync services when their files change, and print what is done",
		Long: `Bring the project up and rebuild, sync and restart when files change, as "bulkhead up --plain --leave" does, without the
containers' own lines. Ctrl+c ends the watching; the containers go on.`,
		ValidArgsFunction: v.app.loader.completeServices,
		RunE:              v.run,
	}
	v.app.addTakeOver(c)
	c.Flags().BoolVar(&v.noUp, "no-up", false,
		"take the containers as they are: build and start nothing before files change")
	c.Flags().BoolVar(&v.quiet, "quiet", false, "do not print builds")
	return c
}

func (v *watchVerb) run(cmd *cobra.Command, services []string) error {
	ctx := cmd.Context()
	opts := v.app.loader.options()
	opts.Services = services
	p, err := v.app.loadAndConnect(ctx, opts, true)
	if err != nil {
		return err
	}
	if !p.Watched() {
		return fmt.Errorf(
			"watch %s: no service has files to watch; write build: or develop.watch: below one", p.Name)
	}
	if v.app.loader.flags.dryRun {
		return v.app.dryRun(ctx, p, engine.Options{})
	}
	if by := v.app.env.watchLock(p.Name).holder(); by != 0 {
		return fmt.Errorf("watch %s: process %d watches its files already; end that one first", p.Name, by)
	}
	o := engine.Options{AsIs: v.noUp, NoLogs: true, NoStats: true,
		Ignore: ownOutput(v.app.console.stdout, v.app.console.stderr)}
	s, err := v.app.open(ctx, p, o, sessionOptions{signals: true, load: v.app.reloader(opts)})
	if err != nil {
		return fmt.Errorf("watch %s: %w", p.Name, err)
	}
	s.keep, s.ownLines = true, true
	if v.quiet {
		s.quiet = []string{"build", "pull"}
	}
	return s.runAsText(&upFlags{})
}
