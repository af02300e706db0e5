package container

import "time"

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
