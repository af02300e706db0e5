package container

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Builder makes images that the runtime can run. All methods may be called from any goroutine.
type Builder interface {
	// Build makes the image of a request, or joins an equal build that runs already.
	//
	// progress may be nil. It is called on the caller's goroutine with growing
	// snapshots, a bounded number of times a second, the last time just before
	// Build returns.
	//
	// A build that ran and failed is returned as *BuildError. The other errors that
	// callers may want to distinguish are ErrBuildCanceled, ErrBuilderClosed,
	// ErrBuilderUnavailable and ErrUnsupported.
	Build(ctx context.Context, r BuildRequest, progress func(BuildProgress)) (BuildResult, error)
	// Close cancels all builds and waits for their end. Builds that are waited for
	// return ErrBuilderClosed.
	Close() error
}

var (
	// ErrBuildCanceled is returned by Build when its context ended before the build
	// did. It comes wrapped together with the context's own error.
	ErrBuildCanceled = errors.New("build canceled")
	// ErrBuilderClosed is returned by Build after Close.
	ErrBuilderClosed = errors.New("builder is closed")
	// ErrBuilderUnavailable is returned by Build when the engine did not answer,
	// also not at a second try.
	ErrBuilderUnavailable = errors.New("the engine's builder does not answer")
)

// BuildRequest is one image to make. All paths are absolute and all values are resolved.
type BuildRequest struct {
	// Key identifies a build: requests with equal keys are the same build, which is run once for
	// all callers that wait for it. Their Tags may differ, and all are applied. Empty: not shared.
	Key string
	// Service is for messages.
	Service string
	// Context is an absolute folder, or a git or http URL. It may be empty when DockerfileInline
	// is set and copies nothing.
	Context string
	// Within is an absolute folder without links on the way to it. No link leads out of it to a
	// Context, or a folder of AdditionalContexts, that lies in it. It may be empty.
	Within string
	// Dockerfile is absolute, or relative to Context; empty means Dockerfile. It may lie outside
	// of the context.
	Dockerfile string
	// DockerfileInline is the text of a Dockerfile; it is used instead of Dockerfile.
	DockerfileInline string

	Target        string            // stage to build; empty: the last
	Args          map[string]string // build args; the docker config's proxies are added where unset
	Labels        map[string]string
	Tags          []string // references; none leaves an image without a name
	CacheFrom     []string // an image reference, or "type=registry,ref=…"
	CacheTo       []string // "type=inline", "type=local,dest=…", …
	NoCacheFilter []string // stages that take nothing from the cache
	Platforms     []string // "linux/arm64"; none: the engine's own
	Entitlements  []string // "network.host", "security.insecure"
	ExtraHosts    []string // "name=address" or "name:address"; address may be host-gateway
	NoCache       bool     // takes nothing from the cache
	// looks at the Dockerfile, and makes no image: what it finds is a BuildError
	Check      bool
	Pull       bool                // asks the registry for newer base images
	Privileged bool                // RUN --security=insecure is allowed
	Network    string              // of RUN steps: default, none, host
	ShmSize    int64               // bytes of /dev/shm in RUN steps; 0: the engine's default
	Ulimits    map[string][2]int64 // name -> soft, hard

	// AdditionalContexts maps a name to a folder, a URL, or docker-image://…
	AdditionalContexts map[string]string
	Secrets            []BuildSecret
	SSH                []BuildSSH
	// Provenance and SBOM ask for attestations: "true", or attributes such as "mode=max". Empty
	// and "false": none.
	Provenance, SBOM string
}

// BuildSecret is a value that RUN --mount=type=secret sees, and no layer keeps.
type BuildSecret struct {
	ID   string
	File string // absolute path of the file that holds the value; read when the build asks for it
	Env  string // the value itself, taken from the environment by the caller; used where File is empty
}

// BuildSSH is an agent that RUN --mount=type=ssh may use.
type BuildSSH struct {
	ID    string   // empty: default
	Paths []string // an agent's socket, or private keys; none: SSH_AUTH_SOCK
}

// BuildProgress is a build as it stands. Its slices are never written to again.
type BuildProgress struct {
	// Steps holds everything the builder did, in the order it began.
	Steps []BuildStep
	// Done, Total and Cached count the steps of the Dockerfile only. Total grows when the builder
	// reports another stage.
	Done, Total, Cached int
	// Output holds the lines that came since the last call to this caller, as the commands printed
	// them, at most 1000: where more came, the first of them says how many are left out. A caller
	// that joins a running build gets its last 1000 lines first.
	Output []string
}

// BuildStep is one thing the builder does: a line of the Dockerfile, or work around
// it such as loading the context. It has not begun while Started is zero, runs
// while Ended is zero, and has failed where Err is set.
type BuildStep struct {
	Name           string    // "[2/5] RUN go build ./..."
	Internal       bool      // the builder's own work, as loading the context, which nobody asked for
	Cached         bool      // the result was there already
	Started, Ended time.Time // by the engine's clock
	Err            string
	Current, Size  int64    // bytes sent, received or unpacked; Size is 0 where it is not known
	Log            []string // the last 50 lines of its output
}

// BuildResult is a build that succeeded.
type BuildResult struct {
	// Image is the first tag of the caller's request, or the digest where it asked for none.
	Image string
	// Digest is the image as the builder reports it; empty where it reports none.
	Digest string
	Took   time.Duration // from the start of the build, also for callers that joined later
	Shared bool          // another caller waited for the same build
	Steps  []BuildStep
	// Notices are lines on what was asked for and this engine cannot do, such as ulimits on an
	// old engine; the image was made without it.
	Notices []string
}

// SourceLine is a line of a Dockerfile that is shown around one that failed.
type SourceLine struct {
	Number int // from 1
	Text   string
	Failed bool // it is a part of the step that failed
}

// String returns the line with its number, and a mark where it failed.
func (l SourceLine) String() string {
	mark := " "
	if l.Failed {
		mark = ">"
	}
	return fmt.Sprintf("%s %3d | %s", mark, l.Number, l.Text)
}

// BuildError is a build that ran and did not succeed.
type BuildError struct {
	Service string
	Step    string       // the Dockerfile line, as written; empty where the build broke before its steps
	File    string       // path of the Dockerfile; empty for an inline one and where it is not known
	Around  []SourceLine // lines of the Dockerfile around Step; none where it is not known
	Line    int          // of Step in File, from 1; 0 where it is not known
	Tail    []string     // last 20 lines of the step's output, uncleaned
	Err     error        // what went wrong, without the prefix that every failed build has in common
}

func (e *BuildError) Error() string {
	return "build " + e.Service + ": " + e.Reason()
}

// Reason is why, without what was being done.
func (e *BuildError) Reason() string { return e.place() + e.Err.Error() }

// place is where it broke, in front of why.
func (e *BuildError) place() string {
	var s strings.Builder
	if e.File != "" && e.Line > 0 {
		fmt.Fprintf(&s, "%s:%d: ", e.File, e.Line)
	}
	if first, _, more := strings.Cut(e.Step, "\n"); more {
		fmt.Fprintf(&s, "%s …: ", first)
	} else if e.Step != "" {
		fmt.Fprintf(&s, "%s: ", e.Step)
	}
	return s.String()
}

// Subject returns the service.
func (e *BuildError) Subject() string { return e.Service }

// WithoutService returns the error as it reads beside the service's name.
func (e *BuildError) WithoutService() error { return &About{Words: e.place(), Err: e.Err} }

// Explain implements Explainer.
func (e *BuildError) Explain() (text, remedy string) {
	text, remedy = Explain(e.Err)
	return "build " + e.Service + ": " + e.place() + text, remedy
}

func (e *BuildError) Unwrap() error { return e.Err }
