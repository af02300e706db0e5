package step

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"bulkhead/engine/container"
	"bulkhead/engine/project"
)

const (
	// composeGrace is how long a container has between its stop signal and SIGKILL where neither the command nor its
	// stop_grace_period says: the default of the Compose specification.
	composeGrace = 10 * time.Second
	// loopGrace is the same for what the inner loop stops by itself because files changed (see Mode.Loop).
	loopGrace = 2 * time.Second
	// sigkilled is the exit code of a container that SIGKILL ended: 128 and the number of the signal.
	sigkilled = 128 + 9
)

// Stop is how a container that ran was stopped, harsher ways last.
type Stop uint8

const (
	StopNone   Stop = iota // nothing was stopped
	StopSignal             // it ended by its stop signal, within its grace
	StopKilled             // killed at once: its first process cannot react to the stop signal
	StopLate               // killed when its grace was over
)

var stopNames = [...]string{"", "signal", "killed", "grace"}

// String returns the word of the JSON.
func (s Stop) String() string {
	if int(s) < len(stopNames) {
		return stopNames[s]
	}
	return stopNames[0]
}

// Mode says who wants a container to stop, and so how long it may take.
type Mode struct {
	Grace *time.Duration // explicit, of a command; nil: by the rules
	Loop  bool           // the inner loop stops it because files changed, not a person
	// Overlap is of a Swap: the old container stops only once the new one is ready.
	Overlap bool
	// PreStart is of a Swap: the pre_start hooks of the service run before it.
	PreStart bool
}

// Asked is a stop that a person, or the end of the program, asks for.
var Asked = Mode{}

// graceOf is how long a container may take to stop. The short grace of the loop is only for
// services that are being worked on, and never for one that may have something to save.
func (m Mode) graceOf(s Service, in container.Instance) time.Duration {
	if m.Grace != nil {
		return *m.Grace
	}
	if g := s.Conf.Config.StopGracePeriod; g != nil {
		return time.Duration(*g)
	}
	if in.StopGrace > 0 { // of an orphan, or of a file that has changed since
		return in.StopGrace
	}
	workedOn := s.Conf.Built || len(s.Conf.Rules) > 0
	if m.Loop && workedOn && !keepsData(s, in) {
		return loopGrace
	}
	return composeGrace
}

// keepsData says whether a service has a volume of any kind, in the file, through another service or by its image.
func keepsData(s Service, in container.Instance) bool {
	c := s.Conf.Config
	if len(c.VolumesFrom)+len(s.Image.Volumes)+len(in.Volumes) > 0 {
		return true
	}
	for _, v := range c.Volumes {
		if v.Type != "tmpfs" {
			return true
		}
	}
	return false
}

// Uncancelled is a context for the part of a task that is finished even when the task is aborted:
// it lasts as long as the stops of the service may take, and Critical more.
func Uncancelled(
	ctx context.Context, conf *project.Service, m Mode, in container.Instance,
) (context.Context, context.CancelFunc) {
	kept := context.WithValue(context.WithoutCancel(ctx), taskKey{}, ctx)
	return context.WithTimeout(kept, Critical+m.graceOf(Service{Conf: conf}, in))
}

// taskKey is the key of the task's own context within one that Uncancelled made: it ends what has no limit of its own.
type taskKey struct{}

// Stop stops a replica's container, takes in what became of it, and returns how it ended, with a
// line about it where that was not by its stop signal. m says how long that may take; a process
// that cannot react to the stop signal is killed at once, unless the command or the file sets a
// grace.
func (r *Runner) Stop(
	ctx context.Context, s Service, in container.Instance, m Mode, cause string,
) (how Stop, note string, err error) {
	switch in.State {
	case container.StateRunning, container.StateRestarting, container.StatePaused:
		r.host.ExpectEnd(s.name(), in.ID, cause)
	}
	e, err := r.end(ctx, s, in, m, cause)
	if err != nil {
		return StopNone, "", err
	}
	if err := r.host.Refresh(ctx, s.name(), in.ID, cause); err != nil {
		return StopNone, "", err
	}
	return r.how(ctx, s, e)
}

// ended is a container whose stop has been carried out.
type ended struct {
	id     string // "" for one that did not run
	grace  time.Duration
	atOnce bool // killed without a stop signal, which it could not have reacted to
	own    bool // the grace is the file's or the command's
}

// end ends one container: its pre_stop hooks, its stop signal, and when its grace is over SIGKILL. With
// an error the host knows that it may run on.
func (r *Runner) end(
	ctx context.Context, s Service, in container.Instance, m Mode, cause string,
) (_ ended, err error) {
	defer func() {
		if err != nil {
			r.host.StopFailed(s.name(), in.ID)
		}
	}()
	switch in.State {
	case container.StateRunning, container.StateRestarting:
	case container.StatePaused:
		if err := r.rt.Unpause(ctx, in.ID); err != nil && !errors.Is(err, container.ErrNotFound) {
			return ended{}, container.WrapErr(err, "stop %s", s.name())
		}
	default:
		return ended{}, nil
	}
	grace := m.graceOf(s, in)
	e := ended{id: in.ID, grace: grace, own: m.Grace != nil || s.Conf.Config.StopGracePeriod != nil}
	if m.Loop {
		cause = "" // the change says it all, and two seconds are over before a line is read
	}
	r.host.Stopping(s.name(), in.ID, grace, cause)
	// The runtime carries it out though we end meanwhile.
	r.journal.BeginStop(in.ID)
	if in.State != container.StateRestarting { // between two lives nothing runs that could run a hook
		r.preStop(ctx, s, in.ID)
	}
	if !e.own {
		if handles, known := r.rt.HandlesStop(ctx, in.ID); known && !handles {
			if err := r.rt.Kill(ctx, in.ID, "SIGKILL"); err == nil {
				e.atOnce = true
				if err := r.AwaitEnd(ctx, s.name(), in.ID); err != nil {
					return e, err
				}
				r.journal.EndStop(in.ID)
				return e, nil
			}
		}
	}
	r.host.Stopping(s.name(), in.ID, grace, "") // the hooks took their own time
	if err := r.rt.Stop(ctx, in.ID, grace); err != nil && !errors.Is(err, container.ErrNotFound) {
		return ended{}, container.WrapErr(err, "stop %s", s.name())
	}
	r.journal.EndStop(in.ID)
	return e, nil
}

// how says how a container was stopped. What ended it is asked of the container, not of a clock:
// one that ended by itself in the last moment of its grace was not killed.
func (r *Runner) how(ctx context.Context, s Service, e ended) (Stop, string, error) {
	switch {
	case e.id == "":
		return StopNone, "", nil
	case e.atOnce:
		return StopKilled, "killed at once: its first process does not react to the stop signal", nil
	}
	in, err := r.rt.Inspect(ctx, e.id)
	if errors.Is(err, container.ErrNotFound) {
		return StopNone, "", nil // it is gone, and with it what ended it
	}
	if err != nil {
		return StopNone, "", container.WrapErr(err, "look at %s", s.name())
	}
	switch {
	case in.State != container.StateExited || in.ExitCode != sigkilled:
		return StopSignal, "", nil
	case strings.HasSuffix(strings.ToUpper(s.Conf.Config.StopSignal), "KILL"):
		return StopKilled, "killed at once: its stop_signal is SIGKILL", nil
	case e.own:
		return StopLate, fmt.Sprintf("killed after its grace of %s", container.Brief(e.grace)), nil
	}
	return StopLate,
		fmt.Sprintf("killed after %s: the stop signal did not end it; give it longer with stop_grace_period", container.Brief(e.grace)), nil
}

// AwaitEnd asks until a container that was killed has ended: the kill returns before the runtime has noticed.
func (r *Runner) AwaitEnd(ctx context.Context, service, id string) error {
	for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		in, err := r.rt.Inspect(ctx, id)
		if errors.Is(err, container.ErrNotFound) || err == nil && in.State != container.StateRunning {
			return nil
		}
		if err != nil {
			return container.WrapErr(err, "stop %s", service)
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return fmt.Errorf("stop %s: %w", service, ctx.Err())
		}
	}
}
