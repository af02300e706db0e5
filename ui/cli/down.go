package cli

import (
	"github.com/spf13/cobra"

	"bulkhead/engine"
)

type downVerb struct {
	app              *app
	volumes, orphans bool
	rmi              string
	grace            graceFlag
}

func (v *downVerb) command() *cobra.Command {
	c := &cobra.Command{
		Use:               "down [SERVICE…]",
		Short:             "Stop and remove the project's containers and networks",
		ValidArgsFunction: v.app.loader.completeServices,
		RunE: func(cmd *cobra.Command, services []string) error {
			if v.rmi != "" && v.rmi != "local" {
				return usagef("down: --rmi %s: it is not known; write --rmi local", v.rmi)
			}
			a := &action{app: v.app, cmd: engine.Command{Verb: engine.VerbDown, Services: services, Volumes: v.volumes,
				Images: v.rmi == "local", Orphans: v.orphans, Grace: v.grace.value(cmd)}}
			return a.run(cmd.Context())
		},
	}
	c.Flags().BoolVarP(&v.volumes, "volumes", "v", false, "named volumes too: their data is lost")
	c.Flags().StringVar(&v.rmi, "rmi", "", "`local`: also images that were built without a name of their own")
	v.grace.add(c)
	c.Flags().BoolVar(&v.orphans, "remove-orphans", false, "also containers of services that the file does not name")
	return c
}
