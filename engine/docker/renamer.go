package docker

import (
	"context"

	"github.com/moby/moby/client"

	"bulkhead/engine/container"
)

// renamer is the container.Renamer.
type renamer struct {
	conn *connection
}

var _ container.Renamer = (*Runtime)(nil)

// Rename implements container.Renamer.
func (r *renamer) Rename(ctx context.Context, id, name string) error {
	what := "rename " + container.ShortID(id) + " to " + name
	if _, err := r.conn.cli.ContainerRename(ctx, id, client.ContainerRenameOptions{NewName: name}); err != nil {
		return r.conn.createError(ctx, container.CreateSpec{}, what, name, err)
	}
	return nil
}
