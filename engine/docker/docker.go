// Package docker is the container.Runtime on the Docker Engine API. It is the only package that knows the moby client.
//
// What it makes carries the labels, names and hashes of docker compose, so that either program takes over what the
// other one made. The mapping from Compose attributes to the Engine's is pure: see containerConfig, hostConfig,
// endpoints and mounts.
package docker

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/moby/moby/api/types/build"
	"github.com/moby/moby/client"

	"bulkhead/engine/container"
)

// Options say which engine to talk to. The zero value is what the docker command would choose: DOCKER_HOST, then
// DOCKER_CONTEXT, then the current context of the docker config, then the platform's default socket.
type Options struct {
	Host      string // unix://, tcp://, http://, npipe:// or ssh://; it wins over Context
	Context   string // name of a docker context
	ConfigDir string // the docker command's config folder; "": DOCKER_CONFIG, else ~/.docker
	// Warn gets one line for what an object asks for and this engine does not do, each line once. It may be called
	// from any goroutine and must not block. nil: the lines are lost.
	Warn func(line string)
	// Log gets a line on what was decided about the connection. nil: none.
	Log func(line string)
}

// Runtime is an container.Runtime. All methods may be called from any goroutine. Nothing is dialed before the first call.
type Runtime struct {
	opt Options
	end endpoint
	cli *client.Client

	mu        sync.Mutex
	warned    map[string]bool
	api       apiVersion           // 0 until negotiated
	picks     build.BuilderVersion // what the engine says that it builds with, in the answer to that
	following *client.Client       // see streams
	info      container.Info       // zero until the first Info
	users     map[string][2]int    // numbers of a user, by image id and name
	gauges    map[string]*gauge    // of containers whose use was read, by id; see localStats
}

var _ container.Runtime = (*Runtime)(nil)

// New finds out where the engine is. The error names the file or variable that is wrong. It wraps container.ErrNoEngine
// when a context is chosen that does not exist, or a host that is none.
func New(o Options) (*Runtime, error) {
	end, err := findEndpoint(o)
	if err != nil {
		return nil, err
	}
	cli, err := newClient(end)
	if err != nil {
		return nil, fmt.Errorf("%w: use the docker engine at %s: %w; write DOCKER_HOST as unix:///var/run/docker.sock, tcp://host:2376 or ssh://user@host",
			container.ErrNoEngine, end.host, err)
	}
	if o.Log != nil {
		o.Log(fmt.Sprintf("docker engine: %s (context %s)", end.host, end.context))
	}
	return &Runtime{opt: o, end: end, cli: cli, warned: map[string]bool{}, users: map[string][2]int{}}, nil
}

func newClient(end endpoint, more ...client.Opt) (*client.Client, error) {
	opts := []client.Opt{
		client.WithAPIVersionFromEnv(), client.WithUserAgent("bulkhead"),
		client.WithHTTPClient(&http.Client{
			Transport: &http.Transport{
				TLSClientConfig: end.tls,
				// Engines speak HTTP/1; and what HTTP/2 would add to the TLS settings makes the client take any engine for one with TLS.
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
func (r *Runtime) streams(ctx context.Context) (*client.Client, error) {
	if !r.end.unix() || runtime.GOOS != "linux" {
		return r.cli, nil
	}
	v, err := r.version(ctx)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.following == nil {
		path := strings.TrimPrefix(r.end.host, "unix://")
		r.following, err = newClient(r.end, client.WithAPIVersion(v.String()),
			client.WithDialContext(func(context.Context, string, string) (net.Conn, error) { return dialQuiet(path) }))
	}
	return r.following, err
}

// Host is the engine's address, as DOCKER_HOST or the docker context has it.
func (r *Runtime) Host() string { return r.end.host }

// ConfigDir is the docker command's config folder, for builders that want registry credentials.
func (r *Runtime) ConfigDir() string { return r.end.configDir }

// Dial opens a hijacked connection on the engine; it is a build.Dial.
func (r *Runtime) Dial(ctx context.Context, path, proto string, meta map[string][]string) (net.Conn, error) {
	conn, err := r.cli.DialHijack(ctx, path, proto, meta)
	if err != nil {
		return nil, r.wrap("dial "+path+" of the engine", err)
	}
	return conn, nil
}

// Close gives up the idle connections. Calls under way go on.
func (r *Runtime) Close() error {
	r.mu.Lock()
	following := r.following
	r.mu.Unlock()
	if following != nil {
		following.Close() // it keeps idle connections shut, as the other one does, and has no error to give
	}
	if err := r.cli.Close(); err != nil {
		return fmt.Errorf("close the connection to the engine: %w", err)
	}
	return nil
}

// warn hands out a line that was not handed out before.
func (r *Runtime) warn(line string) {
	if r.opt.Warn == nil {
		return
	}
	r.mu.Lock()
	seen := r.warned[line]
	r.warned[line] = true
	r.mu.Unlock()
	if !seen {
		r.opt.Warn(line)
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
func (r *Runtime) version(ctx context.Context) (apiVersion, error) {
	r.mu.Lock()
	v := r.api
	r.mu.Unlock()
	if v != 0 {
		return v, nil
	}
	ping, err := r.cli.Ping(ctx, client.PingOptions{NegotiateAPIVersion: true})
	if err != nil {
		return 0, r.wrap("ask the engine for its API version", err)
	}
	v, err = parseAPI(r.cli.ClientVersion())
	if err != nil {
		return 0, err
	}
	r.mu.Lock()
	r.api, r.picks = v, ping.BuilderVersion
	r.mu.Unlock()
	return v, nil
}
