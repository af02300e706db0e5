// Package build makes images. It speaks BuildKit's own protocol in this process, through the
// engine's socket, so it needs neither a docker CLI nor buildx; where the engine has no BuildKit it
// hands a tar of the context to the engine's old builder.
//
// Builds that are equal (Request.Key) and in flight at the same time are run once. A build is
// cancelled when the last caller that waits for it has left.
package build

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"github.com/moby/buildkit/client"
)

// ErrCanceled is returned by Build when its context ended before the build did. It comes wrapped
// together with the context's own error.
var ErrCanceled = errors.New("build canceled")

// ErrClosed is returned by Build after Close.
var ErrClosed = errors.New("builder is closed")

// ErrUnavailable is returned by Build when the engine did not answer, also not at a second try.
var ErrUnavailable = errors.New("the engine's builder does not answer")

// ErrUnsupported is returned, wrapped with the reason, when this engine cannot build what the
// request asks for.
var ErrUnsupported = errors.New("not supported by this engine")

// Dial opens a hijacked connection on the engine. The path is "/grpc" (meta is nil) or "/session"
// (meta holds the headers that BuildKit wants sent); proto is the value of the Upgrade header.
type Dial func(ctx context.Context, path, proto string, meta map[string][]string) (net.Conn, error)

// Classic builds with the engine's old builder. It is used where the engine has no BuildKit.
type Classic interface {
	// ClassicBuild sends the context, a tar stream that holds the Dockerfile under the given name,
	// and calls out for every line of output, without its newline. It has to apply r.Tags,
	// r.Labels, r.Args, r.Target and the limits, and to return the engine's own words as the
	// error of a build that did not succeed.
	ClassicBuild(ctx context.Context, r Request, context io.Reader, dockerfile string, out func(line string)) error
}

// Options are what a Builder needs. Dial is required where HasBuildKit is true, Classic where it is
// false.
type Options struct {
	Dial    Dial
	Classic Classic
	// HasBuildKit says that the engine serves BuildKit on its socket.
	HasBuildKit bool
	// DockerConfigDir is the folder of the docker CLI's config.json, for registry credentials,
	// their helpers, and proxy settings. Empty: DOCKER_CONFIG, else ~/.docker.
	DockerConfigDir string
}

// Request is one image to make. All paths are absolute and all values are resolved.
type Request struct {
	// Key tells builds apart: requests with equal keys are the same build, which is run once for
	// all callers that wait for it. Their Tags may differ, and all are applied. Empty: not shared.
	Key string
	// Service is for messages.
	Service string
	// Context is an absolute folder, or a git or http URL. It may be empty when DockerfileInline
	// is set and copies nothing.
	Context string
	// Dockerfile is absolute, or relative to Context; empty means Dockerfile. It may lie outside
	// of the context.
	Dockerfile string
	// DockerfileInline is the text of a Dockerfile; it is used instead of Dockerfile.
	DockerfileInline string

	Target        string            // stage to build; empty: the last
	Args          map[string]string // build args; the docker config's proxies are added where unset
	Labels        map[string]string
	Tags          []string            // references; none leaves an image without a name
	CacheFrom     []string            // an image reference, or "type=registry,ref=…"
	CacheTo       []string            // "type=inline", "type=local,dest=…", …
	NoCacheFilter []string            // stages that take nothing from the cache
	Platforms     []string            // "linux/arm64"; none: the engine's own
	Entitlements  []string            // "network.host", "security.insecure"
	ExtraHosts    []string            // "name=address" or "name:address"; address may be host-gateway
	NoCache       bool                // takes nothing from the cache
	Pull          bool                // asks the registry for newer base images
	Privileged    bool                // RUN --security=insecure is allowed
	Network       string              // of RUN steps: default, none, host
	ShmSize       int64               // bytes of /dev/shm in RUN steps; 0: the engine's default
	Ulimits       map[string][2]int64 // name -> soft, hard

	// AdditionalContexts maps a name to a folder, a URL, or docker-image://…
	AdditionalContexts map[string]string
	Secrets            []Secret
	SSH                []SSH
	// Provenance and SBOM ask for attestations: "true", or attributes such as "mode=max". Empty
	// and "false": none.
	Provenance, SBOM string
}

// Secret is a value that RUN --mount=type=secret sees, and no layer keeps.
type Secret struct {
	ID   string
	File string // absolute path of the file that holds the value; read when the build asks for it
	Env  string // the value itself, taken from the environment by the caller; used where File is empty
}

// SSH is an agent that RUN --mount=type=ssh may use.
type SSH struct {
	ID    string   // empty: default
	Paths []string // an agent's socket, or private keys; none: SSH_AUTH_SOCK
}

// Progress is a build as it stands. Its slices are never written to again.
type Progress struct {
	// Steps holds everything the builder did, in the order it began.
	Steps []Step
	// Done, Total and Cached count the steps of the Dockerfile only. Total grows when the builder
	// tells of another stage.
	Done, Total, Cached int
	// Output holds the lines that came since the last call to this caller, as the commands printed
	// them, at most 1000: where more came, the first of them says how many are left out. A caller
	// that joins a running build gets its last 1000 lines first.
	Output []string
}

// Step is one thing the builder does: a line of the Dockerfile, or work around it such as loading
// the context. It has not begun while Started is zero, runs while Ended is zero, and has failed
// where Err is set.
type Step struct {
	Name           string    // "[2/5] RUN go build ./..."
	Cached         bool      // the result was there already
	Started, Ended time.Time // by the engine's clock
	Err            string
	Current, Size  int64    // bytes sent, received or unpacked; Size is 0 where it is not known
	Log            []string // the last 50 lines of its output
}

// Result is a build that succeeded.
type Result struct {
	// Image is the first tag of the caller's request, or the digest where it asked for none.
	Image string
	// Digest is the image as the builder reports it; empty where it reports none.
	Digest string
	Took   time.Duration // from the start of the build, also for callers that joined later
	Shared bool          // another caller waited for the same build
	Steps  []Step
	// Notices are lines on what was asked for and this engine cannot do, such as ulimits on an
	// old engine; the image was made without it.
	Notices []string
}

// Builder makes images on one engine. All methods may be called from any goroutine.
type Builder struct {
	opt Options

	mu     sync.Mutex
	closed bool
	bk     *client.Client  // nil until the first build, and after it was found broken
	caps   *capabilities   // what the engine of bk can do; nil until asked
	runs   map[string]*run // by Request.Key, those in flight
	wg     sync.WaitGroup  // one per goroutine of a run
}

// New returns a Builder. It opens no connection before the first Build.
func New(o Options) *Builder {
	return &Builder{opt: o, runs: map[string]*run{}}
}
