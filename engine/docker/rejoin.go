package docker

import (
	"context"
	"slices"

	"github.com/moby/moby/client"

	"bulkhead/engine/container"
)

// rejoin puts a container that does not run on those networks of its service that it was taken off: by
// hand, or by a change of the network that came to a sudden end. A container of another configuration
// than the spec's stays as it is.
func (r *Runtime) rejoin(ctx context.Context, c container.CreateSpec, id string) error {
	if c.Service.Config.NetworkMode != "" || len(c.App.Networks) == 0 {
		return nil
	}
	res, err := r.cli.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
	if err != nil {
		return r.wrap("inspect "+container.ShortID(id), err)
	}
	in := res.Container
	if in.Config == nil || in.Config.Labels[labelHash] != c.Hash || in.NetworkSettings == nil ||
		in.State != nil && in.State.Running {
		return nil
	}
	off := slices.DeleteFunc(networkNames(c), func(name string) bool { return in.NetworkSettings.Networks[name] != nil })
	if len(off) == 0 {
		return nil
	}
	api, err := r.version(ctx)
	if err != nil {
		return err
	}
	linked, err := r.linkedNames(ctx, c)
	if err != nil {
		return err
	}
	nets, err := endpoints(c, linkNames(c.App, c.Service.Config, c.Replica, linked), api)
	if err != nil {
		return err
	}
	for name, ep := range nets.primary {
		nets.later = append(nets.later, namedEndpoint{name, ep})
	}
	for _, ep := range nets.later {
		if slices.Contains(off, ep.network) {
			if err := r.connect(ctx, c.App.Name, id, ep); err != nil {
				return r.wrap("put "+c.FinalName()+" back on network "+ep.network, err)
			}
		}
	}
	return nil
}
