package cli

import (
	"fmt"

	"github.com/spf13/cobra"
)

type keysVerb struct{ app *app }

func (v *keysVerb) command() *cobra.Command {
	return &cobra.Command{
		Use:   "keys",
		Short: "Print the key map in the form of the config file",
		Args:  noArgs,
		RunE: func(*cobra.Command, []string) error {
			text, err := v.app.keys()
			if err != nil {
				return &exit{code: exitUsage, err: err}
			}
			_, err = fmt.Fprint(v.app.console.stdout, text)
			return err
		},
	}
}
