package cli

import (
	"bufio"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"bulkhead/engine"
)

// rmVerb removes containers that do not run.
type rmVerb struct {
	app            *app
	force, stop    bool
	volumes, dummy bool
}

func (v *rmVerb) command() *cobra.Command {
	c := &cobra.Command{
		Use:               "rm [SERVICE…]",
		Short:             "Remove containers that are stopped",
		ValidArgsFunction: v.app.loader.completeServices,
		RunE:              withServices(v.run),
	}
	v.app.addTakeOver(c)
	c.Flags().BoolVarP(&v.force, "force", "f", false, "do not ask")
	c.Flags().BoolVarP(&v.stop, "stop", "s", false, "stop them first")
	c.Flags().BoolVarP(&v.volumes, "volumes", "v", false, "their anonymous volumes too")
	c.Flags().BoolVarP(&v.dummy, "all", "a", false, "no effect: one-offs go with down --remove-orphans")
	c.Flags().Lookup("all").Hidden = true
	// -f of rm is --force, as everywhere else; --file has its long name only here.
	v.app.loader.flags.addFile(c.Flags(), "")
	return c
}

func (v *rmVerb) run(ctx context.Context, services []string) error {
	if v.stop {
		stop := &action{app: v.app, cmds: []engine.Command{{Verb: engine.VerbStop, Services: services}}}
		if err := stop.run(ctx); err != nil {
			return err
		}
	}
	name, p, err := v.app.loader.find(ctx, services...)
	if err != nil {
		return err
	}
	if err := v.app.conn.connect(ctx); err != nil {
		return err
	}
	all, err := v.app.conn.rt.Instances(ctx, name)
	if err != nil {
		return err
	}
	dry := v.app.loader.flags.dryRun
	gone := slices.DeleteFunc(all, func(in engine.Instance) bool {
		other := p != nil && p.Service(in.Service) == nil
		if len(services) > 0 {
			other = !slices.Contains(services, in.Service)
		}
		return other || alive(in.State) && !(dry && v.stop)
	})
	if len(gone) == 0 {
		v.app.console.printError("no stopped containers")
		return nil
	}
	var names []string
	for _, in := range gone {
		names = append(names, clean(in.Name))
	}
	if v.app.would("remove %s", strings.Join(names, ", ")) {
		return nil
	}
	if yes, err := v.agreed("Going to remove " + strings.Join(names, ", ")); !yes || err != nil {
		return err
	}
	if err := v.app.checkHolder(ctx, name); err != nil {
		return fmt.Errorf("rm %s: %w", name, err)
	}
	out := v.app.console.progressPrinter()
	for _, in := range gone {
		if err := v.app.conn.rt.Remove(ctx, in.ID, true, v.volumes); err != nil {
			return fmt.Errorf("rm %s: %w", in.Service, err)
		}
		out.text(clean(in.Name) + ": removed")
	}
	return out.failed()
}

// agreed prints what is going to be done, and asks where it may not be done without a yes.
func (v *rmVerb) agreed(what string) (bool, error) {
	out := v.app.console
	if v.force {
		_, err := fmt.Fprintln(out.stdout, what)
		return true, err
	}
	if _, err := fmt.Fprint(out.stdout, "? "+what+" [yN] "); err != nil {
		return false, err
	}
	answer, _ := bufio.NewReader(out.stdin).ReadString('\n') // nothing to read is no yes
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return true, nil
	}
	return false, nil
}
