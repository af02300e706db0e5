package container

import (
	"io"
	"io/fs"
	"time"

	"github.com/compose-spec/compose-go/v2/types"
)

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
	Rootless bool
	Local    bool   // the engine runs on this machine: its processes are ours to look at
	Cgroup   string // "1" or "2"
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
	Service  string
	Replica  int
	Name     string
	State    State  // Created, Running, Paused, Restarting, Stopping, Exited
	Health   Health // HealthNone without a healthcheck
	ExitCode int
	OOM      bool
	Error    string // why the engine could not start it
	Created  time.Time
	Finished time.Time // zero while it never ended
	Files    []string  // the Compose files that it was made of; nil when not known
	Hash     string    // config hash label
	Content  string    // CreateSpec.Content it was made with; "" for a container that somebody else made
	// VolumeImages are those that it mounts, as Service.VolumeImages.
	VolumeImages string
	ImageRef     string // name it was created from
	ImageID      string // id of the image it runs
	Digest       string // image label, compared with Image.Digest
	Ports        []Port
	Pid          int
	Number       string // container-number label as written; "" when missing
	// names and ids of the attached networks; an id is empty before the first start
	Networks map[string]string
	Volumes  []string // names of the mounted named volumes
	Joins    []string // ids of the containers whose network, ipc or pid namespace it shares
	// DependsOn is what its service depended on when it was made. All of it counts as required.
	DependsOn map[string]types.ServiceDependency
	LogDriver string
	TTY       bool
	// the command of its healthcheck, ready to exec in it; nil without one, and where it is off
	Check         []string
	HealthOutput  string // what its last check printed, raw; "" before the first
	HealthExit    int    // the exit code of its last check
	HealthFailing int    // checks in a row that did not pass
	// when the restart policy starts it again; zero when it does not, or that is not known
	RetryAt       time.Time
	HealthTimeout time.Duration
	Program       bool // Service.Program it was made with
	// start of the container, where its program was restarted since: Started and Finished are the
	// program's then; else zero
	Booted     time.Time
	StopSignal string // its own, of the file or the image, as written there; "" for none
	// between its stop signal and SIGKILL, as it was made with; 0: the engine's ten seconds
	StopGrace time.Duration
}

// Since is when its namespaces and its mounts came to be: at its start, unless its program alone was
// restarted since.
func (i *Instance) Since() time.Time {
	if !i.Booted.IsZero() {
		return i.Booted
	}
	return i.Started
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
	OS      string // with Arch and Variant the platform it is for
	Arch    string
	Variant string
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
	Detach     bool // the command is left running, without streams; its exit code is not known, and 0
	Stdin      io.Reader
	Stdout     io.Writer
	Stderr     io.Writer
	Resize     <-chan Size // sizes of the terminal, the first one right away; may be nil
}

// Size is a terminal's, in cells.
type Size struct{ Width, Height int }

// Limits are what a container may use.
type Limits struct {
	CPUs   float64 // cores; 0: no limit
	Memory int64   // bytes; 0: no limit
	Swap   int64   // bytes, memory and swap together; 0: as the runtime has it for Memory; -1: no limit
}
