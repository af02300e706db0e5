package lane

import (
	"context"

	"bulkhead/engine/container"
	"bulkhead/engine/state"
	"bulkhead/engine/step"
)

// unit is the service for the steps of its lane, as it is now.
func (l *worker) unit() step.Service {
	u := step.Service{Conf: l.conf}
	if img := l.m.Known().Image; img != nil {
		u.Image = *img
	}
	return u
}

// stop stops a replica's container, and notes with the change how it ended.
func (l *worker) stop(ctx context.Context, h state.Holder, m step.Mode, cause string, k *state.Timing) error {
	in := h.Instance
	for _, now := range l.m.Holders(h.Number) {
		in = now.Instance
	}
	how, note, err := l.p.Steps.Stop(ctx, l.unit(), in, m, cause)
	k.Stopped(how, note)
	return container.Naming(l.name, err)
}

// spec is what containers of a service are made from. One that no file describes is started as it is.
func (l *worker) spec(
	img container.Image, parents map[string]string, content, hash string,
) container.CreateSpec {
	if l.conf.Labelled {
		return container.CreateSpec{}
	}
	return container.CreateSpec{App: step.App(l.p.State.Project()), Service: step.Wanted(l.conf),
		Image: img, Parents: parents, Content: content, Hash: hash}
}
