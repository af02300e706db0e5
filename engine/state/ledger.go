package state

import (
	"context"
	"maps"
	"slices"
	"time"

	"bulkhead/engine/condition"
	"bulkhead/engine/container"
	"bulkhead/engine/fault"
	"bulkhead/engine/logs"
)

const (
	ledgerFirst  = 3 * time.Second // after a fault, when the first verdict is recorded
	baselineSpan = time.Minute     // before a fault, what counts as usual
	// before a fault, what one that has nothing to do with it does now and then
	habitSpan     = 10 * time.Minute
	keptIncidents = 500 // events in which likely causes are looked for
)

// Ledgers are the proofs of who was touched by what happened to a service, and what happened lately, in
// which likely causes are looked for. They are a part of the State, under the same lock; the exported
// methods may be called from any goroutine, the others by those who hold the lock.
type Ledgers struct {
	st        *State
	all       fault.Ledgers
	incidents []fault.Event // the latest, oldest first
}

// Open notes how everybody else stands at the moment of a fault on one replica of a service, 0: all.
func (l *Ledgers) Open(service string, n int, what string) {
	l.st.mu.Lock()
	defer l.st.mu.Unlock()
	l.open(service, n, what)
}

// OpenMove is Open for what is no fault: a restart, or a new container in the place of one.
func (l *Ledgers) OpenMove(service, what string) {
	l.st.mu.Lock()
	defer l.st.mu.Unlock()
	if l.all.OpenMove(time.Now(), service, 0, what, l.live(service, 0), l.bystanders(service, 0)) {
		l.st.bump()
	}
}

func (l *Ledgers) open(service string, n int, what string) {
	l.all.Open(time.Now(), service, n, what, l.live(service, n), l.bystanders(service, n))
	l.st.bump()
}

// OpenFault is Open for a fault that leaves lives alone. Who shares the network that it is done to has it too.
func (l *Ledgers) OpenFault(f fault.Fault) {
	l.st.mu.Lock()
	defer l.st.mu.Unlock()
	l.all.OpenFault(time.Now(), &f, l.live(f.Service, f.Replica), l.bystanders(f.Service, f.Replica))
	l.st.bump()
	if fault.OnNetwork(f.Kind) {
		l.all.Include(l.st.known.Neighbours(f.Service))
	}
}

// live lists the replicas of a service that run; n is one of them, 0 all.
func (l *Ledgers) live(service string, n int) (out []container.Identity) {
	if s := l.st.services[service]; s != nil {
		for _, r := range s.reps.all {
			if r.Live() && (n == 0 || n == r.Number) {
				out = append(out, r.Instance.Identity)
			}
		}
	}
	return out
}

// bystanders says how all but the replica n of a service stand; 0 is all of its replicas.
func (l *Ledgers) bystanders(service string, n int) []fault.Stand {
	var bystanders []fault.Stand
	for _, level := range l.st.p.Order() {
		for _, name := range level {
			o := l.st.services[name]
			if o == nil {
				continue
			}
			for _, r := range o.reps.all {
				if name == service && (n == 0 || r.Number == n) || !r.Live() && o.c.Completed() {
					continue
				}
				stand := r.stand(name)
				stand.Live = stand.Live && !r.Crashing() // who crashes again and again proves nothing
				stand.Moving = r.ExpectedExit && o.Lane.moves
				stand.Needs = fault.Needs(name, service, l.calls)
				if n <= 1 { // others join the first replica
					stand.Shares = condition.Shared(o.c.Conf, service)
				}
				bystanders = append(bystanders, stand)
			}
		}
	}
	return bystanders
}

// stand is how a replica stands now.
func (r *replica) stand(service string) fault.Stand {
	return fault.Stand{Service: service, Replica: r.Number, Identity: r.Instance.Identity,
		PID: r.Instance.Pid, Health: r.Health(), Live: r.Live(), Unhealthy: r.Health() == container.Unhealthy}
}

// faulty says whether a fault is in force on a service.
func (l *Ledgers) faulty(service string) bool {
	on := func(a fault.Active) bool { return a.Fault.Service == service }
	return l.st.o.Faults != nil && slices.ContainsFunc(l.st.o.Faults(), on)
}

// hitOutside opens the ledger of a signal by which another program ends a replica.
func (l *Ledgers) hitOutside(of *replicas, r *replica) {
	what, ends := faultOf[endedBy(r.foreignSignal)]
	if !ends {
		return
	}
	n := 0
	if len(of.all) > 1 {
		n = r.Number
	}
	l.open(of.c.Name, n, what)
}

// touchedOutside takes a service out of the open ledger, because another program did something to it: what becomes of
// it then is not of the fault.
func (l *Ledgers) touchedOutside(service string) { l.all.Freeze(time.Now(), service) }

// update compares the open ledger with how everybody stands now.
func (l *Ledgers) update() {
	now := l.all.Current()
	if now == nil {
		return
	}
	hit := fault.Hit{HeldDown: true}
	if s := l.st.services[now.Service]; s != nil {
		for _, r := range s.reps.all {
			s.c.ByHand = !r.lapse() && s.c.ByHand // what was to end, and went on, is held down by nobody
		}
		hit = fault.Hit{HeldDown: s.c.ByHand, Faulty: l.faulty(s.c.Name), Ready: s.c.Ready(), Hosting: s.c.Hosting(),
			Live: l.live(s.c.Name, now.Replica)}
	}
	closed := l.all.Compare(time.Now(), func(name string, n int) fault.Stand {
		if s := l.st.services[name]; s != nil {
			if r := s.reps.has(n); r != nil {
				return r.stand(name)
			}
		}
		return fault.Stand{}
	}, hit)
	if closed != nil {
		l.record(closed)
	}
}

// record records where a ledger stands.
func (l *Ledgers) record(led *fault.Ledger) {
	c := led.Copy()
	text := c.Verdict()
	if c.BackIn > 0 {
		text += ", back in " + container.Brief(c.BackIn)
	}
	l.st.record(Record{
		Kind: "ledger", Service: led.Service, Replica: led.Replica, Action: led.Fault, Text: text, Ledger: &c,
	})
}

// Bystanders looks at the logs of those whom a fault has not touched so far: more warnings and errors
// than before it are a sign. Make it with its Logs set, and let one goroutine use it.
type Bystanders struct {
	State    *State
	Logs     *logs.Store
	recorded map[*fault.Ledger]bool
}

// Watch looks every now and then until ctx ends.
func (b *Bystanders) Watch(ctx context.Context, every time.Duration) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			b.Look()
		case <-ctx.Done():
			return nil
		}
	}
}

// Look looks once, and records the first verdict of a ledger in time.
func (b *Bystanders) Look() {
	st := b.State
	st.mu.Lock()
	l := st.Ledgers.all.Current()
	var seen fault.Ledger
	var healed []fault.Ledger
	if l != nil {
		seen, healed = l.Copy(), st.Ledgers.all.Copies()
	}
	st.mu.Unlock()
	if l == nil {
		return
	}
	type trouble struct {
		row  fault.Row
		at   time.Time
		line fault.Sign
	}
	var found []trouble
	for _, row := range seen.Rows {
		if row.Outcome == fault.Untouched {
			if at, line, ok := b.trouble(row, seen.At, healed); ok {
				found = append(found, trouble{row, at, line})
			}
		}
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	for _, t := range found {
		st.Ledgers.all.NoteErrors(l, t.row.Service, t.row.Replica, t.at, t.line)
	}
	st.Ledgers.update()
	hit := st.known[l.Service]
	stopping := hit != nil && hit.Count(func(r *condition.Replica) bool {
		return r.Instance.State == container.StateStopping
	}) > 0
	if !b.recorded[l] && time.Since(l.At) > ledgerFirst && l.Closed.IsZero() && !stopping {
		if b.recorded == nil {
			b.recorded = map[*fault.Ledger]bool{}
		}
		b.recorded[l] = true
		st.Ledgers.record(l)
	}
	st.bump()
}

// trouble finds the first warning or error that a replica logged after a fault, when it logs more
// of them than it did in the minute before, or since it began to run. One that does not need what was
// hit must do so by kinds of lines that it does not write now and then anyway; of one that does, what it logged
// under the faults before that are over is not usual.
func (b *Bystanders) trouble(row fault.Row, at time.Time, past []fault.Ledger) (time.Time, fault.Sign, bool) {
	span, habits := baselineSpan, habitSpan
	if lived := at.Sub(row.Before.Started); lived > 0 {
		span, habits = min(span, lived), min(habits, lived)
	}
	f := logs.Filter{Services: []string{row.Service}, Replica: row.Replica, MinLevel: logs.Warn}
	if known := at.Sub(b.readFrom(f, at.Add(-habits))); known > 0 {
		span, habits = min(span, known), min(habits, known)
	}
	now := time.Now()
	lines := troubles(b.Logs, f, at.Add(-span))
	if row.Needs {
		lines, span = besideFaults(lines, at, span, past)
	}
	first, line, found := unusualOf(lines, at, now, span)
	return first, line, found && (row.Needs || !habitual(b.Logs, f, at, now, habits))
}

// readFrom is since when the log of a replica is known, at the earliest since: it may have lived for long
// before anybody read it, and what it wrote then is not counted.
func (b *Bystanders) readFrom(f logs.Filter, since time.Time) time.Time {
	f.MinLevel, f.Since = 0, since
	v := b.Logs.View(f)
	v.Refresh()
	first, _ := v.Bounds()
	if l, ok := v.Line(first); ok && l.Time.Before(b.State.Began()) {
		return l.Time
	}
	return b.State.Began()
}

// besideFaults leaves out of the lines and of the span before at what belongs to faults that were over by then.
func besideFaults(
	lines []logs.Line, at time.Time, span time.Duration, past []fault.Ledger,
) ([]logs.Line, time.Duration) {
	from := at.Add(-span)
	for _, l := range past {
		if l.BackIn == 0 || !l.Closed.Before(at) || !l.Closed.After(from) {
			continue
		}
		begin := l.At
		if begin.Before(from) {
			begin = from
		}
		span -= l.Closed.Sub(begin)
		lines = slices.DeleteFunc(lines, func(o logs.Line) bool {
			return !o.Time.Before(begin) && o.Time.Before(l.Closed)
		})
	}
	return lines, span
}

// needs returns the services that one depends on.
func (l *Ledgers) needs(name string) []string {
	if s := l.st.known[name]; s != nil {
		return slices.Sorted(maps.Keys(s.Conf.DependsOn))
	}
	return nil
}

// calls returns the services that one calls: those that it depends on, those that its
// x-bulkhead.calls names, and those that it was seen to call.
func (l *Ledgers) calls(name string) []string {
	called := l.needs(name)
	if s := l.st.known[name]; s != nil {
		called = append(called, s.Conf.Extra.Calls...)
	}
	if l.st.o.Called != nil {
		called = append(called, l.st.o.Called(name)...)
	}
	return called
}

// incident keeps what happened to a replica, and returns what that most likely comes from; nil when
// nothing is known. complaints are the errors that it, and those that it needs, began to log shortly before.
func (l *Ledgers) incident(now fault.Event, complaints ...fault.Event) *fault.Likely {
	past := l.incidents
	if len(complaints) > 0 {
		past = slices.Concat(past, complaints)
		slices.SortStableFunc(past, func(a, b fault.Event) int { return a.Time.Compare(b.Time) })
	}
	likely := fault.LikelyCause(now, past, l.calls)
	l.incidents = append(l.incidents, now)
	if len(l.incidents) > 2*keptIncidents {
		l.incidents = slices.Clone(l.incidents[len(l.incidents)-keptIncidents:])
	}
	return likely
}

// incident is what the present state of a replica means to those who need its service. Callers hold mu.
func (s *Member) incident(r *replica, cause string, now time.Time) fault.Event {
	in, health := r.Instance, r.Health()
	i := fault.Event{Time: now, Service: s.c.Name, Replica: r.Number, Container: in.ID, ExitCode: in.ExitCode}
	ended := in.State == container.StateExited || in.State == container.StateRestarting
	switch {
	case in.State == container.StatePaused:
		i.Kind = fault.Paused
	case health == container.Unhealthy:
		i.Kind = fault.Sick
		if in.HealthExit < 0 && s.st.o.Machine != nil { // its check did not answer in time
			if load := s.st.o.Machine(); load.Starved() {
				i.Machine = load.String()
			}
		}
	case ended && cause != EndedByItself:
		i.Kind = fault.Stopped
	case ended && in.ExitCode == 0:
		i.Kind = fault.Ended
	case ended:
		i.Kind = fault.Crashed
	case r.sick && health == container.Healthy:
		i.Kind, i.Ready = fault.Recovered, true
	case r.State == container.StateStarting || r.State == container.StateRunning:
		i.Kind = fault.Up
		i.Ready = r.State == container.StateRunning && (health == container.Healthy ||
			health == container.HealthNone)
	}
	r.sick = health == container.Unhealthy
	return i
}
