package state

import (
	"cmp"
	"fmt"
	"time"

	"bulkhead/engine/condition"
	"bulkhead/engine/container"
	"bulkhead/engine/fault"
	"bulkhead/engine/tail"
)

// EndedByItself is the Record.Cause of an end that nobody asked for.
const EndedByItself = "ended by itself"

// Follow is what has to follow from what was seen of a container.
type Follow struct {
	Probe  *container.Instance // a life has begun that is to be asked whether it is ready
	Steady *container.Identity // a life has begun in a row of crashes: Steady is to be called once it is no short one any more
	Rejoin []Rejoin            // services that come along
	Again  string              // a container that is to be looked at again: it changed after this look at it
}

// Rejoin is a service that comes along with a new life of the one that it joins.
type Rejoin struct {
	Service string
	Cause   string
	Renewed bool // that one has another container
}

// Adopt makes in the container that a replica holds, or takes in what became of it; n is 0 for the
// replica that holds it already, and nothing happens when none does any more. A new life (another
// container, or another start of the same one) is a new generation. cause is why, "" when it is what we
// knew before.
func (s *Member) Adopt(n int, in container.Instance, cause string) (f Follow) {
	st := s.st
	complaints := st.Ledgers.complaints(s.c.Name, cmp.Or(n, in.Replica), in) // before the lock: logs may be long
	st.mu.Lock()
	defer st.mu.Unlock()
	r := s.reps.slot(n, in.ID)
	if r == nil {
		return f // another has its place since it was looked at
	}
	s.c.ByHand = !r.lapse() && s.c.ByHand
	prev, was := r.Instance, r.Health()
	if s.incoming[in.ID] == eventful {
		f.Again = in.ID
	}
	delete(s.incoming, in.ID)
	if overtaken(prev, in) {
		return f
	}
	if cause == "" {
		cause = r.pendingCause
	}
	lived := !in.Started.IsZero() && in.State != container.StateCreated
	newLife := lived && (in.ID != prev.ID || !in.Started.Equal(prev.Started))
	in = r.take(in)
	r.Unhooked = len(s.c.Conf.Config.PostStart) > 0 && st.o.Lives.Unhooked(in.ID)
	if newLife {
		r.begin(st.o.Lives.Generation(s.c.Name, r.Number, in))
		if in.State == container.StateRunning {
			f.Probe = &in
			if r.Crashing() {
				f.Steady = &in.Identity
			}
		}
	}
	st.o.Lives.Observe(tail.Sighting{
		Replica: tail.Replica{Service: s.c.Name, Number: r.Number}, Instance: in, Generation: r.generation, Cause: cause,
		Beside: prev.ID != in.ID && prev.State == container.StateRunning,
	})
	if newLife && r == s.reps.all[0] && !(prev.ID == in.ID && prev.Since().Equal(in.Since())) { // else its namespaces are the same
		f.Rejoin = s.rejoin(prev, in)
	}
	state := r.State
	s.update()
	s.updateJoiners()
	if st.o.Quiet && st.phase == PhaseStarting {
		return f // what was there before is no news
	}
	if c := s.Lane.change(); newLife && c != nil {
		st.Ledgers.noteChange(s.c.Name, c, r.Number, in.ID, prev.ID != "" && prev.ID != in.ID)
	}
	if r.State != state || prev.ID != in.ID || r.Health() != was || !prev.Started.Equal(in.Started) {
		if cause != "" {
			r.cause = cause
		}
		s.recordReplica(r, cause, complaints...)
	}
	st.Ledgers.update()
	return f
}

// begin makes a life that was seen the one that the replica lives.
func (r *replica) begin(generation int) {
	r.generation = generation
	r.Early = false
	r.use.begin()
	// What we asked of the life before; a short one may have ended by itself already.
	r.ExpectedExit, r.pendingCause, r.starting, r.expectBy, r.idles = false, "", false, time.Time{}, false
	r.outside, r.foreignSignal, r.replaced = OutsideNothing, "", false
}

// take makes what was seen of a container what is known of the replica, and returns it with what only we know.
func (r *replica) take(in container.Instance) container.Instance {
	prev := r.Instance
	if prev.ID == in.ID && in.Health == container.HealthUnknown {
		in.Health = prev.Health
	}
	sameLife := prev.ID == in.ID && in.Started.Equal(prev.Started)
	stopping := prev.State == container.StateStopping && in.State == container.StateRunning
	if sameLife && stopping && time.Now().Before(r.stopBy) {
		in.State = container.StateStopping // for the runtime it runs until it has ended
	}
	r.Instance = in
	r.noteHealth(prev)
	return in
}

// overtaken says that a container was looked at before what is known of it: looks and events take
// ways of their own, and a life that has ended does not come back.
func overtaken(known, in container.Instance) bool {
	ended := known.State == container.StateExited || known.State == container.StateRestarting
	runs := in.State == container.StateRunning || in.State == container.StatePaused
	return ended && runs && known.ID == in.ID && known.Started.Equal(in.Started) && !in.Started.IsZero()
}

// rejoin lists those that come along with a new life of the service's first container: a new
// container, or another start of the one that they know. Until their lanes have the task they count as
// having it. Callers hold mu.
func (s *Member) rejoin(prev, in container.Instance) []Rejoin {
	same, ended := prev.ID == in.ID, in.Finished
	if !same {
		ended = in.Created // the old one ended after the new one was made
	}
	var out []Rejoin
	for _, o := range s.st.known.Joiners(s.c.Name) {
		cause := o.Rejoins(&s.c, same, ended)
		if cause == "" {
			continue
		}
		o.Follow = false
		o.Lane.Queued++
		o.Lane.Arriving, o.Lane.Renewing = true, true
		out = append(out, Rejoin{Service: o.Name, Cause: cause, Renewed: !same})
	}
	return out
}

// recordReplica records where a replica is now. complaints are the errors that it, and those that it
// needs, began to log shortly before. Callers hold mu.
func (s *Member) recordReplica(r *replica, cause string, complaints ...fault.Event) {
	in, health := r.Instance, r.Health()
	rec := Record{Kind: "service", Service: s.c.Name, Replica: r.Number, Generation: r.generation, ID: in.ID, State: r.State,
		Health: health, Cause: cause}
	rec.What = r.State.String()
	switch {
	case r.State == container.StateStarting && health == container.HealthStarting: // says it once
	case r.State == container.StateCrashing && r.Live():
		rec.What = "started again after " + Times(r.Crashes, "crash")
	case r.State == container.StateCrashing:
		rec.ExitCode, rec.HasExit = in.ExitCode, true
		rec.What = fmt.Sprintf("crashed with code %d, %s in a row", in.ExitCode, Times(r.Crashes, "time"))
	case in.State == container.StateExited || in.State == container.StateRestarting:
		rec.ExitCode, rec.HasExit = in.ExitCode, true
		rec.What = fmt.Sprintf("%s with code %d", r.State, in.ExitCode)
		if in.OOM {
			rec.What += ", out of memory"
		}
	case r.Live() && health == container.Unhealthy:
		rec.What = fmt.Sprintf("%s, %s", r.State, condition.Illness(in))
	case r.Live() && health != container.HealthNone:
		rec.What = fmt.Sprintf("%s, %s", r.State, health)
	}
	rec.Text = s.reps.label(r) + ": " + rec.What
	if cause != "" {
		rec.Text += " (" + cause + ")"
	}
	rec.Time = time.Now()
	rec.Likely = s.st.Ledgers.incident(s.incident(r, cause, rec.Time), complaints...)
	if rec.Likely != nil {
		rec.Text += "; likely cause: " + rec.Likely.String()
	}
	s.st.record(rec)
}

// Holds says which replica a container is held by; 0 when none holds it.
func (s *Member) Holds(id string) int {
	s.st.mu.Lock()
	defer s.st.mu.Unlock()
	if r := s.reps.byID(id); r != nil {
		return r.Number
	}
	return 0
}

// Forget takes a container out of the state, because it is gone: for a cause, or "" where it was looked for and is not
// there. Another program removed it then, unless we are about to.
func (s *Member) Forget(id, cause string) {
	st := s.st
	st.mu.Lock()
	defer st.mu.Unlock()
	delete(s.incoming, id)
	r := s.reps.byID(id)
	slot := tail.Replica{Service: s.c.Name}
	if r != nil {
		slot.Number = r.Number
	}
	over := r != nil && len(s.reps.all) > s.c.Conf.Replicas
	st.o.Lives.Gone(slot, id, over)
	if r == nil {
		return
	}
	switch {
	case cause != "":
	case r.ExpectedExit:
		cause = "removed"
	default:
		cause, r.outside = "removed by another program", OutsideRemoved
		st.Ledgers.touchedOutside(s.c.Name)
	}
	r.Instance = container.Instance{}
	r.use.begin()
	r.cause = cause
	if over {
		s.reps.drop(r.Number)
	}
	s.update()
	s.updateJoiners()
	st.Ledgers.update()
	st.record(Record{Kind: "service", Service: s.c.Name, Replica: r.Number, Generation: r.generation, ID: id, State: container.StateWaiting,
		Health: container.HealthNone, Cause: cause, What: "container removed", Text: fmt.Sprintf("%s: container removed (%s)", s.reps.label(r), cause)})
}

// Passed notes that our own probe of a life has passed. It is over when there is nothing left to ask.
func (s *Member) Passed(life container.Instance, ok bool) (over bool) {
	s.st.mu.Lock()
	defer s.st.mu.Unlock()
	r := s.reps.byID(life.ID)
	if r == nil || !r.Instance.Started.Equal(life.Started) || r.Instance.State != container.StateRunning ||
		len(life.Check) > 0 && r.Instance.Health != container.HealthStarting {
		return true
	}
	if ok {
		r.Early = true
		s.update()
		s.recordReplica(r, "early probe passed")
	}
	return ok
}

// Reaction is what an event asks for beside what it changes.
type Reaction struct {
	Look      bool                // look at the container again, which Cause is noted with
	Gone      bool                // the container is gone, for that Cause
	Unheld    bool                // no replica holds the container; Busy says that the lane may be about to
	Busy      bool                //
	Cause     string              //
	Foreign   string              // what another program did to the service
	Completed bool                // it did what it had to do
	Ended     *tail.End           // a life has ended
	Ends      *container.Instance // what to show at once, before the runtime answers
}

// React takes in an event of one of the service's containers.
func (s *Member) React(ev container.Event) (do Reaction) {
	s.st.mu.Lock()
	defer s.st.mu.Unlock()
	if s.incoming[ev.ID] != unknownArrival {
		s.incoming[ev.ID] = eventful
		return do
	}
	r := s.reps.byID(ev.ID)
	if r == nil {
		return Reaction{Unheld: true, Busy: s.c.Lane.Busy}
	}
	s.c.ByHand = !r.lapse() && s.c.ByHand
	switch ev.Kind {
	case container.EventHealth:
		// What the check said is not in the event, but in the container.
		do.Cause = fmt.Sprintf("healthcheck: %s -> %s", r.Health(), ev.Health)
	case container.EventKilled:
		foreign := "signal " + ev.Signal + " sent by another program"
		if !r.ExpectedExit && (r.pendingCause == "" || r.pendingCause == foreign) {
			r.pendingCause, do.Foreign = foreign, s.c.Name+": "+foreign
			r.foreignSignal = ev.Signal
			s.st.Ledgers.hitOutside(&s.reps, r)
		}
		return do
	case container.EventDied:
		r.lastExit = ev.ExitCode
		do = s.ended(r, ev)
	case container.EventStarted, container.EventRestarted:
		if !s.c.Lane.Busy && r.Instance.State != container.StateRunning {
			s.c.ByHand = false
			exited := r.Instance.State == container.StateExited && !r.ExpectedExit && r.pendingCause == ""
			switch {
			case r.Instance.State == container.StateRestarting || exited:
				do.Cause = "restarted by its restart policy"
			case r.startsLate():
				do.Cause = r.pendingCause
			default:
				do.Cause, do.Foreign = "started by another program", "another program started "+s.c.Name
			}
		}
	case container.EventRemoved:
		if do.Gone, do.Cause = !r.replaced, r.pendingCause; do.Gone && !r.ExpectedExit {
			do.Cause, do.Foreign = "", "another program removed a container of "+s.c.Name
		}
		return do
	case container.EventPaused, container.EventUnpaused:
		if s.c.ByHand == (ev.Kind == container.EventUnpaused) {
			do.Foreign = "another program paused or unpaused " + s.c.Name
			s.st.Ledgers.touchedOutside(s.c.Name)
		}
		do.Cause = r.pausedOutside(ev.Kind == container.EventPaused, do.Foreign != "")
	case container.EventOOM, container.EventStopped, container.EventRenamed:
	default:
		return do
	}
	do.Look = true
	return do
}

// pausedOutside takes in that a container was paused, or unpaused, and returns why where another program did it, "" else.
func (r *replica) pausedOutside(paused, foreign bool) string {
	switch {
	case paused && foreign:
		r.outside = OutsidePaused
		return "paused by another program"
	case !paused && r.outside == OutsidePaused:
		r.outside = OutsideNothing
		return "unpaused by another program"
	}
	return ""
}

// StartsLate says whether a container of the service may start yet because we asked for it, though its
// start has failed: the answer may not have come in time.
func (s *Member) StartsLate() bool {
	s.st.mu.Lock()
	defer s.st.mu.Unlock()
	return s.reps.find((*replica).startsLate) != nil
}

// startsLate is StartsLate for one container. Callers hold the State's lock.
func (r *replica) startsLate() bool {
	return r.starting && r.Instance.ID != "" && r.Instance.State != container.StateRunning
}

// ProgramEnded notes that the program of a container ended, which goes on.
func (s *Member) ProgramEnded(id string, code int, cause string) {
	s.st.mu.Lock()
	defer s.st.mu.Unlock()
	r := s.reps.byID(id)
	if r == nil {
		return
	}
	r.lastExit = code
	what := fmt.Sprintf("program exited with code %d", code)
	s.st.record(Record{Kind: "service", Service: s.c.Name, Replica: r.Number, Generation: r.generation, ID: id, State: r.State,
		Health: r.Health(), ExitCode: code, HasExit: true, Cause: cause, What: what, Text: fmt.Sprintf("%s: %s (%s)", s.reps.label(r), what, cause)})
}

// ended takes in that a container ended. Callers hold mu.
func (s *Member) ended(r *replica, ev container.Event) (do Reaction) {
	conf := s.c.Conf
	if r.idles && !r.ExpectedExit && ev.Time.After(r.Instance.Started) { // of a signal that might have ended it, and did
		r.ExpectedExit, s.c.ByHand = true, true
	}
	if r.outside = endedBy(r.foreignSignal); r.outside != OutsideNothing && !r.ExpectedExit {
		s.st.Ledgers.touchedOutside(s.c.Name)
	}
	if !r.ExpectedExit && r.pendingCause == "" {
		do.Cause = EndedByItself
		do.Completed = ev.ExitCode == 0 && !conf.Restarts()
	}
	why := do.Cause
	if why == "" {
		why = r.pendingCause
	}
	// The end of a life that the restart policy follows with another at once is seen in this event alone,
	// and that other one may have been seen first.
	if !ev.Time.After(r.Instance.Started) {
		do.Ended = &tail.End{At: ev.Time, ExitCode: ev.ExitCode, Cause: why}
		return do
	}
	do.Ended = &tail.End{At: ev.Time, ExitCode: ev.ExitCode, OOM: r.Instance.OOM, Cause: why}
	// While an engine clears a container away it answers nothing about it, for 100 ms or so. What
	// the event says is shown at once, unless the policy may start it again, or the kernel killed
	// it for want of memory, which only the answer says.
	if r.Live() && conf.StaysDown() && (ev.ExitCode != 128+9 || why != EndedByItself) {
		in := r.Instance
		in.State, in.ExitCode, in.Finished = container.StateExited, ev.ExitCode, ev.Time
		do.Ends = &in
	}
	return do
}
