package docker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"

	moby "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"bulkhead/engine/container"
)

var (
	errNotRunning = errors.New("it does not run")
	// errNoAccess means that the container's processes are not ours to look at.
	errNoAccess = errors.New("no access to the container's processes")
)

// running inspects a container; errNotRunning when there is no process.
func (r *Runtime) running(ctx context.Context, id string) (moby.InspectResponse, error) {
	res, err := r.cli.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
	if err != nil {
		return moby.InspectResponse{}, r.wrap("inspect "+short(id), err)
	}
	c := res.Container
	if c.State == nil || c.State.Pid == 0 {
		return c, errNotRunning
	}
	return c, nil
}

// HandlesStop implements container.Runtime. It is known for engines on this machine.
func (r *Runtime) HandlesStop(ctx context.Context, id string) (handles, known bool) {
	info, err := r.Info(ctx)
	if err != nil || !info.Local {
		return false, false
	}
	c, err := r.running(ctx, id)
	if err != nil {
		return false, false
	}
	signal := ""
	if c.Config != nil {
		signal = c.Config.StopSignal
	}
	return handlesStop(c.State.Pid, c.ID, signal)
}

// DialInstance implements container.Runtime. The host reaches containers by their addresses where a rootful engine runs on it.
func (r *Runtime) DialInstance(ctx context.Context, id string, port int) (net.Conn, error) {
	what := fmt.Sprintf("dial port %d of %s", port, short(id))
	info, err := r.Info(ctx)
	if err != nil {
		return nil, err
	}
	if !info.Local || info.Rootless {
		return nil, fmt.Errorf("%s: %w: the host does not reach containers by their addresses here", what, container.ErrUnsupported)
	}
	host, err := r.address(ctx, id, 0)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", net.JoinHostPort(host, strconv.Itoa(port)))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	return conn, nil
}

// address finds where a container listens, also when it shares another one's network.
func (r *Runtime) address(ctx context.Context, id string, depth int) (string, error) {
	c, err := r.running(ctx, id)
	if err != nil {
		return "", err
	}
	if c.HostConfig != nil {
		if c.HostConfig.NetworkMode.IsHost() {
			return "127.0.0.1", nil
		}
		if c.HostConfig.NetworkMode.IsContainer() && depth < 5 {
			return r.address(ctx, c.HostConfig.NetworkMode.ConnectedContainer(), depth+1)
		}
	}
	if c.NetworkSettings != nil {
		var all []string
		for _, n := range c.NetworkSettings.Networks {
			if n != nil && n.IPAddress.IsValid() {
				all = append(all, n.IPAddress.String())
			} else if n != nil && n.GlobalIPv6Address.IsValid() {
				all = append(all, n.GlobalIPv6Address.String())
			}
		}
		if len(all) > 0 {
			return slices.Min(all), nil
		}
	}
	return "", fmt.Errorf("%w: it is on no network", container.ErrUnsupported)
}
