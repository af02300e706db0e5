package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"bulkhead/engine/container"
)

type commitVerb struct {
	target
	o     container.CommitOptions
	pause bool
}

func (v *commitVerb) command() *cobra.Command {
	c := &cobra.Command{
		Use:               "commit SERVICE [REPOSITORY[:TAG]]",
		Short:             "Make an image of a service's container as it stands",
		Args:              between(1, 2, "a service, and a name for the image or none"),
		ValidArgsFunction: v.app.loader.completeOne,
		RunE: func(cmd *cobra.Command, args []string) error {
			v.service, v.oneOffs = args[0], true
			if len(args) > 1 {
				v.o.Reference = args[1]
			}
			return v.run(cmd.Context())
		},
	}
	fs := c.Flags()
	// -p of commit is --pause, as everywhere else; --project-name has its long name only here.
	v.app.loader.flags.addName(fs, "")
	fs.BoolVarP(&v.pause, "pause", "p", true, "freeze the container meanwhile")
	fs.StringVarP(&v.o.Comment, "message", "m", "", "`text` kept with the image")
	fs.StringVarP(&v.o.Author, "author", "a", "", "`name` kept with the image, as \"Ada <ada@example.com>\"")
	fs.StringArrayVarP(&v.o.Changes, "change", "c", nil,
		"Dockerfile `instruction` that changes the image, repeatable")
	v.addIndex(c)
	return c
}

func (v *commitVerb) run(ctx context.Context) error {
	s, err := v.one(ctx)
	if err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	if v.app.would("commit %s", s.Name) {
		return nil
	}
	images, err := capability[container.Committer](v.app.conn.rt, "commit")
	if err != nil {
		return err
	}
	v.o.NoPause = !v.pause
	id, err := images.Commit(ctx, s.ID, v.o)
	if err != nil {
		return container.WrapErr(err, "commit %s", s.Name)
	}
	v.app.console.progressPrinter().text(s.Name + ": committed as " + id)
	return nil
}
