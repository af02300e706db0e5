package docker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	cerrdefs "github.com/containerd/errdefs"
	moby "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
)

// renewal is a network of the project that is made again while containers are on it. They keep
// their identity, as with docker compose: they are stopped, moved to the new network, and started.
type renewal struct {
	p      *provisioner
	name   string
	id     string                   // before
	moving func(service, id string) // may be nil
	users  []networkUser
}

// moves is how many containers move to a new network at a time.
const moves = 4

// networkUser is a container on the network.
type networkUser struct {
	id, name, service string
	ran               bool
	endpoint          *network.EndpointSettings
}

// prepare finds who is on the network. others are the containers that are not of the project:
// while there are any, the network cannot be made again.
func (r *renewal) prepare(ctx context.Context, project, id string) (others []string, err error) {
	// Stopped containers count: they keep the network's id and would not start
	// again. Those that never started know the name only.
	list, err := r.p.conn.cli.ContainerList(ctx, client.ContainerListOptions{All: true,
		Filters: make(client.Filters).Add("network", id, r.name)})
	if err != nil {
		return nil, r.p.conn.wrap("list the containers on network "+r.name, err)
	}
	for _, s := range list.Items {
		u := networkUser{id: s.ID, name: summaryName(s), service: s.Labels[labelService],
			ran: s.State == moby.StateRunning || s.State == moby.StateRestarting}
		if s.Labels[labelProject] != project {
			others = append(others, u.name)
			continue
		}
		if s.NetworkSettings != nil && s.NetworkSettings.Networks[r.name] != nil {
			at := s.NetworkSettings.Networks[r.name]
			full, err := r.p.conn.cli.ContainerInspect(ctx, s.ID, client.ContainerInspectOptions{})
			if err != nil {
				return nil, r.p.conn.wrap("inspect "+u.name, err)
			}
			if ns := full.Container.NetworkSettings; ns != nil && ns.Networks[r.name] != nil {
				at = ns.Networks[r.name]
			}
			// What the engine gave it is not asked for again.
			u.endpoint = &network.EndpointSettings{IPAMConfig: at.IPAMConfig, Links: at.Links,
				DriverOpts: at.DriverOpts, GwPriority: at.GwPriority,
				Aliases: slices.DeleteFunc(slices.Clone(at.Aliases), func(a string) bool {
					return strings.HasPrefix(s.ID, a)
				})}
		}
		r.users = append(r.users, u)
	}
	slices.Sort(others)
	return others, nil
}

// usersOf are the services among those named that have a container on the network, sorted.
func (r *renewal) usersOf(services []string) (on []string) {
	for _, u := range r.users {
		if slices.Contains(services, u.service) && !slices.Contains(on, u.service) {
			on = append(on, u.service)
		}
	}
	slices.Sort(on)
	return on
}

// each does something with every container, some at a time, and goes on when it fails for one.
func (r *renewal) each(ctx context.Context, f func(u networkUser) error) error {
	errs := make([]error, len(r.users))
	err := each(ctx, len(r.users), moves, func(_ context.Context, i int) error {
		errs[i] = f(r.users[i])
		return nil
	})
	return errors.Join(append(errs, err)...)
}

// leave stops the containers, each with its own grace, and takes them off the network.
func (r *renewal) leave(ctx context.Context) error {
	return r.each(ctx, func(u networkUser) error {
		if u.ran {
			if r.moving != nil {
				r.moving(u.service, u.id)
			}
			if _, err := r.p.conn.cli.ContainerStop(ctx, u.id, client.ContainerStopOptions{}); err != nil &&
				!cerrdefs.IsNotFound(err) {
				return r.p.conn.wrap("stop "+u.name, err)
			}
		}
		_, err := r.p.conn.cli.NetworkDisconnect(ctx, r.id,
			client.NetworkDisconnectOptions{Container: u.id, Force: true})
		if err != nil && !cerrdefs.IsNotFound(err) && !strings.Contains(err.Error(), "is not connected to") {
			return r.p.conn.wrap("take "+u.name+" off network "+r.name, err)
		}
		return nil
	})
}

// back connects the containers to the network of the id, or of the same name where that is "", and
// starts those that ran. One that cannot be connected as it was, because its address is not of the new network, is left to the
// plan, which finds it on no network and puts it there, or makes it again.
func (r *renewal) back(ctx context.Context, id string) error {
	return r.each(ctx, func(u networkUser) error {
		if u.endpoint != nil {
			if _, err := r.p.conn.cli.NetworkConnect(ctx, cmp.Or(id, r.name),
				client.NetworkConnectOptions{Container: u.id, EndpointConfig: u.endpoint}); err != nil {
				return nil
			}
		}
		if u.ran {
			if _, err := r.p.conn.cli.ContainerStart(ctx, u.id, client.ContainerStartOptions{}); err != nil {
				return r.p.conn.wrap("start "+u.name, err)
			}
		}
		return nil
	})
}

// names lists the containers for a notice.
func (r *renewal) names() string {
	var names []string
	for _, u := range r.users {
		names = append(names, u.name)
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// notice says what is done to the containers that ran.
func (r *renewal) notice() {
	if slices.ContainsFunc(r.users, func(u networkUser) bool { return u.ran }) {
		r.p.conn.warn(
			fmt.Sprintf("network %s is made again as the Compose file has it; %s: stopped for it, and started", r.name, r.names()))
	}
}
