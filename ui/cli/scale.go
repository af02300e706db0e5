package cli

import (
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"bulkhead/engine"
)

type scaleVerb struct{ app *app }

func (v *scaleVerb) command() *cobra.Command {
	return &cobra.Command{
		Use:               "scale SERVICE=N…",
		Short:             "Set the number of replicas",
		Args:              atLeast(1, "SERVICE=N, as web=2"),
		ValidArgsFunction: v.app.loader.completeServices,
		RunE: func(cmd *cobra.Command, args []string) error {
			counts, err := scales(args)
			if err != nil {
				return err
			}
			r := &temporaryRun{app: v.app}
			for _, arg := range args {
				name, _, _ := strings.Cut(arg, "=")
				r.services = append(r.services, name)
				r.commands = append(r.commands, engine.Command{Verb: engine.VerbScale, Services: []string{name}, Scale: counts[name]})
			}
			return r.run(cmd.Context())
		},
	}
}

// scales reads SERVICE=N; of equal services the last one counts.
func scales(list []string) (map[string]int, error) {
	out := map[string]int{}
	for _, s := range list {
		name, count, ok := strings.Cut(s, "=")
		n, err := strconv.Atoi(count)
		if !ok || name == "" || err != nil || n < 0 {
			return nil, usagef("scale %s: write SERVICE=N, as web=2", s)
		}
		out[name] = n
	}
	return out, nil
}
