package cli

import (
	"context"
	"slices"

	"github.com/spf13/cobra"

	"bulkhead/engine/images"
	"bulkhead/engine/project"
)

type pullVerb struct {
	app         *app
	o           images.PullOptions
	quiet, deps bool
}

func (v *pullVerb) command() *cobra.Command {
	c := &cobra.Command{
		Use:               "pull [SERVICE…]",
		Short:             "Fetch the images of services from their registries",
		ValidArgsFunction: v.app.loader.completeServices,
		RunE:              withServices(v.run),
	}
	fs := c.Flags()
	fs.BoolVarP(&v.quiet, "quiet", "q", false, "print nothing but errors")
	fs.BoolVar(&v.deps, "include-deps", false, "those of services that they depend on, too")
	fs.BoolVar(&v.o.IgnoreFailures, "ignore-pull-failures", false, "what cannot be fetched is a warning")
	fs.BoolVar(&v.o.IgnoreBuildable, "ignore-buildable", false, "leave out what can be built")
	fs.StringVar(&v.o.Policy, "policy", "",
		"`missing` fetches what is not here, always everything, never nothing; else the file's pull_policy")
	completeWords(c, "policy", fetchPolicies...)
	return c
}

var fetchPolicies = []string{"missing", "always", "never"}

func (v *pullVerb) run(ctx context.Context, services []string) error {
	if v.o.Policy != "" && !slices.Contains(fetchPolicies, v.o.Policy) {
		return usagef("pull: --policy %s: write missing, always or never", v.o.Policy)
	}
	p, names, err := v.app.imageServices(ctx, services, v.deps)
	if err != nil {
		return err
	}
	if v.o.Policy == "never" {
		return nil
	}
	if v.app.wouldEach("pull the image of %s", names) {
		return nil
	}
	if err := v.app.conn.reach(ctx); err != nil {
		return err
	}
	v.o.Names = names
	return v.app.images(p, v.quiet).Pull(ctx, v.o)
}

// imageServices loads the project for a verb that works on images, and returns the services that are
// meant: those named, or all; with what they depend on where that is asked for.
func (a *app) imageServices(
	ctx context.Context, services []string, deps bool,
) (*project.Project, []string, error) {
	o := a.loader.lenient()
	o.Services = services
	p, err := project.Load(ctx, o)
	if err != nil {
		return nil, nil, err
	}
	a.console.printWarnings(p)
	if len(services) > 0 && !deps {
		return p, services, nil
	}
	var names []string
	for _, s := range p.Services {
		names = append(names, s.Name)
	}
	return p, names, nil
}
