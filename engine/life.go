package engine

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"bulkhead/engine/plan"
	"bulkhead/engine/tail"
)

// adoptAll takes over what is there already when Run begins.
func (e *Engine) adoptAll(instances []Instance) {
	for _, in := range slices.SortedFunc(slices.Values(instances), plan.ByNumberThenAge) {
		e.mu.Lock()
		s := e.svcs[in.Service]
		first := s != nil && s.reps[in.Replica] == nil
		if s != nil && !first {
			s.extra = append(s.extra, in)
		}
		e.mu.Unlock()
		if first {
			e.adopt(s, in.Replica, in, "")
		}
	}
}

// adopt makes in the container that a replica holds, or takes in what became of it. A new life
// (another container, or another start of the same one) is a new generation: its log is followed
// and its early probe started. cause is why, "" when it is what we knew before.
func (e *Engine) adopt(s *service, n int, in Instance, cause string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	r := s.replica(n)
	prev, was := r.inst, r.health()
	if cause == "" {
		cause = r.pendingCause
	}
	lived := !in.Started.IsZero() && in.State != StateCreated
	newLife := lived && (in.ID != prev.ID || !in.Started.Equal(prev.Started))
	if prev.ID == in.ID && in.Health == HealthUnknown {
		in.Health = prev.Health
	}
	if prev.ID == in.ID && prev.State == StateStopping && in.State == StateRunning && in.Started.Equal(prev.Started) && time.Now().Before(r.stopBy) {
		in.State = StateStopping // for the runtime it runs until it has ended
	}
	r.inst = in
	r.unhooked = len(s.conf.Config.PostStart) > 0 && e.journal.Unhooked(in.ID)
	delete(s.incoming, in.ID)
	if newLife {
		known := false // where a new generation came to nothing, the old one is back
		if r.generation, known = e.tail.Generation(in.Identity); !known {
			r.generation = e.journal.Generation(s.name, n, in.ID, in.Started)
		}
		r.early, r.last = false, Stats{}
		r.cpu, r.mem, r.rx, r.tx = math.NaN(), -1, math.NaN(), math.NaN()
		r.expectedExit, r.pendingCause = false, "" // what we asked of the life before; a short one may have ended by itself already
		if in.State == StateRunning {
			e.probeLife(s, r)
		}
	}
	e.tail.Observe(tail.Sighting{
		Replica: tail.Replica{Service: s.name, Number: n}, Instance: in, Generation: r.generation, Cause: cause,
		Beside: prev.ID != in.ID && prev.State == StateRunning,
	})
	if newLife && n == 1 {
		ended := in.Finished
		if prev.ID != in.ID {
			ended = in.Created // the old one ended after the new one was made
		}
		e.rejoinLocked(s, prev.ID == in.ID, ended)
	}
	state := r.state
	e.updateState(s)
	for _, o := range e.joinersLocked(s) {
		e.updateState(o)
	}
	if r.state != state || prev.ID != in.ID || r.health() != was || !prev.Started.Equal(in.Started) {
		if cause != "" {
			r.cause = cause
		}
		e.recordReplica(s, r, cause)
	}
	e.updateLedgers()
}

// EndedByItself is the Record.Cause of an end that nobody asked for.
const EndedByItself = "ended by itself"

// label names a replica, by its number only where there are several.
func (s *service) label(r *replica) string {
	if s.conf.Replicas > 1 || r.number > 1 {
		return fmt.Sprintf("%s/%d", s.name, r.number)
	}
	return s.name
}

// recordReplica records where a replica is now. Callers hold mu.
func (e *Engine) recordReplica(s *service, r *replica, cause string) {
	rec := Record{Kind: "service", Service: s.name, Replica: r.number, Generation: r.generation, ID: r.inst.ID, State: r.state,
		Health: r.health(), Cause: cause}
	name := s.label(r)
	rec.What = r.state.String()
	switch {
	case r.state == StateStarting && r.health() == HealthStarting: // says it once
	case r.inst.State == StateExited || r.inst.State == StateRestarting:
		rec.ExitCode, rec.HasExit = r.inst.ExitCode, true
		rec.What = fmt.Sprintf("%s with code %d", r.state, r.inst.ExitCode)
		if r.inst.OOM {
			rec.What += ", out of memory"
		}
	case r.live() && r.health() != HealthNone:
		rec.What = fmt.Sprintf("%s, %s", r.state, r.health())
	}
	rec.Text = name + ": " + rec.What
	if cause != "" {
		rec.Text += " (" + cause + ")"
	}
	rec.Time = time.Now()
	rec.Likely = e.incident(s.incident(r, cause, rec.Time))
	if rec.Likely != nil {
		rec.Text += "; likely cause: " + rec.Likely.String()
	}
	e.record(rec)
}

// refresh looks at a replica's container again.
func (e *Engine) refresh(ctx context.Context, s *service, id, cause string) error {
	in, err := e.rt.Inspect(ctx, id)
	if errors.Is(err, ErrNotFound) {
		e.forget(s, id, "removed")
		return nil
	}
	if err != nil {
		return wrapErr(err, "look at %s", s.name)
	}
	e.mu.Lock()
	r := s.byID(id)
	e.mu.Unlock()
	if r != nil {
		e.adopt(s, r.number, in, cause)
	}
	return nil
}

// forget takes a container out of the state, because it is gone.
func (e *Engine) forget(s *service, id, cause string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.dropRecords(id)
	e.tail.Forget(id)
	delete(s.incoming, id)
	r := s.byID(id)
	if r == nil {
		return
	}
	r.inst = Instance{}
	r.cpu, r.mem, r.rx, r.tx = math.NaN(), -1, math.NaN(), math.NaN()
	r.cause = cause
	if r.number > s.conf.Replicas {
		delete(s.reps, r.number)
		e.tail.ForgetReplica(tail.Replica{Service: s.name, Number: r.number})
	}
	e.updateState(s)
	for _, o := range e.joinersLocked(s) {
		e.updateState(o)
	}
	e.updateLedgers()
	e.record(Record{Kind: "service", Service: s.name, Replica: r.number, Generation: r.generation, ID: id, State: StateWaiting, Health: HealthNone,
		Cause: cause, What: "container removed", Text: fmt.Sprintf("%s: container removed (%s)", s.label(r), cause)})
}

// followEvents keeps the state true to the engine's events. When the connection breaks it tries
// again, and then looks at everything.
func (e *Engine) followEvents(ctx context.Context, since time.Time) error {
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, 2*time.Second) {
		err := e.rt.Events(ctx, e.name, since, func(ev Event) {
			since, pause = ev.Time, 100*time.Millisecond
			e.handle(ctx, ev)
		})
		if ctx.Err() != nil {
			return nil
		}
		e.mu.Lock()
		if e.phase != PhaseLost {
			e.phase = PhaseLost
			text := "the connection to the engine is gone; trying again"
			if err != nil {
				text += ": " + firstLine(err)
			}
			e.record(Record{Kind: "notice", Notice: "lost", Text: text})
		}
		e.mu.Unlock()
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil
		}
		if instances, err := e.rt.Instances(ctx, e.name); err == nil {
			e.resync(instances)
		}
	}
}

// resync compares the state with what is there, after events may have been missed.
func (e *Engine) resync(instances []Instance) {
	there := map[string]Instance{}
	for _, in := range instances {
		there[in.ID] = in
	}
	type known struct {
		s  *service
		n  int
		id string
	}
	var all []known
	e.mu.Lock()
	if e.phase == PhaseLost {
		e.phase = PhaseRunning
		e.record(Record{Kind: "notice", Notice: "found", Text: "connected to the engine again"})
	}
	for _, s := range e.svcs {
		for _, r := range s.reps {
			if r.inst.ID != "" {
				all = append(all, known{s, r.number, r.inst.ID})
			}
		}
	}
	e.mu.Unlock()
	for _, k := range all {
		if in, ok := there[k.id]; ok {
			e.adopt(k.s, k.n, in, "seen after the connection was lost")
			e.scheduleRescan(k.s)
		} else {
			e.forget(k.s, k.id, "gone when the connection was back")
		}
	}
	e.tail.Retain(func(id string) bool { _, ok := there[id]; return ok })
}

// handle takes in one event.
func (e *Engine) handle(ctx context.Context, ev Event) {
	e.mu.Lock()
	s := e.svcs[ev.Service]
	if s == nil || s.incoming[ev.ID] {
		e.mu.Unlock()
		return
	}
	r := s.byID(ev.ID)
	if r == nil {
		busy := s.lane.busy != nil
		e.mu.Unlock()
		e.handleUnheld(ctx, s, ev, busy)
		return
	}
	cause := ""
	switch ev.Kind {
	case EventHealth:
		// What the check said is not in the event, but in the container.
		cause = fmt.Sprintf("healthcheck: %s -> %s", r.health(), ev.Health)
	case EventKilled:
		if !r.expectedExit && r.pendingCause == "" {
			r.pendingCause = "signal " + ev.Signal + " sent by another program"
		}
		e.mu.Unlock()
		return
	case EventDied:
		cause = e.handleEndLocked(s, r, ev)
	case EventStarted, EventRestarted:
		if s.lane.busy == nil && r.inst.State != StateRunning {
			cause = "started by another program"
			s.byHand = false
			if r.inst.State == StateRestarting || r.inst.State == StateExited && !r.expectedExit && r.pendingCause == "" {
				cause = "restarted by its restart policy"
			}
		}
	case EventRemoved:
		cause = "removed by another program"
		if r.expectedExit {
			cause = r.pendingCause
		}
		e.mu.Unlock()
		e.forget(s, ev.ID, cause)
		return
	case EventOOM, EventPaused, EventUnpaused, EventStopped, EventRenamed:
	default:
		e.mu.Unlock()
		return
	}
	e.mu.Unlock()
	if err := e.refresh(ctx, s, ev.ID, cause); err != nil && ctx.Err() == nil {
		e.warn(err.Error())
	}
	if (ev.Kind == EventStarted || ev.Kind == EventRestarted) && e.sync.Owes(ev.ID) {
		e.scheduleRescan(s) // whoever started it: what could not be deleted while it did not run can be now
	}
}

// handleUnheld takes in an event of a container that no replica holds: of one that was replaced, or
// that somebody else made for the service (docker compose in another terminal), which is the one as
// soon as it runs.
func (e *Engine) handleUnheld(ctx context.Context, s *service, ev Event, busy bool) {
	if ev.Kind == EventDied {
		e.tail.Ended(ev.ID, tail.End{At: ev.Time, ExitCode: ev.ExitCode})
	}
	if ev.Kind != EventStarted || busy {
		return
	}
	if in, err := e.rt.Inspect(ctx, ev.ID); err == nil && in.Replica >= 1 {
		e.adopt(s, in.Replica, in, "started by another program")
		e.scheduleRescan(s)
	}
}

// handleEndLocked takes in that a container ended, and returns the cause, "" for one that is known.
// Callers hold mu, which it releases for a moment.
func (e *Engine) handleEndLocked(s *service, r *replica, ev Event) (cause string) {
	if !r.expectedExit && r.pendingCause == "" {
		cause = EndedByItself
		if ev.ExitCode == 0 && !s.conf.Restarts() {
			e.journal.Complete(ev.ID)
		}
	}
	why := cause
	if why == "" {
		why = r.pendingCause
	}
	// The end of a life that the restart policy follows with another at once is seen in this event alone.
	if !ev.Time.After(r.inst.Started) {
		return cause
	}
	e.tail.Ended(ev.ID, tail.End{At: ev.Time, ExitCode: ev.ExitCode, OOM: r.inst.OOM, Cause: why})
	// While an engine clears a container away it answers nothing about it, for 100 ms or so. What
	// the event says is shown at once, unless the policy may start it again, or the kernel killed
	// it for want of memory, which only the answer says.
	if r.live() && s.conf.StaysDown() && (ev.ExitCode != 128+9 || why != EndedByItself) {
		in := r.inst
		in.State, in.ExitCode, in.Finished = StateExited, ev.ExitCode, ev.Time
		e.mu.Unlock()
		e.adopt(s, in.Replica, in, cause)
		e.mu.Lock()
	}
	return cause
}

// scheduleRescan has a service's lane bring it up to date after something happened to its containers behind our back.
func (e *Engine) scheduleRescan(s *service) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if s.conf.Syncs() {
		s.enqueue(&task{verb: verbRescan, cause: "its container was started by another program", done: make(chan error, 1)})
	}
}

// warn shows something that the user should know and that stops nothing.
func (e *Engine) warn(text string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.warnLocked(text)
}

// warnLocked is warn for those who hold mu.
func (e *Engine) warnLocked(text string) {
	if !slices.Contains(e.warnings, text) {
		e.warnings = append(e.warnings, text)
	}
	e.record(Record{Kind: "notice", Notice: "warning", Text: text})
}
