package engine

import (
	"context"
	"time"

	"bulkhead/engine/container"
	"bulkhead/engine/hostcmd"
	"bulkhead/engine/lane"
	"bulkhead/engine/logs"
	"bulkhead/engine/machine"
	"bulkhead/engine/project"
	"bulkhead/watch"
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
	Watch   watch.Options // when changes of files belong together; the zero value is the usual choice
	// AsIs takes the project as it is and brings nothing up: commands find the containers that are
	// there. It is for single commands without a running up.
	AsIs bool
	// Ignore says which files never count as changed: those that bulkhead writes itself, as where
	// its output goes. nil: none.
	Ignore func(path string) bool
	// RemoveOrphans removes containers of the project whose service the file does not name.
	RemoveOrphans bool
	Replace       lane.Replace
	IgnoreOrphans bool           // do not warn of them
	NoStart       bool           // make what is missing, and start nothing
	Grace         *time.Duration // of the stops that the first up leads to; nil: each service's own
	StateDir      string         // base folder, as $XDG_STATE_HOME/bulkhead; generations and sync records go below it, under engine id and project; "" keeps none
	Trust         *hostcmd.Trust // what a person has agreed to; nil: no host command runs
	NoStats       bool           // take no CPU and memory readings
	// Machine says how busy the machine of the containers is; nil: that is not known.
	Machine func() machine.Load
	NoLogs  bool // do not follow the containers' logs
	LogTail int  // lines of the past to read of containers that run already; 0: 1000; negative: none
}
