package engine

import (
	"context"
	"time"

	"bulkhead/engine/container"
	"bulkhead/engine/logs"
	"bulkhead/engine/project"
)

// Options are the parts and wishes of one engine.
type Options struct {
	Runtime Runtime
	Builder container.Builder
	Project *project.Project
	Load    func(context.Context) (*project.Project, error) // loads the project again; nil: Compose files are not watched
	Logs    *logs.Store
	Build   BuildPolicy
	NoWatch bool
	// Ignore says which files never count as changed: those that bulkhead writes itself, as where
	// its output goes. nil: none.
	Ignore func(path string) bool
	// RemoveOrphans removes containers of the project whose service the file does not name.
	RemoveOrphans bool
	Recreate      bool   // --force-recreate
	StateDir      string // base folder, as $XDG_STATE_HOME/bulkhead; generations and sync records go below it, under engine id and project; "" keeps none
	NoStats       bool   // take no CPU and memory readings
	NoLogs        bool   // do not follow the containers' logs
	LogTail       int    // lines of the past to read of containers that run already; 0: 1000; negative: none
}

// BuildPolicy says when up builds.
type BuildPolicy uint8

const (
	BuildMissing BuildPolicy = iota // when the image is missing or older than its files
	BuildAlways                     // --build
	BuildNever                      // --no-build
)

// Verb is what a command does.
type Verb string

const (
	VerbUp      Verb = "up" // bring back what was killed or stopped by hand; else apply what is pending
	VerbStart   Verb = "start"
	VerbStop    Verb = "stop"
	VerbRestart Verb = "restart"
	VerbKill    Verb = "kill"
	VerbPause   Verb = "pause"
	VerbUnpause Verb = "unpause"
	VerbRebuild Verb = "rebuild"
	VerbScale   Verb = "scale"
	VerbWatch   Verb = "watch" // set the watch mode
	VerbDown    Verb = "down"
)

// Command asks the engine for something. It is also the body of the control socket's requests.
type Command struct {
	Verb       Verb              `json:"verb"`
	Services   []string          `json:"services,omitempty"`   // empty: all, where that makes sense (not for kill)
	Replica    int               `json:"replica,omitempty"`    // 0: all replicas
	Signal     string            `json:"signal,omitempty"`     // of kill; "" is SIGKILL
	Dependents bool              `json:"dependents,omitempty"` // of restart: with all that depend on it
	Scale      int               `json:"scale,omitempty"`
	Mode       project.WatchMode `json:"mode,omitempty"`
	Volumes    bool              `json:"volumes,omitempty"` // of down: named volumes too
	Images     bool              `json:"images,omitempty"`  // of down: images that were built without a name of their own
	Orphans    bool              `json:"orphans,omitempty"`
	Grace      *time.Duration    `json:"grace,omitempty"` // nil: the service's own, else the loop's
	Cause      string            `json:"cause,omitempty"` // "you pressed r"
	// Limit is how long a dependency that the command waits for may take from its own start on; 0: no limit.
	Limit time.Duration `json:"limit,omitempty"`
}
