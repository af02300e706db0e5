package engine

import (
	"time"

	"bulkhead/engine/fault"
	"bulkhead/engine/project"
	"bulkhead/engine/step"
)

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
	Runtime  Info
	Caps     Caps
	Services []Service // sorted by name
	Disabled []string  // services that no active profile enables
	Records  []Record  // the latest, oldest first; at most 500
	Builds   []Build   // oldest first; at most 50; running ones last
	Ledgers  []Ledger  // oldest first; at most 20
	Watch    WatchStatus
	Plan     string        `text:"lines"` // the last plan as text
	Ready    bool          // every wanted service is ready
	ReadyIn  time.Duration // from the start of Run to the first Ready; 0 before
	Phase    Phase
	Reload   *Reload  // a changed Compose file that is not applied yet, or why it does not load
	Orphans  []string // containers of this project whose service the file does not name
	Warnings []string
}

// Phase is what the engine as a whole is doing.
type Phase uint8

const (
	PhaseUnknown  Phase = iota
	PhaseStarting       // before the first plan
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
	Held     string // "git": who is changing many files at this moment, so that they wait until all of it is done; "" mostly
}

// Service is one Compose service as last seen.
type Service struct {
	Name       string
	State      State
	Health     Health
	Since      time.Time // when State was entered
	Started    time.Time // of the oldest running replica; zero when none runs
	Replicas   []Replica // sorted by number
	Wanted     int       // replicas
	Image      string
	Restarts   int     // by policy, over all replicas
	Generation int     // highest of its replicas
	ExitCode   int     // of the last replica that ended
	CPU        float64 // cores; NaN before the second sample
	Mem        int64   // bytes; -1 before the first sample
	MemLimit   int64   // bytes over all replicas; 0 without a limit
	NetRx      float64 // bytes per second; NaN before the second sample
	NetTx      float64
	CPUHistory []float64 // cores, one a sample, oldest first; at most 60
	MemHistory []int64
	NetHistory []float64 // bytes per second, in and out together
	Ports      []Port
	DependsOn  []string
	WaitsFor   []string // "db healthy": what keeps it from starting
	ReadyBy    string   // "healthcheck", "probe", "running": what ready means for it
	Ready      bool
	ByHand     bool // the user stopped, killed or paused it: only the user brings it back
	Mode       project.WatchMode
	Rules      []project.Rule
	Doing      string   // "building 4/7", "pulling 34%", "syncing", "" when its lane is idle
	Pending    []string // changed paths that wait for the lane
	Stale      []string // changed paths that the running code does not have
	Last       *Change  // the last change, running or done
	Changes    []Change // history, oldest first; at most 20
	Err        string   // why State is Broken, one line
	Remedy     string
	Config     project.Service
}

// Replica is one container slot of a service.
type Replica struct {
	Number     int
	Generation int
	Identity   Identity
	Name       string
	State      State
	Health     Health
	Since      time.Time
	ExitCode   int
	OOM        bool
	Restarts   int
	Cause      string // of its last change of state
	ImageID    string
	Ports      []Port
	CPU        float64
	Mem        int64
	Finished   time.Time
	StopBy     time.Time // when the engine kills it unless it has ended by then; zero unless State is StateStopping
}

// Change is one piece of work that a lane did for a cause, timed by stage.
type Change struct {
	Service    string
	Action     string // "sync", "sync+restart", "sync+exec", "restart", "rebuild", "start", "stop", "kill", "pause", "unpause", "up", "scale"
	Cause      string // "orders/main.go saved", "you pressed r"
	Paths      []string
	Began      time.Time
	Ended      time.Time // zero while it runs
	Stages     []Stage   // in the order in which they began
	Err        string    // one line, "" when it worked
	Generation int       // that it led to
	Note       string    // "killed at once: its first process does not react to the stop signal"
	Stop       Stop      // how the life before ended, the harshest way of several replicas
	Slow       []string  // stages that took half as long again as their median
}

// How containers are stopped, under the names that the engine's callers use.
type (
	Stop      = step.Stop
	HookError = step.HookError
)

const (
	StopNone   = step.StopNone
	StopSignal = step.StopSignal
	StopKilled = step.StopKilled
	StopLate   = step.StopLate
)

// OnlyHooks says whether all that an error holds are pre_stop hooks that did not succeed: their
// stop was carried out all the same.
func OnlyHooks(err error) bool { return step.OnlyHooks(err) }

// Stage is one timed part of a change: detect prepare build copy create stop start ready total.
type Stage struct {
	Name string
	Took time.Duration
}

// Build is one image build or prepare run, running or done.
type Build struct {
	ID       int
	Services []string // who wanted it
	Kind     string   // "build", "pull", "prepare"
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
	Why      string // of Err, without what was being done and to what
	Canceled bool   // superseded or stopped by the user
}

// BuildStep is one step of a build.
type BuildStep struct {
	Name   string
	Cached bool
	Began  time.Time
	Ended  time.Time
	Err    string
}

// Record is one event in the words of the JSON lines: the events pane, --plain and --json all print these.
type Record struct {
	Seq        uint64
	Time       time.Time
	Kind       string // "service", "build", "watch", "plan", "ledger", "fault", "notice"
	Service    string
	Replica    int
	Generation int
	ID         string // container id
	State      State  // of kind service
	Health     Health
	ExitCode   int // valid when HasExit
	HasExit    bool
	Cause      string
	Action     string
	Paths      []string
	Stages     []Stage
	Stop       Stop   // of an ended change: how it stopped what ran
	Notice     string // of kind notice: "ready", "watching", or another word
	What       string // what happened in a few words, without whose it is and its cause; "" where State, Health or Err say it
	Text       string `text:"lines"` // for people: one line, but for a plan
	Err        string
	Ledger     *Ledger
	Likely     *Likely // of a service's trouble or recovery, where one is known
}

// The types of faults, under the names that the engine's callers use.
type (
	Ledger    = fault.Ledger
	LedgerRow = fault.Row
	Outcome   = fault.Outcome
	Likely    = fault.Likely
)

const (
	OutcomeUnknown = fault.OutcomeUnknown
	Untouched      = fault.Untouched
	Errors         = fault.Errors
	WentUnhealthy  = fault.WentUnhealthy
	Died           = fault.Died
)

// Reload is a changed Compose file.
type Reload struct {
	At      time.Time
	Changes []project.Change
	Err     string // why the file does not load; then nothing changes
}
