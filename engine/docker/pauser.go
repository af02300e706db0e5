package docker

import (
	"context"

	"github.com/moby/moby/client"

	"bulkhead/engine/container"
)

// pauser is the container.Pauser.
type pauser struct {
	conn *connection
}

var _ container.Pauser = (*Runtime)(nil)

// Pause implements container.Pauser.
func (p *pauser) Pause(ctx context.Context, id string) error {
	_, err := p.conn.cli.ContainerPause(ctx, id, client.ContainerPauseOptions{})
	return p.conn.wrap("pause "+container.ShortID(id), err)
}

// Unpause implements container.Pauser.
func (p *pauser) Unpause(ctx context.Context, id string) error {
	_, err := p.conn.cli.ContainerUnpause(ctx, id, client.ContainerUnpauseOptions{})
	return p.conn.wrap("unpause "+container.ShortID(id), err)
}
