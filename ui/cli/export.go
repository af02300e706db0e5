package cli

import (
	"context"
	"fmt"
	"io"

	"github.com/moby/sys/atomicwriter"
	"github.com/spf13/cobra"

	"bulkhead/engine/container"
)

type exportVerb struct {
	target
	output string
}

func (v *exportVerb) command() *cobra.Command {
	c := &cobra.Command{
		Use:               "export SERVICE",
		Short:             "Write the file system of a service's container as a tar archive",
		Args:              between(1, 1, "one service"),
		ValidArgsFunction: v.app.loader.completeOne,
		RunE: func(cmd *cobra.Command, args []string) error {
			v.service, v.oneOffs = args[0], true
			return v.run(cmd.Context())
		},
	}
	v.addIndex(c)
	c.Flags().StringVarP(&v.output, "output", "o", "", "write to a `file`; else to stdout")
	return c
}

func (v *exportVerb) run(ctx context.Context) error {
	if _, screen := terminal(v.app.console.stdout); screen && v.output == "" {
		return usagef("export: an archive is not for a terminal; write -o FILE, or redirect stdout")
	}
	if v.output != "" {
		if err := writable(v.output); err != nil {
			return fmt.Errorf("export %s: %w", v.service, err)
		}
	}
	s, err := v.one(ctx)
	if err != nil {
		return fmt.Errorf("export: %w", err)
	}
	if v.app.would("export %s", s.Name) {
		return nil
	}
	files, err := capability[container.Archiver](v.app.conn.rt, "export")
	if err != nil {
		return err
	}
	tar, err := files.Export(ctx, s.ID)
	if err != nil {
		return container.WrapErr(err, "export %s", s.Name)
	}
	defer tar.Close()
	if v.output == "" {
		_, err := io.Copy(unguarded(v.app.console.stdout), tar) // an archive, not text
		return err
	}
	// A file that is half there looks whole: it gets its name when it is.
	w, err := atomicwriter.New(v.output, 0o600)
	if err != nil {
		return fmt.Errorf("export %s: %w", s.Name, err)
	}
	if _, err = io.Copy(w, tar); err != nil {
		_ = w.Close() // which leaves nothing behind after an error
		return fmt.Errorf("export %s: %w", s.Name, err)
	}
	return w.Close()
}
