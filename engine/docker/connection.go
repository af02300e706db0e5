package docker

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/moby/moby/api/types/build"
	moby "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"bulkhead/engine/container"
)

var (
	errNotRunning = errors.New("it does not run")
	// errNoAccess means that the container's processes are not ours to look at.
	errNoAccess = errors.New("no access to the container's processes")
)

// connection is the way to one engine, and what is known about that engine. All
// parts of a Runtime share it.
type connection struct {
	opt Options
	end endpoint
	cli *client.Client
	// slots has room for the operations that Options.Parallel allows at a time; nil: no limit
	slots chan struct{}

	mu     sync.Mutex
	warned map[string]bool // lines that Options.Warn got
	api    apiVersion      // 0 until negotiated
	// that the engine names as its choice, in the answer that the version came with
	builder   build.BuilderVersion
	streaming *client.Client // see streams
	info      container.Info // zero until the first Info
}

func newClient(end endpoint, more ...client.Opt) (*client.Client, error) {
	opts := []client.Opt{
		client.WithAPIVersionFromEnv(), client.WithUserAgent("bulkhead"),
		client.WithHTTPRequestHook(limitCall), client.WithHTTPResponseHook(limitAnswer),
		client.WithHTTPClient(&http.Client{
			Transport: &http.Transport{
				TLSClientConfig: end.tls,
				// Engines speak HTTP/1; and what HTTP/2 would add to the TLS
				// settings makes the client take any engine for one with TLS.
				TLSNextProto: map[string]func(string, *tls.Conn) http.RoundTripper{},
				// An engine writes a log line by line, and the usual 4 KiB hold few of them.
				ReadBufferSize: readBuffer,
				MaxIdleConns:   6, IdleConnTimeout: 30 * time.Second, // as the client's own has
			},
			CheckRedirect: client.CheckRedirect,
		}),
	}
	if end.ssh != nil {
		// The host only has to parse: every connection is a dial-stdio over ssh.
		opts = append(opts, client.WithHost("http://docker.example.com"), client.WithDialContext(end.ssh.dial))
	} else {
		opts = append(opts, client.WithHost(end.host))
	}
	return client.New(append(opts, more...)...)
}

// streams is the client for logs that are followed. Its connections end with their streams.
func (c *connection) streams(ctx context.Context) (*client.Client, error) {
	if !c.end.unix() || runtime.GOOS != "linux" {
		return c.cli, nil
	}
	v, err := c.version(ctx)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.streaming == nil {
		path := strings.TrimPrefix(c.end.host, "unix://")
		c.streaming, err = newClient(c.end, client.WithAPIVersion(v.String()),
			client.WithDialContext(func(context.Context, string, string) (net.Conn, error) {
				return dialEpoll(path)
			}))
	}
	return c.streaming, err
}

// Host is the engine's address, as DOCKER_HOST or the docker context has it.
func (c *connection) Host() string { return c.end.host }

// ConfigDir is the docker command's config folder, for builders that want registry credentials.
func (c *connection) ConfigDir() string { return c.end.configDir }

// Dial opens a hijacked connection on the engine; it is a build.Dial.
func (c *connection) Dial(ctx context.Context, path, proto string, meta map[string][]string) (net.Conn, error) {
	conn, err := c.cli.DialHijack(ctx, path, proto, meta)
	if err != nil {
		return nil, c.wrap("dial "+path+" of the engine", err)
	}
	return conn, nil
}

// Close implements container.Runtime. It closes the idle connections. Calls under way go on.
func (c *connection) Close() error {
	c.mu.Lock()
	streaming := c.streaming
	c.mu.Unlock()
	if streaming != nil {
		streaming.Close() // it closes idle connections, as the other one does, and returns no error
	}
	if err := c.cli.Close(); err != nil {
		return fmt.Errorf("close the connection to the engine: %w", err)
	}
	return nil
}

// warn hands out a line that was not handed out before.
func (c *connection) warn(line string) {
	if c.opt.Warn == nil {
		return
	}
	c.mu.Lock()
	seen := c.warned[line]
	c.warned[line] = true
	c.mu.Unlock()
	if !seen {
		c.opt.Warn(line)
	}
}

// apiVersion is the minor part of a negotiated API version; the major part has been 1 ever since.
type apiVersion int

func (v apiVersion) String() string { return "1." + strconv.Itoa(int(v)) }

func parseAPI(s string) (apiVersion, error) {
	minor, ok := strings.CutPrefix(s, "1.")
	n, err := strconv.Atoi(minor)
	if !ok || err != nil {
		return 0, fmt.Errorf("engine speaks API version %q, and only 1.x is known", s)
	}
	return apiVersion(n), nil
}

// version negotiates the API version, once.
func (c *connection) version(ctx context.Context) (apiVersion, error) {
	c.mu.Lock()
	v := c.api
	c.mu.Unlock()
	if v != 0 {
		return v, nil
	}
	ping, err := c.cli.Ping(ctx, client.PingOptions{NegotiateAPIVersion: true})
	if err != nil {
		return 0, c.wrap("ask the engine for its API version", err)
	}
	v, err = parseAPI(c.cli.ClientVersion())
	if err != nil {
		return 0, err
	}
	c.mu.Lock()
	c.api, c.builder = v, ping.BuilderVersion
	c.mu.Unlock()
	return v, nil
}

// running inspects a container; errNotRunning when there is no process.
func (c *connection) running(ctx context.Context, id string) (moby.InspectResponse, error) {
	res, err := c.cli.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
	if err != nil {
		return moby.InspectResponse{}, c.wrap("inspect "+container.ShortID(id), err)
	}
	if s := res.Container.State; s == nil || s.Pid == 0 {
		return res.Container, errNotRunning
	}
	return res.Container, nil
}

// inspect reads one instance.
func (c *connection) inspect(ctx context.Context, id string) (container.Instance, error) {
	res, err := c.cli.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
	if err != nil {
		return container.Instance{}, c.wrap("inspect "+container.ShortID(id), err)
	}
	return instance(res.Container), nil
}

// Info implements container.Runtime.
func (c *connection) Info(ctx context.Context) (container.Info, error) {
	c.mu.Lock()
	known := c.info
	c.mu.Unlock()
	if known.ID != "" {
		return known, nil
	}
	api, err := c.version(ctx)
	if err != nil {
		return container.Info{}, err
	}
	kept := recall{dir: c.opt.State, end: c.end}
	if info, ok := kept.get(api); ok {
		c.mu.Lock()
		c.info = info
		c.mu.Unlock()
		return info, nil
	}
	res, err := c.cli.Info(ctx, client.InfoOptions{})
	if err != nil {
		return container.Info{}, c.wrap("ask the engine who it is", err)
	}
	i := res.Info
	info := container.Info{
		ID: i.ID, Name: "docker", Version: i.ServerVersion, API: api.String(),
		Context: c.end.context, Host: c.end.host, OS: i.OSType, Arch: i.Architecture,
		NCPU: i.NCPU, MemTotal: i.MemTotal,
		Rootless: slices.ContainsFunc(i.SecurityOptions, func(o string) bool {
			return strings.Contains(o, "rootless")
		}),
		Cgroup: i.CgroupVersion,
	}
	if info.ID == "" {
		info.ID = i.Name // Podman's service has none
	}
	if info.Cgroup == "" && i.OSType == "linux" {
		info.Cgroup = "1" // API 1.40 knows no other
	}
	// A virtual machine may be behind a local socket, and bulkhead may run in a
	// container itself: then the kernel or the host name differs.
	host, err := os.Hostname()
	info.Local = err == nil && c.end.unix() && i.OSType == "linux" && runtime.GOOS == "linux" &&
		i.Name == host && i.KernelVersion == kernelRelease()
	kept.put(info)
	c.mu.Lock()
	c.info = info
	c.mu.Unlock()
	return info, nil
}

// local says whether the engine runs on this machine, so that its processes are
// ours to look at. An engine that does not answer is not known to.
func (c *connection) local(ctx context.Context) bool {
	info, err := c.Info(ctx)
	return err == nil && info.Local
}

// Ping implements container.Pinger.
func (c *connection) Ping(ctx context.Context) error {
	_, err := c.cli.Ping(ctx, client.PingOptions{})
	return c.wrap("ask the engine for a sign of life", err)
}

// BuildKit says whether the engine serves BuildKit. Engines before 23.0 name the old builder as
// their choice, and serve BuildKit all the same: those are asked at /grpc, once.
func (c *connection) BuildKit(ctx context.Context) (bool, error) {
	if _, err := c.version(ctx); err != nil {
		return false, err
	}
	c.mu.Lock()
	served := c.builder == build.BuilderBuildKit
	c.mu.Unlock()
	if served {
		return true, nil
	}
	conn, err := c.cli.DialHijack(ctx, "/grpc", "h2c", nil)
	if err != nil {
		return false, nil // it has answered before, so this is its answer
	}
	conn.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.builder = build.BuilderBuildKit
	return true, nil
}

// slot waits until one of the operations that Options.Parallel allows at a time may begin. Call
// release at its end.
func (c *connection) slot(ctx context.Context) (release func(), err error) {
	if c.slots == nil {
		return func() {}, nil
	}
	select {
	case c.slots <- struct{}{}:
		return func() { <-c.slots }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
