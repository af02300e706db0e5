package docker

import (
	"context"

	"bulkhead/engine/container"
)

// signalReader is the container.SignalReader.
type signalReader struct {
	conn *connection
}

var _ container.SignalReader = (*Runtime)(nil)

// HandlesStop implements container.SignalReader. It is known for engines on this machine.
func (s *signalReader) HandlesStop(ctx context.Context, id string) (handles, known bool) {
	if !s.conn.local(ctx) {
		return false, false
	}
	c, err := s.conn.running(ctx, id)
	if err != nil {
		return false, false
	}
	signal := ""
	if c.Config != nil {
		signal = c.Config.StopSignal
	}
	return handlesStop(c.State.Pid, c.ID, signal)
}
