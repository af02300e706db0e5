package cli

import "github.com/spf13/cobra"

// omittedVerb is a verb of docker compose that is left out on purpose.
type omittedVerb struct{ name, why string }

var omitted = []omittedVerb{
	{"publish", "a Compose file is not published as an artifact of a registry; commit the file, or write `docker compose publish`"},
	{"bridge", "other formats are not made by plugins; write `docker compose bridge convert`"},
	{"alpha", "docker compose's experiments are not followed; write `docker compose alpha`"},
}

// command answers with the reason, whatever follows the verb.
func (o omittedVerb) command() *cobra.Command {
	return &cobra.Command{
		Use: o.name, Short: "Left out: " + o.why, Hidden: true, DisableFlagParsing: true,
		RunE: func(*cobra.Command, []string) error {
			return usagef("%s: left out on purpose: %s", o.name, o.why)
		},
	}
}
