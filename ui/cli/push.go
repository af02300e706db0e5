package cli

import (
	"context"

	"github.com/spf13/cobra"

	"bulkhead/engine/images"
)

type pushVerb struct {
	app         *app
	o           images.PushOptions
	quiet, deps bool
}

func (v *pushVerb) command() *cobra.Command {
	c := &cobra.Command{
		Use:               "push [SERVICE…]",
		Short:             "Send the images that services build to their registries",
		ValidArgsFunction: v.app.loader.completeServices,
		RunE:              withServices(v.run),
	}
	fs := c.Flags()
	fs.BoolVarP(&v.quiet, "quiet", "q", false, "print nothing but errors")
	fs.BoolVar(&v.deps, "include-deps", false, "those of services that they depend on, too")
	fs.BoolVar(&v.o.IgnoreFailures, "ignore-push-failures", false, "what cannot be sent is a warning")
	fs.BoolVar(&v.o.IgnoreMissing, "ignore-missing", false, "leave out what is not here")
	exclusive(c, "ignore-push-failures", "ignore-missing")
	return c
}

func (v *pushVerb) run(ctx context.Context, services []string) error {
	p, names, err := v.app.imageServices(ctx, services, v.deps)
	if err != nil {
		return err
	}
	if v.app.wouldEach("push the image of %s", names) {
		return nil
	}
	if err := v.app.conn.reach(ctx); err != nil {
		return err
	}
	v.o.Names = names
	return v.app.images(p, v.quiet).Push(ctx, v.o)
}
