package container

import (
	"context"
	"io"
	"net"
	"slices"
	"time"

	"github.com/compose-spec/compose-go/v2/types"
)

// Runtime is what every runtime does. All methods may be called from any goroutine; all block until
// done or until ctx ends; errors name the object they were about.
//
// An id is that of a container, and lasts from Create to Remove over any number of lives, which Started
// tells apart. A runtime whose containers are other ones after each start hands out ids of their places,
// and lists a place that has none as exited.
type Runtime interface {
	// Info asks the runtime who it is; the first answer is kept. ErrNoEngine when nothing answers.
	Info(ctx context.Context) (Info, error)

	// Instances lists the project's service containers, stopped ones included; one-offs are left out.
	Instances(ctx context.Context, project string) ([]Instance, error)
	// Inspect reads one instance. ErrNotFound when it is gone.
	Inspect(ctx context.Context, id string) (Instance, error)
	// Create makes a container and joins its networks, without starting it, and returns its id.
	Create(ctx context.Context, s CreateSpec) (string, error)
	// Start starts a created or stopped container; what a service gets by content (secrets,
	// configs) is put in first, and one of the spec's hash is put back on the networks that it was
	// taken off. Without an App and a Service it is started as it is.
	Start(ctx context.Context, s CreateSpec, id string) error
	// Stop asks with the stop signal and kills after grace (rounded up to whole seconds; negative: the runtime's own
	// setting for this container).
	Stop(ctx context.Context, id string, grace time.Duration) error
	// Kill sends a signal ("SIGKILL", "TERM", "9").
	Kill(ctx context.Context, id, signal string) error
	// Remove removes a stopped container, and with force a running one; volumes says whether its anonymous volumes go too.
	// Not an error when it is gone already.
	Remove(ctx context.Context, id string, force, volumes bool) error

	// Events streams the project's events, beginning at since, until ctx ends or the connection
	// breaks. It calls emit in order and returns why it ended. Events that came twice are harmless.
	Events(ctx context.Context, project string, since time.Time, emit func(Event)) error
	// Logs reads an instance's lines: from since on (zero: all), at most tail lines of the past
	// (negative: all), and goes on until the instance ends when follow is set. emit gets a line's
	// Stream, Time, Text and Cut, and must not keep Text. ErrUnsupported when the logging driver
	// cannot be read.
	Logs(ctx context.Context, id string, o LogOptions, emit func(Line)) error
	// Exec runs a command in a running instance and returns its exit code. With o.TTY, o.Resize
	// brings the terminal's sizes.
	Exec(ctx context.Context, id string, o ExecOptions) (int, error)
	Close() error
}

// Pinger returns a sign of life. It asks the engine each time, with a call that costs it next to nothing.
type Pinger interface {
	Ping(ctx context.Context) error
}

// Pauser freezes the processes of a container.
type Pauser interface {
	Pause(ctx context.Context, id string) error
	Unpause(ctx context.Context, id string) error
}

// Renamer renames containers. A runtime without it finds a name for each container that it creates.
type Renamer interface {
	Rename(ctx context.Context, id, name string) error
}

// Provisioner makes what containers need around them.
type Provisioner interface {
	// FindNetwork looks for a network, and changes nothing. It is an error wrapping ErrNotFound when an
	// external one does not exist.
	FindNetwork(ctx context.Context, n NetworkSpec) (Found, error)
	// FindVolume does the same for a named volume.
	FindVolume(ctx context.Context, v VolumeSpec) (Found, error)
	// EnsureNetwork makes a network, or accepts the one that is there, and returns its id. made says which it was.
	EnsureNetwork(ctx context.Context, n NetworkSpec) (id string, made bool, err error)
	// EnsureVolume does the same for a named volume.
	EnsureVolume(ctx context.Context, v VolumeSpec) (made bool, err error)
	// RemoveNetworks removes networks that were made for the project, and RemoveVolumes its named volumes: those whose
	// names only lists, nil for all. Those in use by others stay.
	RemoveNetworks(ctx context.Context, project string, only []string) (Swept, error)
	RemoveVolumes(ctx context.Context, project string, only []string) (Swept, error)
}

// Swept is what became of the networks or volumes that were made for a project, by sorted names. Those
// that are in use are in neither list.
type Swept struct {
	Removed []string
	Spared  []string // not to be removed
}

// Sort sorts both.
func (s *Swept) Sort() {
	slices.Sort(s.Removed)
	slices.Sort(s.Spared)
}

// Note adds one; only is as of Provisioner.RemoveNetworks. It returns whether to remove it.
func (s *Swept) Note(name string, only []string) (remove bool) {
	if only != nil && !slices.Contains(only, name) {
		s.Spared = append(s.Spared, name)
		return false
	}
	return true
}

// ImageStore holds the images that containers are made from.
type ImageStore interface {
	// Image looks an image up by name or id. ErrNotFound when the runtime does not have it.
	Image(ctx context.Context, ref, platform string) (Image, error)
	// Pull fetches an image, with the user's stored credentials. progress may be nil.
	Pull(ctx context.Context, ref, platform string, progress func(PullProgress)) error
	// RemoveImage removes an image by id when no container uses it and nothing names it; with
	// named, the names that builds for its project gave it do not keep it. It is not an error when
	// it stays for one of these reasons, or is gone already: removed says whether it went.
	RemoveImage(ctx context.Context, id string, named bool) (removed bool, err error)
	// ProjectImages lists the ids of images that were built for a project and that no tag names any more
	// (dangling), or with tagged all that were built for it.
	ProjectImages(ctx context.Context, project string, tagged bool) ([]string, error)
}

// Attacher streams output of containers whose logging driver cannot be read.
type Attacher interface {
	// Attach streams the output of a container from now on until it ends. attached is closed once
	// nothing can be missed: a container that starts after that is read from its first line. It may
	// be nil. Times are those of arrival.
	Attach(ctx context.Context, id string, attached chan<- struct{}, emit func(Line)) error
}

// Previewer shows what programs wrote without ending the line: a prompt, a progress bar. A log
// holds that back until the line ends.
type Previewer interface {
	// Preview streams the unfinished line of each of a container's streams from now on until the
	// container ends: emit gets its Stream and its Text so far, as it was written, whenever more of
	// it comes, and no Text once it has ended, also where the next one has begun already. What was
	// written before is not seen. attached is as
	// of Attacher. A program that writes much may have to wait for whoever reads slowly: emit must
	// return at once. ErrUnsupported where a lost connection could make it wait for long.
	Preview(ctx context.Context, id string, attached chan<- struct{}, emit func(Line)) error
}

// Meter takes readings of what a container uses.
type Meter interface {
	Stats(ctx context.Context, id string) (Stats, error)
}

// FileWriter changes files in containers, running or not.
type FileWriter interface {
	// CopyTo unpacks a tar stream, whose names are relative to / of the container and lie in below.
	// Links are followed on the way to below, and in it as long as they do not lead out. With
	// replace, a file of it may take the place of a folder and all that is in it, and a folder that
	// of a file or a link; without, these are errors. Where the runtime can, each file is written
	// whole before it takes its place, and one that cannot be written keeps no other from being
	// written: *NotWritten.
	CopyTo(ctx context.Context, id, below string, tar io.Reader, replace bool) error
	// Delete removes absolute paths below a folder of the container, and what is below them; it
	// works without any program in the image, and while the container is stopped where the runtime
	// can (ErrUnsupported where it cannot). Links are followed on the way to the folder, but it is
	// none itself, and below it none is followed: what only a link leads to stays.
	Delete(ctx context.Context, id, below string, paths []string) error
	// Unreachable names the folders of a service's containers that CopyTo does not write in, and what
	// to say of each: why, and what to do about it.
	Unreachable(s *types.ServiceConfig) map[string]string
}

// FilePreparer is a FileWriter whose first write into a life of a container takes longer than the
// others, since a helper has to be started beside it.
type FilePreparer interface {
	// PrepareFiles starts that helper. What it cannot do it leaves to the first write, whose error says so.
	PrepareFiles(ctx context.Context, id string)
}

// FileReader looks at files in containers, running or not.
type FileReader interface {
	// Stat returns what stands at absolute paths in a container, by path; what is not there is left
	// out. Links are followed on the way to a path, and not at its end. Order does not matter.
	Stat(ctx context.Context, id string, paths []string) (map[string]Entry, error)
	// List walks what is at and below an absolute path in a container: visit gets each path with
	// its content (empty for what is no file), and ends the listing with its error. ErrNotFound
	// when there is nothing.
	List(ctx context.Context, id, path string, visit func(path string, e Entry, content io.Reader) error) error
	// User returns the numeric user and group that the container's first process is started as.
	User(ctx context.Context, id string) (uid, gid int, err error)
	// Owner returns the numeric user and group that a path in the container belongs to (its nearest
	// existing parent's when it does not exist).
	Owner(ctx context.Context, id, path string) (uid, gid int, err error)
}

// SignalReader looks at how a container's processes react to signals.
type SignalReader interface {
	// HandlesStop says whether the process that must react to the stop signal can: known is false
	// when that cannot be found out.
	HandlesStop(ctx context.Context, id string) (handles, known bool)
}

// Dialer opens connections inside of the network of a container.
type Dialer interface {
	// DialInstance opens a TCP connection to a port inside of the instance's own network.
	// ErrUnsupported where neither the host nor an agent can reach it.
	DialInstance(ctx context.Context, id string, port int) (net.Conn, error)
}

// Limiter changes what running containers may use.
type Limiter interface {
	// Limits returns the limits of a container as they are now.
	Limits(ctx context.Context, id string) (Limits, error)
	// SetLimits changes those limits of a running container that are not negative.
	SetLimits(ctx context.Context, id string, l Limits) error
}
