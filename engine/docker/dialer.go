package docker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"syscall"
	"time"

	moby "github.com/moby/moby/api/types/container"

	"bulkhead/engine/agent"
	"bulkhead/engine/agent/relay"
	"bulkhead/engine/container"
)

// dialer is the container.Dialer.
type dialer struct {
	conn   *connection
	direct func(ctx context.Context, network, address string) (net.Conn, error)
	agents *helpers[*relay.Client]

	mu   sync.Mutex
	ways map[string]way // by id of the network
}

// way is how the addresses of a network are reached from here, as far as that is known.
type way uint8

const (
	wayUnknown way = iota
	wayDirect      // an address of it answered, if only with a refusal
	wayAgent       // an address of it did not, and the agent beside that container opened the connection
)

const (
	// directLimit is how long a network that has never answered is tried without the agent: on a bridge
	// of this machine the kernel answers at once.
	directLimit = 500 * time.Millisecond
	// dialIdle outlasts the pauses between two probes, and not the container by much.
	dialIdle = 15 * time.Second
)

var _ container.Dialer = (*Runtime)(nil)

func newDialer(conn *connection, runner *agentRunner) *dialer {
	agents := &helpers[*relay.Client]{
		conn: conn, runner: runner, profile: container.AgentDial, verb: "dial", program: agent.Program,
		idle: dialIdle, instead: "its ports are not reached",
		dial: relay.Dial, agents: map[string]*helper[*relay.Client]{},
	}
	return &dialer{conn: conn, direct: new(net.Dialer).DialContext, agents: agents, ways: map[string]way{}}
}

// DialInstance implements container.Dialer. The host reaches containers by their
// addresses where a rootful engine runs on it. Elsewhere, and where that address
// does not answer at all, the agent beside the container opens the connection.
func (d *dialer) DialInstance(ctx context.Context, id string, port int) (net.Conn, error) {
	wrap := func(err error) error {
		return fmt.Errorf("dial port %d of %s: %w", port, container.ShortID(id), err)
	}
	info, err := d.conn.Info(ctx)
	if err != nil {
		return nil, err
	}
	at, err := d.find(ctx, id, 0)
	if err != nil {
		return nil, wrap(err)
	}
	address := net.JoinHostPort(at.host, strconv.Itoa(port))
	here := info.Local && !info.Rootless
	switch way := d.way(at.network); {
	case at.ofEngine && here, at.network != "" && here && way == wayDirect:
		conn, err := d.direct(ctx, "tcp", address)
		if err != nil {
			return nil, wrap(err)
		}
		return conn, nil
	case at.ofEngine:
		return nil, wrap(fmt.Errorf("%w: it uses the network of the engine's host, where no agent is run",
			container.ErrUnsupported))
	case at.network != "" && here && way == wayUnknown:
		conn, err := d.first(ctx, at, address)
		if err != nil {
			return nil, wrap(err)
		}
		return conn, nil
	}
	conn, err := d.inside(ctx, at.owner, address)
	if err != nil {
		return nil, wrap(err)
	}
	return conn, nil
}

// first dials an address of a network of which nothing is known yet.
func (d *dialer) first(ctx context.Context, at place, address string) (net.Conn, error) {
	limited, cancel := context.WithTimeout(ctx, directLimit)
	defer cancel()
	conn, err := d.direct(limited, "tcp", address)
	if err == nil || errors.Is(err, syscall.ECONNREFUSED) {
		d.learn(at.network, wayDirect)
		return conn, err
	}
	conn, insideErr := d.inside(ctx, at.owner, address)
	if insideErr == nil || errors.Is(insideErr, syscall.ECONNREFUSED) {
		d.learn(at.network, wayAgent)
		return conn, insideErr
	}
	return nil, fmt.Errorf("%w; %w", err, insideErr)
}

func (d *dialer) way(network string) way {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.ways[network]
}

func (d *dialer) learn(network string, w way) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ways[network] = w
}

// inside has the agent beside a container open a connection. An error says something of the container
// only where it does not wrap container.ErrUnsupported: that means that no agent could ask.
func (d *dialer) inside(ctx context.Context, owner moby.InspectResponse, address string) (net.Conn, error) {
	a, err := d.agents.agent(ctx, owner)
	if err != nil {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("%w: the agent beside this container has not started yet: %w",
				container.ErrUnsupported, ctx.Err())
		}
		return nil, fmt.Errorf(
			"%w: the host does not reach this container by an address, and no agent runs beside it: %w",
			container.ErrUnsupported, err)
	}
	conn, err := a.client.DialContext(ctx, address)
	if err != nil {
		d.agents.release(owner.ID, a)
		if errors.Is(err, relay.ErrEnded) {
			err = fmt.Errorf("%w: %w", container.ErrUnsupported, err) // the next dial starts another one
		}
		return nil, err
	}
	return &insideConn{Conn: conn, release: sync.OnceFunc(func() { d.agents.release(owner.ID, a) })}, nil
}

// insideConn keeps its agent until it is closed.
type insideConn struct {
	net.Conn
	release func()
}

func (c *insideConn) Close() error {
	defer c.release()
	return c.Conn.Close()
}

// place is where a container listens.
type place struct {
	owner    moby.InspectResponse // of the network namespace
	host     string               // its address; without one localhost, which only its own namespace reaches
	network  string               // id of the network that the address is on; "": none
	ofEngine bool                 // the namespace is that of the engine's host
}

// find finds where a container listens, also when it shares another one's network.
func (d *dialer) find(ctx context.Context, id string, depth int) (place, error) {
	c, err := d.conn.running(ctx, id)
	if err != nil {
		return place{}, err
	}
	at := place{owner: c, host: "localhost"}
	if c.HostConfig != nil {
		if c.HostConfig.NetworkMode.IsHost() {
			return place{owner: c, host: "127.0.0.1", ofEngine: true}, nil
		}
		if c.HostConfig.NetworkMode.IsContainer() {
			if depth >= 5 {
				return place{}, fmt.Errorf("%w: its network is joined by way of more than 5 containers",
					container.ErrUnsupported)
			}
			return d.find(ctx, c.HostConfig.NetworkMode.ConnectedContainer(), depth+1)
		}
	}
	if c.NetworkSettings == nil {
		return at, nil
	}
	for _, n := range c.NetworkSettings.Networks {
		if n == nil {
			continue
		}
		addr := n.IPAddress
		if !addr.IsValid() {
			addr = n.GlobalIPv6Address
		}
		if addr.IsValid() && (at.network == "" || addr.String() < at.host) { // of several always the same one
			at.host, at.network = addr.String(), n.NetworkID
		}
	}
	return at, nil
}
