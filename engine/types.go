package engine

import (
	"bulkhead/engine/command"
	"bulkhead/engine/condition"
	"bulkhead/engine/container"
	"bulkhead/engine/fault"
	"bulkhead/engine/hostcmd"
	"bulkhead/engine/lane"
	"bulkhead/engine/logs"
	"bulkhead/engine/plan"
	"bulkhead/engine/project"
	"bulkhead/engine/state"
	"bulkhead/engine/stats"
	"bulkhead/engine/step"
	"bulkhead/engine/tail"
)

// The types of the rooms, under the names that the engine's callers use.
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
	Line         = container.Line
	Stats        = container.Stats
	ExecOptions  = container.ExecOptions
	Size         = container.Size
	Event        = container.Event
	EventKind    = container.EventKind
	State        = container.State
	Health       = container.Health

	Snapshot    = state.Snapshot
	Orphan      = state.Orphan
	Phase       = state.Phase
	WatchStatus = state.WatchStatus
	Service     = state.Service
	Replica     = state.Replica
	Check       = state.Check
	Change      = state.Change
	Stage       = state.Stage
	Build       = state.Build
	BuildStep   = state.BuildStep
	Record      = state.Record
	Reload      = state.Reload

	Verb    = command.Verb
	Command = command.Command
	Ending  = command.Ending
	Replace = lane.Replace

	// HostCommand is a program that the project runs on this machine, as a person agrees to it.
	HostCommand = hostcmd.Terms

	UpError   = condition.UpError
	Failure   = condition.Failure
	Attention = stats.Attention
	Older     = tail.Older
	Stop      = step.Stop
	Outside   = state.Outside
	HookError = step.HookError

	Ledger    = fault.Ledger
	LedgerRow = fault.Row
	Outcome   = fault.Outcome
	Likely    = fault.Likely
)

// BuildPolicy says when up builds.
type BuildPolicy = plan.BuildPolicy

const (
	VerbUp      = command.Up
	VerbApply   = command.Apply
	VerbStart   = command.Start
	VerbStop    = command.Stop
	VerbRestart = command.Restart
	VerbKill    = command.Kill
	VerbPause   = command.Pause
	VerbUnpause = command.Unpause
	VerbRebuild = command.Rebuild
	VerbScale   = command.Scale
	VerbWatch   = command.Watch
	VerbDown    = command.Down
	VerbTrust   = command.Trust
	VerbFault   = command.Fault
	VerbHeal    = command.Heal
	VerbTap     = command.Tap
	VerbUntap   = command.Untap

	EndLeave       = command.EndLeave
	EndStop        = command.EndStop
	EndDown        = command.EndDown
	EndDownVolumes = command.EndDownVolumes
	EndDownOrphans = command.EndDownOrphans
	EndDownAll     = command.EndDownAll

	BuildMissing = plan.BuildMissing
	BuildAlways  = plan.BuildAlways
	BuildNever   = plan.BuildNever

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
	StateCrashing   = container.StateCrashing
	StateBroken     = container.StateBroken
	HealthUnknown   = container.HealthUnknown
	HealthNone      = container.HealthNone
	HealthStarting  = container.HealthStarting
	Healthy         = container.Healthy
	Unhealthy       = container.Unhealthy
	EventStarted    = container.EventStarted
	EventDied       = container.EventDied
	EventRestarted  = container.EventRestarted

	PhaseUnknown  = state.PhaseUnknown
	PhaseStarting = state.PhaseStarting
	PhaseRunning  = state.PhaseRunning
	PhaseStopping = state.PhaseStopping
	PhaseStopped  = state.PhaseStopped
	PhaseLost     = state.PhaseLost

	OutsideNothing = state.OutsideNothing
	OutsideStopped = state.OutsideStopped
	OutsideKilled  = state.OutsideKilled
	OutsidePaused  = state.OutsidePaused
	OutsideRemoved = state.OutsideRemoved

	StopNone   = step.StopNone
	StopSignal = step.StopSignal
	StopKilled = step.StopKilled
	StopLate   = step.StopLate

	OutcomeUnknown = fault.OutcomeUnknown
	Untouched      = fault.Untouched
	Blind          = fault.Blind
	Errors         = fault.Errors
	WentUnhealthy  = fault.WentUnhealthy
	Died           = fault.Died

	// EndedByItself is the Record.Cause of an end that nobody asked for.
	EndedByItself = state.EndedByItself

	RecreateAlways = command.Always
	RecreateNever  = command.Never
)

// LogLine is a line of a container as the log store has it, without whose it is.
func LogLine(l Line) logs.Line { return tail.LineOf(l) }

// HostCommands lists what a project runs on this machine.
func HostCommands(p *project.Project) []HostCommand { return lane.HostCommands(p) }

var (
	ErrNoEngine    = container.ErrNoEngine
	ErrNotFound    = container.ErrNotFound
	ErrUnsupported = container.ErrUnsupported
	ErrConflict    = container.ErrConflict
)

// OnlyHooks says whether all that an error holds are pre_stop hooks that did not succeed: their
// stop was carried out all the same.
func OnlyHooks(err error) bool { return step.OnlyHooks(err) }

// Medians returns, of a service's history, what the stages of an action take as a rule, and of how
// many that went well this was taken. It returns nil for fewer than three.
func Medians(history []Change, action string) (stages []Stage, of int) {
	return state.Medians(history, action)
}
