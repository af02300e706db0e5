package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"bulkhead/engine"
)

// createVerb makes what up would, and starts nothing.
type createVerb struct {
	app   *app
	flags makeFlags
}

func (v *createVerb) command() *cobra.Command {
	c := &cobra.Command{
		Use:               "create [SERVICE…]",
		Short:             "Make containers, networks and volumes, and start nothing",
		ValidArgsFunction: v.app.loader.completeServices,
		RunE:              v.run,
	}
	v.flags.add(c.Flags())
	v.app.addTakeOver(c)
	return c
}

func (v *createVerb) run(cmd *cobra.Command, services []string) error {
	ctx, f := cmd.Context(), &v.flags
	if err := f.check("create"); err != nil {
		return err
	}
	opts := v.app.loader.options()
	if err := f.loadOptions(&opts, services); err != nil {
		return err
	}
	p, err := v.app.loadAndConnect(ctx, opts, true)
	if err != nil {
		return err
	}
	o := engine.Options{NoWatch: true, NoStats: true, NoLogs: true, Replace: f.replace(services),
		Build: f.buildPolicy(), NoStart: true}
	if o.RemoveOrphans, o.IgnoreOrphans, err = v.app.orphanFlags(cmd, p, f.orphans); err != nil {
		return err
	}
	if v.app.loader.flags.dryRun {
		return v.app.dryRun(ctx, p, o)
	}
	s, err := v.app.open(ctx, p, o, sessionOptions{signals: true})
	if err != nil {
		return fmt.Errorf("create %s: %w", p.Name, err)
	}
	s.quiet = f.quiet()
	return s.runAndLeave(func(ctx context.Context) error {
		defer s.progress()()
		err := s.e.WaitUp(ctx, engine.Wait{})
		if err == nil {
			err = calledOff(s.p, s.e.Snapshot())
		}
		if err != nil && ctx.Err() == nil {
			return fmt.Errorf("create %s: %w", p.Name, err)
		}
		return nil
	})
}
