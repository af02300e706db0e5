package engine

import "bulkhead/engine/container"

// The port's types, under the names that the engine's callers use.
type (
	Runtime      = container.Runtime
	Instance     = container.Instance
	Identity     = container.Identity
	Image        = container.Image
	PullProgress = container.PullProgress
	Port         = container.Port
	Entry        = container.Entry
	Info         = container.Info
	Caps         = container.Caps
	CreateSpec   = container.CreateSpec
	LogOptions   = container.LogOptions
	Stats        = container.Stats
	ExecOptions  = container.ExecOptions
	Size         = container.Size
	Event        = container.Event
	EventKind    = container.EventKind
	State        = container.State
	Health       = container.Health
)

const (
	StateUnknown    = container.StateUnknown
	StateWaiting    = container.StateWaiting
	StateBuilding   = container.StateBuilding
	StateCreated    = container.StateCreated
	StateStarting   = container.StateStarting
	StateRunning    = container.StateRunning
	StateStopping   = container.StateStopping
	StateRestarting = container.StateRestarting
	StatePaused     = container.StatePaused
	StateExited     = container.StateExited
	StateBroken     = container.StateBroken
	HealthUnknown   = container.HealthUnknown
	HealthNone      = container.HealthNone
	HealthStarting  = container.HealthStarting
	Healthy         = container.Healthy
	Unhealthy       = container.Unhealthy
	EventUnknown    = container.EventUnknown
	EventCreated    = container.EventCreated
	EventStarted    = container.EventStarted
	EventKilled     = container.EventKilled
	EventDied       = container.EventDied
	EventStopped    = container.EventStopped
	EventRestarted  = container.EventRestarted
	EventPaused     = container.EventPaused
	EventUnpaused   = container.EventUnpaused
	EventOOM        = container.EventOOM
	EventHealth     = container.EventHealth
	EventRemoved    = container.EventRemoved
	EventRenamed    = container.EventRenamed
)

var (
	ErrNoEngine    = container.ErrNoEngine
	ErrNotFound    = container.ErrNotFound
	ErrUnsupported = container.ErrUnsupported
	ErrConflict    = container.ErrConflict
)
