package cli

import (
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

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
			if v.rmi != "" && v.rmi != "local" && v.rmi != "all" {
				return usagef("down: --rmi %s: it is not known; write --rmi local or --rmi all", v.rmi)
			}
			orphans, _, err := v.app.orphanFlags(cmd, nil, v.orphans)
			if err != nil {
				return err
			}
			a := &action{app: v.app,
				cmds: []engine.Command{{Verb: engine.VerbDown, Services: services, Volumes: v.volumes,
					Images: v.rmi == "local", AllImages: v.rmi == "all", Orphans: orphans,
					Grace: v.grace.value(cmd)}}}
			return a.run(cmd.Context())
		},
	}
	c.Flags().BoolVarP(&v.volumes, "volumes", "v", false, "named volumes too: their data is lost")
	c.Flags().StringVar(&v.rmi, "rmi", "",
		"`images` too: local for those that were built without a name of their own, all for every one that the services run")
	v.app.addTakeOver(c)
	v.grace.add(c)
	c.Flags().BoolVar(&v.orphans, "remove-orphans", false,
		"also containers of services that the file does not name")
	c.Flags().SetNormalizeFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		if name == "volume" { // of older releases of docker compose
			name = "volumes"
		}
		return pflag.NormalizedName(name)
	})
	return c
}
