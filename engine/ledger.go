package engine

import (
	"context"
	"fmt"
	"strings"
	"time"

	"bulkhead/engine/logs"
)

const (
	ledgerLook   = 500 * time.Millisecond // between two looks at the logs of bystanders
	ledgerFirst  = 3 * time.Second        // after a fault, when the first verdict is recorded
	baselineSpan = 10 * time.Second       // before a fault, what counts as usual
)

// openLedger notes how everybody else stands at the moment of a fault. Callers hold mu.
func (e *Engine) openLedger(s *service, n int, fault string) {
	now := time.Now()
	for _, l := range e.ledgers {
		if l.Closed.IsZero() {
			l.Closed = now
		}
	}
	l := &Ledger{Service: s.name, Replica: n, Fault: fault, At: now}
	for _, level := range e.p.Order() {
		for _, name := range level {
			o := e.svcs[name]
			if o == nil {
				continue
			}
			what := shared(o.conf, s.name)
			if n > 1 {
				what = "" // of another replica than the one that is hit
			}
			for _, r := range o.sorted() {
				if o == s && (n == 0 || r.number == n) || !r.live() {
					continue
				}
				l.Rows = append(l.Rows, LedgerRow{Service: name, Replica: r.number, Before: r.inst.Identity, After: r.inst.Identity, Outcome: Untouched,
					wasHealthy: r.health() != Unhealthy, shares: what})
			}
		}
	}
	e.ledgers = append(e.ledgers, l)
	if len(e.ledgers) > keptLedgers {
		e.ledgers = e.ledgers[1:]
	}
	e.bump()
}

// updateLedgers compares the open ledger with how everybody stands now. An outcome only gets worse. Callers hold mu.
func (e *Engine) updateLedgers() {
	if len(e.ledgers) == 0 {
		return
	}
	l := e.ledgers[len(e.ledgers)-1]
	if !l.Closed.IsZero() {
		return
	}
	now := time.Now()
	for i := range l.Rows {
		row := &l.Rows[i]
		if row.frozen {
			continue
		}
		r := e.svcs[row.Service].replicaIfThere(row.Replica)
		var in Instance
		if r != nil {
			in = r.inst
		}
		row.After = in.Identity
		if hit := e.svcs[l.Service]; row.shares != "" && (hit == nil || !hit.hosting()) {
			row.worsen(Died, now.Sub(l.At), fmt.Sprintf("shares the %s of %s, which is down", row.shares, l.Service))
		}
		switch {
		case in.ID != row.Before.ID, !in.Started.Equal(row.Before.Started), in.Restarts != row.Before.Restarts, !r.live():
			sign := "restarted"
			if r == nil || !r.live() {
				sign = "not running"
			} else if in.ID != row.Before.ID {
				sign = "recreated"
			}
			row.worsen(Died, now.Sub(l.At), sign)
		case row.wasHealthy && r.health() == Unhealthy:
			row.worsen(WentUnhealthy, now.Sub(l.At), "healthy -> unhealthy")
		}
	}
	s := e.svcs[l.Service]
	if s == nil {
		return
	}
	if l.back.IsZero() && !s.byHand {
		l.back = now
	}
	if !l.back.IsZero() && s.isReady() && now.Sub(l.At) > time.Second {
		l.BackIn, l.Closed = now.Sub(l.back), now
		e.recordLedger(l)
	}
}

// freezeLedger leaves a service out of the open ledger from now on, because it is about to be moved on purpose. Callers hold mu.
func (e *Engine) freezeLedger(service string) {
	if n := len(e.ledgers); n > 0 && e.ledgers[n-1].Closed.IsZero() {
		for i := range e.ledgers[n-1].Rows {
			if row := &e.ledgers[n-1].Rows[i]; row.Service == service {
				row.frozen = true
			}
		}
	}
}

func (s *service) replicaIfThere(n int) *replica {
	if s == nil {
		return nil
	}
	return s.reps[n]
}

func (row *LedgerRow) worsen(o Outcome, after time.Duration, sign string) {
	if o > row.Outcome {
		row.Outcome, row.Delay, row.Sign = o, after, sign
	}
}

// Verdict is a ledger in one line: "orders: SIGKILL; gateway errors; 5 untouched".
func (l *Ledger) Verdict() string {
	var hurt []string
	calm := 0
	for _, r := range l.Rows {
		if r.Outcome == Untouched {
			calm++
			continue
		}
		name := r.Service
		if r.Replica > 1 {
			name = fmt.Sprintf("%s/%d", r.Service, r.Replica)
		}
		hurt = append(hurt, fmt.Sprintf("%s %s", name, r.Outcome))
	}
	who := "nobody else suffered"
	if len(hurt) > 0 {
		who = strings.Join(hurt, ", ")
	}
	return fmt.Sprintf("%s: %s; %s; %d untouched (same container id, start time, restart count)", l.Service, l.Fault, who, calm)
}

// recordLedger records where a ledger stands. Callers hold mu.
func (e *Engine) recordLedger(l *Ledger) {
	c := *l
	c.Rows = append([]LedgerRow(nil), l.Rows...)
	text := c.Verdict()
	if c.BackIn > 0 {
		text += ", back in " + brief(c.BackIn)
	}
	e.record(Record{Kind: "ledger", Service: l.Service, Replica: l.Replica, Action: l.Fault, Text: text, Ledger: &c})
}

// keepLedgers looks at the logs of bystanders while a fault lasts: more warnings and errors than before it are a sign. It also writes out
// what outlives the process.
func (e *Engine) keepLedgers(ctx context.Context) error {
	tick := time.NewTicker(ledgerLook)
	defer tick.Stop()
	said := map[*Ledger]bool{}
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
		if err := e.store.flush(); err != nil {
			e.warn(err.Error())
		}
		e.mu.Lock()
		var l *Ledger
		if n := len(e.ledgers); n > 0 && e.ledgers[n-1].Closed.IsZero() {
			l = e.ledgers[n-1]
		}
		var rows []LedgerRow
		if l != nil {
			rows = append(rows, l.Rows...)
		}
		e.mu.Unlock()
		if l == nil {
			continue
		}
		for i, row := range rows {
			if row.Outcome == Untouched {
				if at, line, ok := e.trouble(row.Service, row.Replica, l.At); ok {
					rows[i].worsen(Errors, at.Sub(l.At), line)
				}
			}
		}
		e.mu.Lock()
		for i := range rows {
			if i < len(l.Rows) && rows[i].Outcome == Errors {
				l.Rows[i].worsen(Errors, rows[i].Delay, rows[i].Sign)
			}
		}
		e.updateLedgers()
		if !said[l] && time.Since(l.At) > ledgerFirst && l.Closed.IsZero() {
			said[l] = true
			e.recordLedger(l)
		}
		e.bump()
		e.mu.Unlock()
	}
}

// trouble finds the first warning or error that a replica logged after a fault, when it logs more of them than in as long a time before.
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
