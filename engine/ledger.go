package engine

import (
	"context"
	"maps"
	"slices"
	"time"

	"bulkhead/engine/container"
	"bulkhead/engine/fault"
	"bulkhead/engine/logs"
)

const (
	ledgerLook   = 500 * time.Millisecond // between two looks at the logs of bystanders
	ledgerFirst  = 3 * time.Second        // after a fault, when the first verdict is recorded
	baselineSpan = 10 * time.Second       // before a fault, what counts as usual
)

// openLedger notes how everybody else stands at the moment of a fault. Callers hold mu.
func (e *Engine) openLedger(s *service, n int, what string) {
	var bystanders []fault.Stand
	for _, level := range e.p.Order() {
		for _, name := range level {
			o := e.svcs[name]
			if o == nil {
				continue
			}
			for _, r := range o.sorted() {
				if o == s && (n == 0 || r.number == n) || !r.live() {
					continue
				}
				stand := r.stand(o.name)
				if n <= 1 { // others join the first replica
					stand.Shares = shared(o.conf, s.name)
				}
				bystanders = append(bystanders, stand)
			}
		}
	}
	e.ledgers.Open(time.Now(), s.name, n, what, bystanders)
	e.bump()
}

// stand is how a replica stands now.
func (r *replica) stand(service string) fault.Stand {
	return fault.Stand{Service: service, Replica: r.number, Identity: r.inst.Identity, Live: r.live(), Unhealthy: r.health() == Unhealthy}
}

// updateLedgers compares the open ledger with how everybody stands now. Callers hold mu.
func (e *Engine) updateLedgers() {
	l := e.ledgers.Current()
	if l == nil {
		return
	}
	hit := fault.Hit{HeldDown: true}
	if s := e.svcs[l.Service]; s != nil {
		hit = fault.Hit{HeldDown: s.byHand, Ready: s.isReady(), Hosting: s.hosting()}
	}
	closed := e.ledgers.Compare(time.Now(), func(name string, n int) fault.Stand {
		if s := e.svcs[name]; s != nil && s.reps[n] != nil {
			return s.reps[n].stand(name)
		}
		return fault.Stand{}
	}, hit)
	if closed != nil {
		e.recordLedger(closed)
	}
}

// recordLedger records where a ledger stands. Callers hold mu.
func (e *Engine) recordLedger(l *fault.Ledger) {
	c := l.Copy()
	text := c.Verdict()
	if c.BackIn > 0 {
		text += ", back in " + container.Brief(c.BackIn)
	}
	e.record(Record{Kind: "ledger", Service: l.Service, Replica: l.Replica, Action: l.Fault, Text: text, Ledger: &c})
}

// keepLedgers looks at the logs of bystanders while a fault lasts: more warnings and errors than
// before it are a sign. It also writes out what outlives the process.
func (e *Engine) keepLedgers(ctx context.Context) error {
	tick := time.NewTicker(ledgerLook)
	defer tick.Stop()
	recorded := map[*fault.Ledger]bool{}
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
		_ = e.journal.Flush() // it has reported the error, once, and tries again with the next tick
		e.lookAtBystanders(recorded)
	}
}

// lookAtBystanders looks at the logs of those who are untouched so far, and records the first
// verdict of a ledger in time.
func (e *Engine) lookAtBystanders(recorded map[*fault.Ledger]bool) {
	e.mu.Lock()
	l := e.ledgers.Current()
	var seen fault.Ledger
	if l != nil {
		seen = l.Copy()
	}
	e.mu.Unlock()
	if l == nil {
		return
	}
	type trouble struct {
		row  fault.Row
		at   time.Time
		line string
	}
	var found []trouble
	for _, row := range seen.Rows {
		if row.Outcome == fault.Untouched {
			if at, line, ok := e.trouble(row.Service, row.Replica, seen.At); ok {
				found = append(found, trouble{row, at, line})
			}
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, t := range found {
		e.ledgers.NoteErrors(l, t.row.Service, t.row.Replica, t.at, t.line)
	}
	e.updateLedgers()
	if !recorded[l] && time.Since(l.At) > ledgerFirst && l.Closed.IsZero() {
		recorded[l] = true
		e.recordLedger(l)
	}
	e.bump()
}

// trouble finds the first warning or error that a replica logged after a fault, when it logs more
// of them than in as long a time before.
func (e *Engine) trouble(service string, n int, at time.Time) (time.Time, string, bool) {
	span := min(time.Since(at), baselineSpan)
	v := e.opts.Logs.View(logs.Filter{Services: []string{service}, Replica: n, MinLevel: logs.Warn, Since: at.Add(-span)})
	v.Refresh()
	first, end := v.Bounds()
	split := v.At(at)
	before, after := split-first, end-split
	if after <= before {
		return time.Time{}, "", false
	}
	l, ok := v.Line(split)
	if !ok {
		return time.Time{}, "", false
	}
	return l.Time, string(logs.Plain(nil, l.Text)), true
}

// keptIncidents is how many events are kept to find likely causes in.
const keptIncidents = 500

// incident keeps what happened to a replica, and returns what that most likely comes from; nil when
// nothing is known. Callers hold mu.
func (e *Engine) incident(now fault.Event) *fault.Likely {
	l := fault.LikelyCause(now, e.incidents, func(name string) []string {
		if s := e.svcs[name]; s != nil {
			return slices.Sorted(maps.Keys(s.conf.DependsOn))
		}
		return nil
	})
	e.incidents = append(e.incidents, now)
	if len(e.incidents) > 2*keptIncidents {
		e.incidents = slices.Clone(e.incidents[len(e.incidents)-keptIncidents:])
	}
	return l
}

// incident is what the present state of a replica means to those who need its service. Callers hold Engine.mu.
func (s *service) incident(r *replica, cause string, now time.Time) fault.Event {
	i := fault.Event{Time: now, Service: s.name, Replica: r.number, Container: r.inst.ID, ExitCode: r.inst.ExitCode}
	ended := r.inst.State == StateExited || r.inst.State == StateRestarting
	health := r.health()
	switch {
	case health == Unhealthy:
		i.Kind = fault.Sick
	case ended && cause != EndedByItself:
		i.Kind = fault.Stopped
	case ended && r.inst.ExitCode == 0:
		i.Kind = fault.Ended
	case ended:
		i.Kind = fault.Crashed
	case r.sick && health == Healthy:
		i.Kind, i.Ready = fault.Recovered, true
	case r.state == StateStarting || r.state == StateRunning:
		i.Kind, i.Ready = fault.Up, r.state == StateRunning && (health == Healthy || health == HealthNone)
	}
	r.sick = health == Unhealthy
	return i
}
