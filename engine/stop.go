package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"bulkhead/engine/project"
)

const (
	// composeGrace is how long a container has between its stop signal and SIGKILL where neither the command nor its
	// stop_grace_period says: the default of the Compose specification.
	composeGrace = 10 * time.Second
	// loopGrace is the same for what the inner loop stops by itself because files changed (see loopStop).
	loopGrace = 2 * time.Second
)

// stopMode says who wants a container to stop, and so how long it may take.
type stopMode struct {
	grace *time.Duration // explicit, of a command; nil: by the rules
	loop  bool           // the inner loop stops it because files changed, not a person
}

// asked is a stop that a person, or the end of the program, asks for.
var asked = stopMode{}

// graceOf is how long a container may take to stop. The short grace of the loop is only for services that are being worked on,
// and never for one that may have something to save.
func (m stopMode) graceOf(conf *project.Service, in Instance, img Image) time.Duration {
	if m.grace != nil {
		return *m.grace
	}
	if g := conf.Config.StopGracePeriod; g != nil {
		return time.Duration(*g)
	}
	if in.StopGrace > 0 { // of an orphan, or of a file that has changed since
		return in.StopGrace
	}
	workedOn := conf.Built || len(conf.Rules) > 0
	if m.loop && workedOn && !keepsData(conf, in, img) {
		return loopGrace
	}
	return composeGrace
}

// keepsData says whether a service has a volume of any kind, in the file, through another service or by its image.
func keepsData(conf *project.Service, in Instance, img Image) bool {
	c := conf.Config
	if len(c.VolumesFrom)+len(img.Volumes)+len(in.Volumes) > 0 {
		return true
	}
	for _, v := range c.Volumes {
		if v.Type != "tmpfs" {
			return true
		}
	}
	return false
}

// uncancelled is a context for the part of a task that is finished even when the task is aborted: it lasts as long as the stops
// of the service may take, and critical more.
func uncancelled(ctx context.Context, conf *project.Service, m stopMode, in Instance) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), critical+m.graceOf(conf, in, Image{}))
}

// stop stops a replica's container, and takes in what became of it. m says how long that may take; a process that cannot react
// to the stop signal is killed at once, unless the command or the file sets a grace.
func (e *Engine) stop(ctx context.Context, s *service, h held, m stopMode, cause string, k *change) error {
	e.mu.Lock()
	in := h.inst
	if in.State == StateRunning || in.State == StateRestarting || in.State == StatePaused {
		h.byUs, h.blame = true, cause
	}
	e.mu.Unlock()
	end, err := e.stopInstance(ctx, s, in, m, cause)
	if err != nil {
		return err
	}
	if err := e.refresh(ctx, s, in.ID, cause); err != nil {
		return err
	}
	return e.noteStop(ctx, s, end, k)
}

// stopped is a container whose stop has been carried out.
type stopped struct {
	id     string
	grace  time.Duration
	atOnce bool // killed without a stop signal, which it could not have reacted to
	own    bool // the grace is the file's or the command's
}

// stopInstance ends one container: its pre_stop hooks, its stop signal, and when its grace is over SIGKILL. The result's id is
// empty when the container did not run.
func (e *Engine) stopInstance(ctx context.Context, s *service, in Instance, m stopMode, cause string) (stopped, error) {
	switch in.State {
	case StateRunning, StateRestarting:
	case StatePaused:
		if err := e.rt.Unpause(ctx, in.ID); err != nil && !errors.Is(err, ErrNotFound) {
			return stopped{}, say(err, "stop %s", s.name)
		}
	default:
		return stopped{}, nil
	}
	grace := m.graceOf(s.conf, in, e.imageOf(s))
	end := stopped{id: in.ID, grace: grace, own: m.grace != nil || s.conf.Config.StopGracePeriod != nil}
	if m.loop {
		cause = "" // the change says it all, and two seconds are over before a line is read
	}
	e.showStopping(s, in.ID, grace, cause)
	if in.State != StateRestarting { // between two lives nothing runs that could run a hook
		e.preStop(ctx, s, in.ID)
	}
	if !end.own {
		if handles, known := e.rt.HandlesStop(ctx, in.ID); known && !handles {
			if err := e.rt.Kill(ctx, in.ID, "SIGKILL"); err == nil {
				end.atOnce = true
				return end, e.awaitEnd(ctx, s, in.ID)
			}
		}
	}
	e.showStopping(s, in.ID, grace, "") // the hooks took their own time
	if err := e.rt.Stop(ctx, in.ID, grace); err != nil && !errors.Is(err, ErrNotFound) {
		return stopped{}, say(err, "stop %s", s.name)
	}
	return end, nil
}

// showStopping shows that a replica's container has until grace from now to end; cause is why, "" when that was recorded before.
func (e *Engine) showStopping(s *service, id string, grace time.Duration, cause string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	r := s.byID(id)
	if r == nil {
		return
	}
	r.stopBy = time.Now().Add(grace)
	r.inst.State = StateStopping
	e.settle(s)
	if cause != "" {
		e.record(Record{Kind: "service", Service: s.name, Replica: r.number, Generation: r.generation, ID: id, State: StateStopping, Health: r.health(),
			Cause: cause, Text: fmt.Sprintf("%s: stopping, has up to %s (%s)", s.label(r), brief(grace), cause)})
	}
}

// deadline is when the engine kills a replica that is being stopped, zero when none is. Callers hold Engine.mu.
func (r *replica) deadline() time.Time {
	if r.inst.State != StateStopping {
		return time.Time{}
	}
	return r.stopBy
}

// noteStop notes with a change how a container was stopped. What ended it is asked of the container, not of a clock: one that
// ended by itself in the last moment of its grace was not killed.
func (e *Engine) noteStop(ctx context.Context, s *service, end stopped, k *change) error {
	switch {
	case k == nil || end.id == "":
		return nil
	case end.atOnce:
		k.stopped(StopKilled, "killed at once: its first process does not react to the stop signal")
		return nil
	}
	in, err := e.rt.Inspect(ctx, end.id)
	if errors.Is(err, ErrNotFound) {
		return nil // it is gone, and with it what ended it
	}
	if err != nil {
		return say(err, "look at %s", s.name)
	}
	switch {
	case in.State != StateExited || in.ExitCode != sigkilled:
		k.stopped(StopSignal, "")
	case strings.HasSuffix(strings.ToUpper(s.conf.Config.StopSignal), "KILL"):
		k.stopped(StopKilled, "killed at once: its stop_signal is SIGKILL")
	case end.own:
		k.stopped(StopLate, fmt.Sprintf("killed after its grace of %s", brief(end.grace)))
	default:
		k.stopped(StopLate, fmt.Sprintf("killed after %s: the stop signal did not end it; stop_grace_period gives it longer", brief(end.grace)))
	}
	return nil
}

// sigkilled is the exit code of a container that SIGKILL ended: 128 and the number of the signal.
const sigkilled = 128 + 9
