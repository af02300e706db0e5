package docker

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"

	"bulkhead/engine/container"
)

// dialer is the container.Dialer.
type dialer struct {
	conn *connection
}

var _ container.Dialer = (*Runtime)(nil)

// DialInstance implements container.Dialer. The host reaches containers by their
// addresses where a rootful engine runs on it.
func (d *dialer) DialInstance(ctx context.Context, id string, port int) (net.Conn, error) {
	what := fmt.Sprintf("dial port %d of %s", port, container.ShortID(id))
	info, err := d.conn.Info(ctx)
	if err != nil {
		return nil, err
	}
	if !info.Local || info.Rootless {
		return nil, fmt.Errorf("%s: %w: the host does not reach containers by their addresses here", what, container.ErrUnsupported)
	}
	host, err := d.address(ctx, id, 0)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", net.JoinHostPort(host, strconv.Itoa(port)))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	return conn, nil
}

// address finds where a container listens, also when it shares another one's network.
func (d *dialer) address(ctx context.Context, id string, depth int) (string, error) {
	c, err := d.conn.running(ctx, id)
	if err != nil {
		return "", err
	}
	if c.HostConfig != nil {
		if c.HostConfig.NetworkMode.IsHost() {
			return "127.0.0.1", nil
		}
		if c.HostConfig.NetworkMode.IsContainer() && depth < 5 {
			return d.address(ctx, c.HostConfig.NetworkMode.ConnectedContainer(), depth+1)
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
