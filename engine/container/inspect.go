package container

import (
	"context"
	"io"
	"io/fs"
	"time"
)

// Lister lists containers as a listing shows them, with one question to the runtime. Callers that
// need more of a container ask for an Instance.
type Lister interface {
	Summaries(ctx context.Context, o ListOptions) ([]Summary, error)
}

// ListOptions say which containers to list.
type ListOptions struct {
	Project string // "" lists those of every project
	All     bool   // those that do not run, too
	OneOffs bool   // those that were made to run one command, too
	// Helpers adds those that a service's container was prepared by; only images asks for them.
	Helpers bool
}

// Summary is one container in a listing. It is not cleaned.
type Summary struct {
	ID           string
	Name         string
	Names        []string // with those that links gave it, as the runtime has them
	Project      string
	Service      string
	Number       string // of the replica, as written; "" for none
	OneOff       bool
	Image        string
	ImageID      string
	Command      string
	State        string // the runtime's own word: running, exited, dead …
	Status       string // the runtime's own sentence: "Up 2 minutes (healthy)"
	Created      int64  // seconds since 1970
	Labels       map[string]string
	Files        []string // Compose files it was made from; nil where that is not known
	Mounts       []string // names of volumes, or paths on the host
	Volumes      []string // names of the volumes among them
	LocalVolumes int
	Networks     []string
	Ports        []SummaryPort // sorted by target
}

// SummaryPort is a port of a container, published or not.
type SummaryPort struct {
	Host      string // address as the runtime has it; "" for one that is not published
	Published int    // 0: it is not
	Target    int
	Protocol  string
}

// ProcessLister lists the processes in a container.
type ProcessLister interface {
	// Top returns the titles of the columns and the rows, as the runtime's ps prints them.
	Top(ctx context.Context, id string) (titles []string, rows [][]string, err error)
}

// Sampler takes one full reading of what a container uses.
type Sampler interface {
	Sample(ctx context.Context, id string) (Sample, error)
}

// Sample is one full reading.
type Sample struct {
	CPU               float64 // percent of one core, since the reading before
	Mem, MemLimit     float64 // bytes; Mem is without the page cache
	NetRx, NetTx      float64 // bytes so far
	BlkRead, BlkWrite float64 // likewise
	Processes         uint64
}

// Archiver copies files out of containers and into them as tar streams, running or not.
type Archiver interface {
	// Entry looks at a path of a container; a link is not followed. ErrNotFound when nothing is there.
	Entry(ctx context.Context, id, path string) (PathEntry, error)
	// CopyFrom streams a path of a container. The names in the stream begin with the path's last part.
	CopyFrom(ctx context.Context, id, path string) (io.ReadCloser, PathEntry, error)
	// CopyInto unpacks a stream in a folder of a container. Files get the owner in the stream where
	// owners is set, else the container's root.
	CopyInto(ctx context.Context, id, dir string, tar io.Reader, owners bool) error
	// Export streams the whole file system of a container.
	Export(ctx context.Context, id string) (io.ReadCloser, error)
}

// PathEntry is what stands at a path of a container.
type PathEntry struct {
	Name string
	Mode fs.FileMode
	Size int64
	Link string // where a link leads
}

// Committer makes an image of a container as it stands.
type Committer interface {
	Commit(ctx context.Context, id string, o CommitOptions) (image string, err error)
}

// CommitOptions say which image to make.
type CommitOptions struct {
	Reference string // its name; "" for none
	Comment   string
	Author    string
	Changes   []string // Dockerfile instructions
	NoPause   bool     // let the container run meanwhile
}

// Pusher sends images to their registries, with the user's stored credentials.
type Pusher interface {
	// Push sends an image. progress may be nil.
	Push(ctx context.Context, ref string, progress func(PullProgress)) error
	// RemoteDigest asks an image's registry which digest its tag stands for.
	RemoteDigest(ctx context.Context, ref string) (string, error)
}

// ActionReader reads all that the runtime reports on the containers of a project, in its own words.
type ActionReader interface {
	// Actions calls emit in order. since and until are the runtime's: a moment, seconds since 1970, or
	// a duration back from now; until "" goes on until ctx ends.
	Actions(ctx context.Context, project, since, until string, emit func(Action)) error
}

// Action is one thing that happened to a container, as the runtime has it.
type Action struct {
	Time       time.Time
	Service    string
	ID         string
	Name       string // "exec_create: sh -c true", "die", …
	Attributes map[string]string
}

// VolumeLister lists the volumes of a project.
type VolumeLister interface {
	Volumes(ctx context.Context, project string) ([]Volume, error)
}

// Volume is one volume in a listing.
type Volume struct {
	Name, Driver, Mountpoint, Scope string
	Labels                          map[string]string
	Size                            int64 // -1: unknown
	Links                           int64 // containers that use it; -1: unknown
}
