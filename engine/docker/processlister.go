package docker

import (
	"context"

	"github.com/moby/moby/client"

	"bulkhead/engine/container"
)

// processLister is the container.ProcessLister.
type processLister struct {
	conn *connection
}

var _ container.ProcessLister = (*Runtime)(nil)

// Top implements container.ProcessLister.
func (p *processLister) Top(ctx context.Context, id string) (titles []string, rows [][]string, err error) {
	res, err := p.conn.cli.ContainerTop(ctx, id, client.ContainerTopOptions{})
	if err != nil {
		return nil, nil, p.conn.wrap("list the processes of "+container.ShortID(id), err)
	}
	return res.Titles, res.Processes, nil
}
