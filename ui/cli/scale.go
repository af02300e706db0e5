package cli

import (
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"bulkhead/engine"
	"bulkhead/engine/project"
)

type scaleVerb struct {
	app    *app
	noDeps bool
}

func (v *scaleVerb) command() *cobra.Command {
	c := &cobra.Command{
		Use:               "scale SERVICE=N…",
		Short:             "Set the number of replicas",
		Args:              atLeast(1, "SERVICE=N, as web=2"),
		ValidArgsFunction: v.app.loader.completeServices,
		RunE: func(cmd *cobra.Command, args []string) error {
			counts, err := scales(args)
			if err != nil {
				return err
			}
			a := &action{app: v.app, noDeps: v.noDeps}
			for _, arg := range args {
				name, _, _ := strings.Cut(arg, "=")
				a.cmds = append(a.cmds, engine.Command{Verb: engine.VerbScale,
					Services: []string{name}, Scale: counts[name]})
			}
			return a.run(cmd.Context())
		},
	}
	v.app.addTakeOver(c)
	c.Flags().BoolVar(&v.noDeps, "no-deps", false, "leave what they depend on alone")
	return c
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
		if n > project.MaxReplicas {
			return nil, usagef("scale %s: a service may have 0 to %d replicas", s, project.MaxReplicas)
		}
		out[name] = n
	}
	return out, nil
}
