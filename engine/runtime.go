// Package engine compares what a project wants with what a runtime shows, plans the difference, and carries the plan
// out, one lane per service. It owns all state and hands out immutable snapshots; it knows no screen.
package engine

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"time"

	"bulkhead/engine/logs"
	"bulkhead/engine/project"
)

var (
	// ErrNoEngine means that no engine answers. The error that wraps it says where it was looked for and what to do.
	ErrNoEngine = errors.New("no engine answers")
	// ErrNotFound means that the instance, image, network or volume is not there (any more).
	ErrNotFound = errors.New("not found")
	// ErrUnsupported means that this runtime cannot do what was asked; Caps says so beforehand.
	ErrUnsupported = errors.New("not supported by this runtime")
	// ErrConflict means that something of the same name, or a port, is taken by somebody else.
	ErrConflict = errors.New("already in use")
)

// Runtime runs containers for the engine. engine/docker is the first implementation. All methods may be called from
// any goroutine; all block until done or until ctx ends; errors name the object they were about.
type Runtime interface {
	// Info asks the engine who it is; the first answer is kept. ErrNoEngine when nothing answers.
	Info(ctx context.Context) (Info, error)
	// Caps says what this runtime can do. It is constant after the first successful Info.
	Caps() Caps

	// EnsureNetwork makes the network of this key of p, or accepts the one that is there, and returns its id. made says which it was.
	EnsureNetwork(ctx context.Context, p *project.Project, key string) (id string, made bool, err error)
	// EnsureVolume does the same for a named volume.
	EnsureVolume(ctx context.Context, p *project.Project, key string) (made bool, err error)
	// RemoveNetworks removes the project's networks, and RemoveVolumes its named volumes; they return the names.
	// Networks and volumes that are external or in use by others stay.
	RemoveNetworks(ctx context.Context, project string) ([]string, error)
	RemoveVolumes(ctx context.Context, project string) ([]string, error)

	// Image looks an image up by name or id. ErrNotFound when the runtime does not have it.
	Image(ctx context.Context, ref, platform string) (Image, error)
	// Pull fetches an image, with the user's stored credentials. progress may be nil.
	Pull(ctx context.Context, ref, platform string, progress func(PullProgress)) error
	// RemoveImage removes an image by id when no container uses it and nothing names it; with named, the names that builds for its
	// project gave it do not keep it. It is not an error when it stays for one of these reasons, or is gone already: removed says
	// whether it went.
	RemoveImage(ctx context.Context, id string, named bool) (removed bool, err error)
	// ProjectImages lists the ids of images that were built for a project and that no tag names any more
	// (dangling), or with tagged all that were built for it.
	ProjectImages(ctx context.Context, project string, tagged bool) ([]string, error)

	// Instances lists the project's service containers, stopped ones included; one-offs are left out.
	Instances(ctx context.Context, project string) ([]Instance, error)
	// Inspect reads one instance. ErrNotFound when it is gone.
	Inspect(ctx context.Context, id string) (Instance, error)
	// Create makes a container and joins its networks, without starting it, and returns its id.
	Create(ctx context.Context, s CreateSpec) (string, error)
	// Start starts a created or stopped container; what a service gets by content (secrets, configs) is put in first.
	Start(ctx context.Context, s CreateSpec, id string) error
	// Stop asks with the stop signal and kills after grace (rounded up to whole seconds; negative: the engine's own
	// setting for this container).
	Stop(ctx context.Context, id string, grace time.Duration) error
	// Kill sends a signal ("SIGKILL", "TERM", "9").
	Kill(ctx context.Context, id, signal string) error
	Pause(ctx context.Context, id string) error
	Unpause(ctx context.Context, id string) error
	// Rename gives a container another name.
	Rename(ctx context.Context, id, name string) error
	// Remove removes a stopped container, and with force a running one; volumes says whether its anonymous volumes go too.
	// Not an error when it is gone already.
	Remove(ctx context.Context, id string, force, volumes bool) error

	// Events streams the project's events, beginning at since, until ctx ends or the connection breaks. It calls emit in order
	// and returns why it ended. Events that came twice are harmless.
	Events(ctx context.Context, project string, since time.Time, emit func(Event)) error
	// Logs reads an instance's lines: from since on (zero: all), at most tail lines of the past (negative: all), and goes on until the
	// instance ends when follow is set. emit gets a line's Stream, Time, Text and Cut, and must not keep Text. ErrUnsupported when the
	// logging driver cannot be read.
	Logs(ctx context.Context, id string, o LogOptions, emit func(logs.Line)) error
	// Attach streams the output of a container from now on until it ends, for logging drivers that cannot be read. attached is closed
	// once nothing can be missed: a container that starts after that is heard from its first line. It may be nil. Times are those of arrival.
	Attach(ctx context.Context, id string, attached chan<- struct{}, emit func(logs.Line)) error
	// Stats takes one reading.
	Stats(ctx context.Context, id string) (Stats, error)

	// Exec runs a command in a running instance and returns its exit code. With o.TTY, resize gives the terminal's sizes.
	Exec(ctx context.Context, id string, o ExecOptions) (int, error)
	// CopyTo unpacks a tar stream at / of the container, running or not. With replace, a file of it may take the place of a folder and all
	// that is in it, and a folder that of a file or a link; without, these are errors.
	CopyTo(ctx context.Context, id string, tar io.Reader, replace bool) error
	// Delete removes absolute paths below a folder of the container, and what is below them; it works without any program in the image,
	// and while the container is stopped where the runtime can (ErrUnsupported where it cannot). Links are followed on the way to the
	// folder, but it is none itself, and below it none is followed: what only a link leads to stays.
	Delete(ctx context.Context, id, below string, paths []string) error
	// Stat tells what stands at absolute paths in a container, running or not, by path; what is not there is left out. Links are followed
	// on the way to a path, and not at its end. Order does not matter.
	Stat(ctx context.Context, id string, paths []string) (map[string]Entry, error)
	// List tells what is at and below an absolute path in a container, running or not: visit gets each path with its content (empty for what
	// is no file), and ends the listing with its error. ErrNotFound when there is nothing.
	List(ctx context.Context, id, path string, visit func(path string, e Entry, content io.Reader) error) error
	// User tells the numeric user and group that the container's first process is started as.
	User(ctx context.Context, id string) (uid, gid int, err error)
	// Owner tells the numeric user and group that a path in the container belongs to (its nearest existing parent's when it does not exist).
	Owner(ctx context.Context, id, path string) (uid, gid int, err error)
	// HandlesStop tells whether the process that must react to the stop signal can: known is false when that cannot be found out.
	HandlesStop(ctx context.Context, id string) (handles, known bool)
	// DialInstance opens a TCP connection to a port inside of the instance's own network. ErrUnsupported where the host cannot reach it.
	DialInstance(ctx context.Context, id string, port int) (net.Conn, error)
	Close() error
}

// Entry is a file, a folder or a link in a container.
type Entry struct {
	Mode fs.FileMode
	Size int64 // bytes, of a file
	Link string
}

// Info is who the engine is.
type Info struct {
	ID       string // stable for this engine; names the state folder
	Name     string // "docker"
	Version  string // "20.10.24"
	API      string // "1.41"
	Context  string // the docker context's name, "default" when none is chosen
	Host     string // where it answers
	OS       string
	Arch     string
	NCPU     int
	MemTotal int64 // bytes
	BuildKit bool
	Rootless bool
	Local    bool   // the engine runs on this machine: its processes are ours to look at
	Cgroup   string // "1" or "2"
}

// Caps is what a runtime can do.
type Caps struct {
	Pause, RestartInPlace, AttachBeforeStart, Partition, CPUSqueeze, MemorySqueeze, Sync bool
}

// Identity is the proof that an instance is the same one, unmoved.
type Identity struct {
	ID       string
	Started  time.Time
	Restarts int // restarts by the restart policy
}

// Instance is one container of the project as the runtime sees it.
type Instance struct {
	Identity
	Service       string
	Replica       int
	Name          string
	State         State  // Created, Running, Paused, Restarting, Stopping, Exited
	Health        Health // HealthNone without a healthcheck
	ExitCode      int
	OOM           bool
	Error         string // why the engine could not start it
	Created       time.Time
	Finished      time.Time // zero while it never ended
	Hash          string    // config hash label
	Content       string    // CreateSpec.Content it was made with; "" for a container that somebody else made
	ImageRef      string    // name it was created from
	ImageID       string    // id of the image it runs
	Digest        string    // image label, compared with Image.Digest
	Ports         []Port
	Pid           int
	Number        string            // container-number label as written; "" when missing
	Networks      map[string]string // names and ids of the attached networks; an id is empty before the first start
	Volumes       []string          // names of the mounted named volumes
	Joins         []string          // ids of the containers whose network, ipc or pid namespace it shares
	LogDriver     string
	TTY           bool
	HealthTest    []string // the test of its healthcheck, from the image or from the file ("CMD", …; "CMD-SHELL", …); empty without one
	HealthOutput  string   // what its last check printed, raw; "" before the first
	HealthTimeout time.Duration
	StopGrace     time.Duration // between its stop signal and SIGKILL, as it was made with; 0: the engine's ten seconds
}

// Port is one published port.
type Port struct {
	Host      string // address, "" for all
	Published int
	Target    int
	Protocol  string // "tcp" or "udp"
}

// Image is a local image.
type Image struct {
	ID      string
	Digest  string // what the image label of a container made from it says
	Tags    []string
	Size    int64
	Created time.Time
	Stop    string   // stop signal
	Health  bool     // the image has a healthcheck
	Volumes []string // declared anonymous volumes
	User    string
	LastTag time.Time // when it was last tagged; zero when unknown
}

// PullProgress is how far a pull is, over all layers.
type PullProgress struct {
	Current, Total int64 // bytes; Total grows while layers become known
	Status         string
}

// CreateSpec says which container to make.
type CreateSpec struct {
	Project *project.Project
	Service *project.Service
	Replica int
	Name    string // "" means the final name
	Image   Image  // as Image returned it
	Inherit string // id of the container whose anonymous volumes are taken over, or ""
	// Content is a hash of what the container gets by content (secrets, configs); it is kept with the container as a label.
	Content string
	// Parents are the container ids of the services that network_mode, ipc, pid and volumes_from name.
	Parents map[string]string
}

// LogOptions says which lines to read.
type LogOptions struct {
	Since  time.Time
	Until  time.Time
	Tail   int // negative: all
	Follow bool
}

// Stats is one reading of an instance.
type Stats struct {
	Read     time.Time
	CPU      time.Duration // CPU time used so far, over all cores
	Mem      int64         // bytes in use, without the page cache
	MemLimit int64
	NetRx    int64 // bytes so far
	NetTx    int64
}

// ExecOptions says what to run and with which streams. Nil streams are not attached.
type ExecOptions struct {
	Cmd        []string
	Env        []string
	User       string
	Dir        string
	TTY        bool
	Privileged bool
	Stdin      io.Reader
	Stdout     io.Writer
	Stderr     io.Writer
	Resize     <-chan Size // sizes of the terminal, the first one right away; may be nil
}

// Size is a terminal's, in cells.
type Size struct{ Width, Height int }

// Event is one thing that happened to an instance.
type Event struct {
	Time     time.Time
	Kind     EventKind
	ID       string
	Service  string
	Replica  int
	Name     string
	ExitCode int    // of EventDied
	Signal   string // of EventKilled, "9" or "15"
	Health   Health // of EventHealth
}

// EventKind is what happened.
type EventKind uint8

const (
	EventUnknown EventKind = iota
	EventCreated
	EventStarted
	EventKilled // a signal was sent through the engine
	EventDied
	EventStopped
	EventRestarted
	EventPaused
	EventUnpaused
	EventOOM
	EventHealth
	EventRemoved
	EventRenamed
)
