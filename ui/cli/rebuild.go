package cli

import (
	"github.com/spf13/cobra"

	"bulkhead/engine"
)

type rebuildVerb struct{ app *app }

func (v *rebuildVerb) command() *cobra.Command {
	return &cobra.Command{
		Use:               "rebuild [SERVICE…]",
		Short:             "Build images again and replace the containers",
		ValidArgsFunction: v.app.loader.completeServices,
		RunE: func(cmd *cobra.Command, services []string) error {
			r := &temporaryRun{app: v.app, services: services, commands: []engine.Command{{Verb: engine.VerbRebuild, Services: services}}}
			return r.run(cmd.Context())
		},
	}
}
