package cli

import (
	"github.com/spf13/cobra"

	"bulkhead/engine"
)

type rebuildVerb struct{ app *app }

func (v *rebuildVerb) command() *cobra.Command {
	c := &cobra.Command{
		Use:               "rebuild [SERVICE…]",
		Short:             "Build images again and replace the containers",
		ValidArgsFunction: v.app.loader.completeServices,
		RunE: func(cmd *cobra.Command, services []string) error {
			a := &action{app: v.app, cmds: []engine.Command{{Verb: engine.VerbRebuild, Services: services}}}
			return a.run(cmd.Context())
		},
	}
	v.app.addTakeOver(c)
	return c
}
