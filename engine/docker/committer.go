package docker

import (
	"context"

	"github.com/moby/moby/client"

	"bulkhead/engine/container"
)

// committer is the container.Committer.
type committer struct {
	conn *connection
}

var _ container.Committer = (*Runtime)(nil)

// Commit implements container.Committer.
func (c *committer) Commit(ctx context.Context, id string, o container.CommitOptions) (string, error) {
	res, err := c.conn.cli.ContainerCommit(ctx, id, client.ContainerCommitOptions{
		Reference: o.Reference, Comment: o.Comment, Author: o.Author, Changes: o.Changes, NoPause: o.NoPause,
	})
	return res.ID, c.conn.wrap("commit "+container.ShortID(id), err)
}
