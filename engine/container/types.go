package container

import (
	"io"
	"io/fs"
	"time"
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
	BuildKit bool
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
	Check         []string // the command of its healthcheck, ready to exec in it; nil without one, and where it is off
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
