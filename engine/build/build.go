// Package build makes images with BuildKit: it implements container.Builder, and is the only
// package that knows BuildKit. It speaks BuildKit's own protocol through the engine's socket,
// so it needs neither a docker CLI nor buildx; where the engine has no BuildKit it sends a tar
// of the context to the engine's old builder. It owns the builds in flight. It never decides
// what is built or when: the engine does, and main makes the Builder that it calls.
//
// Builds that are equal (container.BuildRequest.Key) and in flight at the same time are run
// once. A build is cancelled when the last caller that waits for it has left.
package build

import (
	"context"
	"io"
	"net"
	"sync"

	"github.com/moby/buildkit/client"

	"bulkhead/engine/container"
)

// ErrUnsupported is returned, wrapped with the reason, when this engine cannot build what the
// request asks for.
var ErrUnsupported error = unsupported{}

// unsupported is container.ErrUnsupported, worded for a Docker engine.
type unsupported struct{}

func (unsupported) Error() string { return "not supported by this engine" }
func (unsupported) Unwrap() error { return container.ErrUnsupported }

// Dial opens a hijacked connection on the engine. The path is "/grpc" (meta is nil) or "/session"
// (meta holds the headers that BuildKit wants sent); proto is the value of the Upgrade header.
type Dial func(ctx context.Context, path, proto string, meta map[string][]string) (net.Conn, error)

// Classic builds with the engine's old builder. It is used where the engine has no BuildKit.
type Classic interface {
	// ClassicBuild sends the context, a tar stream that holds the Dockerfile under the given name,
	// and calls out for every line of output, without its newline. It has to apply r.Tags,
	// r.Labels, r.Args, r.Target and the limits, and to return the engine's own message as the
	// error of a build that did not succeed.
	ClassicBuild(ctx context.Context, r container.BuildRequest, context io.Reader, dockerfile string,
		out func(line string)) error
}

// ServesBuildKit is an Options.HasBuildKit for an engine that is known to.
func ServesBuildKit(context.Context) (bool, error) { return true, nil }

// Options are what a Builder needs. Dial is required where HasBuildKit says yes, Classic where it
// says no.
type Options struct {
	Dial    Dial
	Classic Classic
	// HasBuildKit asks whether the engine serves BuildKit on its socket. It is called by builds
	// alone; nil: it does not.
	HasBuildKit func(context.Context) (bool, error)
	// DockerConfigDir is the folder of the docker CLI's config.json, for registry credentials,
	// their helpers, and proxy settings. Empty: DOCKER_CONFIG, else ~/.docker.
	DockerConfigDir string
}

// Builder is the container.Builder of one engine.
type Builder struct {
	opt Options

	mu     sync.Mutex
	closed bool
	bk     *client.Client  // nil until the first build, and after it was found broken
	caps   *capabilities   // what the engine of bk can do; nil until asked
	runs   map[string]*run // by BuildRequest.Key, those in flight
	wg     sync.WaitGroup  // one per goroutine of a run
}

var _ container.Builder = (*Builder)(nil)

// New returns a Builder. It opens no connection before the first Build.
func New(o Options) *Builder {
	return &Builder{opt: o, runs: map[string]*run{}}
}
