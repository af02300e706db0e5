// Package command has the words in which somebody asks the engine for something: a verb with what it is
// for. A Command is also the body of the control socket's requests. The engine carries it out, and its
// lanes the tasks that it becomes; this package knows neither.
package command

import (
	"time"

	"bulkhead/engine/fault"
	"bulkhead/engine/project"
)

// Verb is what a command does.
type Verb string

const (
	Up      Verb = "up"    // bring back what was killed or stopped by hand; else apply what is pending
	Apply   Verb = "apply" // carry out a changed Compose file, and nothing else
	Start   Verb = "start"
	Stop    Verb = "stop"
	Restart Verb = "restart"
	Kill    Verb = "kill"
	Pause   Verb = "pause"
	Unpause Verb = "unpause"
	Rebuild Verb = "rebuild"
	Scale   Verb = "scale"
	Watch   Verb = "watch" // set the watch mode
	Down    Verb = "down"
	Trust   Verb = "trust" // allow host commands, and bring up what waits for them
	Fault   Verb = "fault" // inject Command.Fault; it returns once that is in force
	Heal    Verb = "heal"  // end faults: those of Command.Faults, else those of the services, else all
	// look at the calls from and to the services, or at those of From to them; none: at all calls
	Tap   Verb = "tap"
	Untap Verb = "untap" // no more
)

// Ending is what becomes of a project when the program that runs it ends.
type Ending uint8

const (
	EndLeave       Ending = iota // it runs on
	EndStop                      // its containers are stopped
	EndDown                      // containers and networks are removed
	EndDownVolumes               // and named volumes
	EndDownOrphans               // as EndDown, with the containers of services that the file does not name
	EndDownAll                   // as EndDownVolumes, with those
)

var endingNames = [...]string{"leave", "stop", "down", "down with volumes", "down with orphans",
	"down with volumes and orphans"}

// String is the word for messages.
func (e Ending) String() string { return endingNames[e] }

// Command is what asks for an ending; its Verb is "" for EndLeave.
func (e Ending) Command() Command {
	switch e {
	case EndLeave:
		return Command{}
	case EndStop:
		return Command{Verb: Stop}
	}
	return Command{Verb: Down, Volumes: e == EndDownVolumes || e == EndDownAll,
		Orphans: e == EndDownOrphans || e == EndDownAll}
}

// Recreate says which containers are replaced; "" stands for those that are not as they should be.
type Recreate string

const (
	Always Recreate = "always" // all
	Never  Recreate = "never"  // none
)

// Plain says whether an up asks for no more than that services are as they should be.
func (c *Command) Plain() bool {
	return c.Recreate == "" && !c.Renew && !c.NoStart && c.Pull == ""
}

// Command asks the engine for something. It is also the body of the control socket's requests.
type Command struct {
	Verb Verb `json:"verb"`
	// empty: all, where that makes sense (not for kill)
	Services   []string `json:"services,omitempty"`
	Replica    int      `json:"replica,omitempty"`    // 0: all replicas
	Signal     string   `json:"signal,omitempty"`     // of kill; "" is SIGKILL
	Dependents bool     `json:"dependents,omitempty"` // of restart: with all that depend on it
	// of start: with all that it depends on, where that has a container that does not run
	Needed bool `json:"needed,omitempty"`
	// of restart: without those that want to be restarted with it
	Alone   bool              `json:"alone,omitempty"`
	Scale   int               `json:"scale,omitempty"`
	Mode    project.WatchMode `json:"mode,omitempty"`
	Volumes bool              `json:"volumes,omitempty"` // of down: named volumes too
	// of down: images that were built without a name of their own
	Images    bool           `json:"images,omitempty"`
	AllImages bool           `json:"all_images,omitempty"` // of down: every image that its services run
	Orphans   bool           `json:"orphans,omitempty"`
	Grace     *time.Duration `json:"grace,omitempty"` // nil: the service's own, else the loop's
	From      string         `json:"from,omitempty"`  // of tap: only the calls of this service
	Cause     string         `json:"cause,omitempty"` // "you pressed r"
	// Allow are the IDs of the host commands that a person has seen and allows, of trust; empty:
	// what was allowed elsewhere.
	Allow  []string     `json:"allow,omitempty"`
	Once   bool         `json:"once,omitempty"` // of trust: for the run of the engine only
	Fault  *fault.Fault `json:"fault,omitempty"`
	Faults []string     `json:"faults,omitempty"` // ids
	// Recreate, Renew, NoStart and Pull are of up, for what its services have already.
	Recreate Recreate `json:"recreate,omitempty"`
	// anonymous volumes begin empty, in containers that are replaced for it
	Renew   bool   `json:"renew,omitempty"`
	NoStart bool   `json:"no_start,omitempty"` // what is missing is made, and nothing is started
	Pull    string `json:"pull,omitempty"`     // pull policy in the place of the services' own
	// Limit is how long a dependency that the command waits for may take from its own start on; 0: no limit.
	Limit time.Duration `json:"limit,omitempty"`
}
