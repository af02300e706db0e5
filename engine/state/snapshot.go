package state

import (
	"time"

	"bulkhead/engine/condition"
	"bulkhead/engine/container"
	"bulkhead/engine/drill"
	"bulkhead/engine/edge"
	"bulkhead/engine/fault"
	"bulkhead/engine/hostcmd"
	"bulkhead/engine/project"
	"bulkhead/engine/step"
)

// Orphan is a container of the project whose service its file does not name.
type Orphan struct {
	Name  string
	Files []string // the Compose files that it was made of; nil when not known
}

// Snapshot is all that the engine knows at one moment. Nobody writes to it again; readers must not
// either. Its texts are as they came from outside: readers clean them with logs.CleanAll, which
// goes by the tags "text".
type Snapshot struct {
	Seq      uint64 // grows with every change
	Time     time.Time
	Project  string
	Dir      string
	Files    []string
	Profiles []string
	Runtime  container.Info
	Caps     container.Caps
	Services []Service // sorted by name
	Disabled []string  // services that no active profile enables
	Records  []Record  // the latest, oldest first; at most 500
	// of the bulkhead that ran the project before, of the last minutes, oldest first; they have no
	// Seq of this one
	Past     []Record
	Builds   []Build        // oldest first; in the order of their beginning; at most 50
	Ledgers  []fault.Ledger // oldest first; at most 20
	Faults   []fault.Active // in force, oldest first
	Drill    *drill.Report  // the one that runs, else the last one; nil: there was none
	Drilling bool           // it runs
	Holding  bool           // it waits after the row that runs, because a person wants it to
	Tapping  []fault.Edge   // edges whose calls are looked at, as they were asked for
	Edges    []edge.Edge    // who calls whom, by the file and by what was tapped; nil while nothing was
	Watch    WatchStatus
	Plan     string        `text:"lines"` // the last plan as text
	Begun    uint64        // Seq of the last record from before the project began to run
	Ready    bool          // every wanted service is ready
	ReadyIn  time.Duration // from the start of Run to the first Ready; 0 before
	Phase    Phase
	Unsaved  string // why what outlives the process cannot be written at present; "" where it can
	// Untrusted are the host commands of the project that nobody has allowed, by service.
	Untrusted []hostcmd.Terms
	Reload    *Reload  // a changed Compose file that is not applied yet, or why it does not load
	Orphans   []Orphan // containers of this project whose service the file does not name
	Warnings  []string
}

// Phase is what the engine as a whole is doing.
type Phase uint8

const (
	PhaseUnknown  Phase = iota
	PhaseStarting       // nothing is done yet
	PhaseRunning
	PhaseStopping
	PhaseStopped
	PhaseLost // the connection to the engine is gone and being tried again
)

// WatchStatus is the state of file watching.
type WatchStatus struct {
	Mode     project.WatchMode // Auto unless the user paused it for all
	On       bool              // notices are coming in
	Notices  []string          // limits reached, polling, with remedies
	LastPath string
	LastAt   time.Time
	// "git": who is changing many files at this moment, so that they wait until all of it is done;
	// "" mostly
	Held string
}

// Service is one Compose service as last seen.
type Service struct {
	Name       string
	State      container.State
	Health     container.Health
	Since      time.Time // when State was entered
	Started    time.Time // of the oldest running replica; zero when none runs
	Replicas   []Replica // sorted by number
	Wanted     int       // replicas
	Image      string
	Restarts   int     // by policy, over all replicas
	Generation int     // highest of its replicas
	ExitCode   int     // of the replica with the highest number among those that ended
	CPU        float64 // cores; NaN before the second sample
	Mem        int64   // bytes; -1 before the first sample
	MemLimit   int64   // bytes over all replicas; 0 without a limit
	NetRx      float64 // bytes per second; NaN before the second sample
	NetTx      float64
	CPUHistory []float64 // cores, one a sample, oldest first; at most 60
	MemHistory []int64
	NetHistory []float64 // bytes per second, in and out together
	Ports      []container.Port
	DependsOn  []string
	WaitsFor   condition.Waits // what keeps it from starting
	ReadyBy    string          // "healthcheck", "probe", "running": what ready means for it
	Ready      bool
	ByHand     bool // the user stopped, killed or paused it: only the user brings it back
	CalledOff  bool // the user stopped it while it was being brought up, and it was not brought back since
	Mode       project.WatchMode
	Rules      []project.Rule
	Doing      string   // "building 4/7", "pulling 34%", "syncing", "" when its lane is idle
	Pending    []string // changed paths that wait for the lane
	Stale      []string // changed paths that the running code does not have
	Unapplied  bool     // it runs, and not as the project wants it, since that failed
	Last       *Change  // the last change, running or done
	Changes    []Change // history, oldest first; at most 20
	Err        string   // why State is Broken, one line
	ErrShort   string   // Err as it reads beside the service's name
	ErrNamed   bool     // Err names the service
	Untrusted  bool     // a host command of it did not run because nobody has allowed it
	Remedy     string
	Config     project.Service
}

// Replica is one container slot of a service.
type Replica struct {
	Number     int
	Generation int
	Identity   container.Identity
	Name       string
	State      container.State
	Health     container.Health
	Since      time.Time
	ExitCode   int
	OOM        bool
	Restarts   int
	Cause      string // of its last change of state
	ImageID    string
	Ports      []container.Port
	CPU        float64
	Mem        int64
	Finished   time.Time
	Check      *Check // what its last check found; nil before the first, and while it does not run
	Crashes    int    // of State Crashing: short lives in a row
	// of State Crashing and Restarting: when it is started again; zero when that is not known
	RetryAt time.Time
	// when the engine kills it unless it has ended by then; zero unless State is StateStopping
	StopBy  time.Time
	Outside Outside // what another program did to it by which it does not run
}

// Change is one piece of work that a lane did for a cause, timed by stage.
type Change struct {
	Service string
	// "sync", "sync+restart", "sync+exec", "restart", "rebuild", "start", "stop", "kill", "pause",
	// "unpause", "up", "scale"
	Action     string
	Cause      string // "orders/main.go saved", "you pressed r"
	Paths      []string
	Began      time.Time
	Ended      time.Time // zero while it runs
	Stages     []Stage   // in the order in which they began
	Err        string    // one line, "" when it worked
	ErrNamed   bool      // Err names the service
	Recovered  time.Time // when the service became ready after all, despite Err; zero when it did not
	Generation int       // that it led to
	Note       string    // "killed at once: its first process does not react to the stop signal"
	Stop       step.Stop // how the life before ended, the harshest way of several replicas
	Slow       []string  // stages that took half as long again as their median
}

// Failed reports whether the change came to nothing and the service has not become ready since.
func (c *Change) Failed() bool { return c.Err != "" && c.Recovered.IsZero() }

// Stage is one timed part of a change: detect prepare build copy create stop start ready total.
type Stage struct {
	Name string
	Took time.Duration
}

// Build is one image build or prepare run, running or done.
type Build struct {
	ID       int
	Services []string // who wanted it
	Kind     string   // "build", "pull", "prepare", "provider"
	Image    string
	Cause    string
	Began    time.Time
	Ended    time.Time // zero while it runs
	Steps    []BuildStep
	Done     int // steps
	Total    int
	Cached   int
	Current  int64 // bytes of a pull
	Size     int64
	Lines    []string `text:"log"` // output, bounded to the last 500 lines, raw
	Err      string
	File     string                 // of Err: the Dockerfile; "" where it is not known
	Line     int                    // in File
	Around   []container.SourceLine `text:"log"` // lines of File around Line
	Why      string                 // of Err, without what was being done and to what
	Canceled bool                   // superseded or stopped by the user
}

// BuildStep is one step of a build.
type BuildStep struct {
	Name     string
	Internal bool // as of container.BuildStep
	Cached   bool
	Began    time.Time
	Ended    time.Time
	Err      string
}

// Record is one event in the words of the JSON lines: the events pane, --plain and --json all print these.
type Record struct {
	Seq        uint64
	Time       time.Time
	Kind       string // "service", "build", "watch", "plan", "ledger", "fault", "notice"
	Service    string
	Replica    int
	Generation int
	ID         string          // container id
	State      container.State // of kind service
	Health     container.Health
	ExitCode   int // valid when HasExit
	HasExit    bool
	Cause      string
	Action     string
	Paths      []string
	Stages     []Stage
	Stop       step.Stop // of an ended change: how it stopped what ran
	Notice     string    // of kind notice: "ready", "watching", or another word
	// what happened in a few words, without whose it is and its cause; "" where State, Health or
	// Err say it
	What   string
	Text   string `text:"lines"` // for people: one line, but for a plan
	Err    string
	Ledger *fault.Ledger
	Likely *fault.Likely // of a service's trouble or recovery, where one is known
}

// Reload is a changed Compose file.
type Reload struct {
	At      time.Time
	Changes []project.Change
	// Commands are what it would run on this machine that the project does not run yet: new ones, and changed ones.
	Commands []hostcmd.Terms
	Err      string // why the file does not load; then nothing changes
}
