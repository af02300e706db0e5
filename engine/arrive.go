package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"bulkhead/engine/container"
)

// Wait says what WaitUp waits for, and for how long.
type Wait struct {
	Services []string // none: all
	// Ready waits until they are ready; else until all that they needed was applied and every
	// container that had to be was started.
	Ready bool
	// Limit is how long a service that something waits for may take, from the start of its own
	// container on, or from the call on when that was started before. Builds and pulls are outside
	// of it. 0: no limit.
	Limit time.Duration
}

// UpError names the services that WaitUp found not to come up.
type UpError struct{ Failures []Failure } // sorted by service

// Failure is why a service did not come up.
type Failure struct {
	Service string
	Err     error
	Late    bool // only the limit of the wait has passed
}

// Error returns all of it in one line.
func (u *UpError) Error() string {
	var out []string
	for _, f := range u.Failures {
		for text := range strings.SplitSeq(f.Err.Error(), "\n") {
			if !slices.Contains(strings.FieldsFunc(text, apart), f.Service) {
				text = f.Service + ": " + text
			}
			if !slices.Contains(out, text) {
				out = append(out, text)
			}
		}
	}
	return strings.Join(out, "; ")
}

// apart says which characters no service's name holds.
func apart(r rune) bool {
	return !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '-' && r != '_' && r != '.'
}

// Unwrap returns the errors of all services.
func (u *UpError) Unwrap() []error {
	var out []error
	for _, f := range u.Failures {
		out = append(out, f.Err)
	}
	return out
}

// WaitUp waits until each service either is where the wait asks for, or will not get there: what
// failed ends the wait for nobody else, so that no build or pull is cut off. The error is an *UpError,
// or ctx's.
func (e *Engine) WaitUp(ctx context.Context, w Wait) error {
	a := e.newArrival(w.Limit)
	return a.await(ctx, func() (over bool, err error) {
		if e.phase == PhaseStarting {
			return false, nil
		}
		over = true
		var u UpError
		for _, name := range e.serviceNames() {
			s := e.svcs[name]
			if len(w.Services) > 0 && !slices.Contains(w.Services, name) {
				continue
			}
			there, err := a.there(s, w.Ready)
			over = over && there
			if err == nil || !w.Ready && e.optional(s, w.Services) {
				continue
			}
			u.Failures = append(u.Failures, Failure{Service: name, Err: err, Late: errors.Is(err, errLate)})
		}
		if !over || len(u.Failures) == 0 {
			return over, nil
		}
		return true, &u
	})
}

// optional says whether others depend on a service, and none of them requires it; it is not when it
// was asked for by its name. Callers hold mu.
func (e *Engine) optional(s *service, named []string) bool {
	used := false
	for _, o := range e.svcs {
		if d, ok := o.conf.DependsOn[s.name]; ok {
			if d.Required {
				return false
			}
			used = true
		}
	}
	return used && !slices.Contains(named, s.name)
}

// errLate means that the limit of a wait has passed.
var errLate = errors.New("give it longer with --wait-timeout, or look with `bulkhead logs`")

// arrival judges whether services come up. Its methods are called with mu held, but await.
type arrival struct {
	e     *Engine
	limit time.Duration
	since map[string]time.Time // when the container of an id was first seen started, by our own clock
	next  time.Time            // when the next limit passes; zero when none does
}

func (e *Engine) newArrival(limit time.Duration) *arrival {
	return &arrival{e: e, limit: limit, since: map[string]time.Time{}}
}

// await calls look at every change of state, and whenever a limit passes, until it says that it is over.
func (a *arrival) await(ctx context.Context, look func() (over bool, err error)) error {
	for {
		a.e.mu.Lock()
		a.clock()
		over, err := look()
		moved := a.e.moved
		a.e.mu.Unlock()
		if over {
			return err
		}
		var limit <-chan time.Time
		if !a.next.IsZero() {
			t := time.NewTimer(time.Until(a.next))
			defer t.Stop()
			limit = t.C
		}
		select {
		case <-moved:
		case <-limit:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// clock notes which containers have been started by now.
func (a *arrival) clock() {
	a.next = time.Time{}
	if a.limit <= 0 {
		return
	}
	now := time.Now()
	for _, s := range a.e.svcs {
		for _, r := range s.reps {
			if r.inst.ID == "" || r.inst.Started.IsZero() || r.inst.State == StateCreated {
				continue
			}
			if _, seen := a.since[r.inst.ID]; !seen {
				a.since[r.inst.ID] = now
			}
			if end := a.since[r.inst.ID].Add(a.limit); end.After(now) && (a.next.IsZero() || end.Before(a.next)) {
				a.next = end
			}
		}
	}
}

// late says whether a service has had its time: that of the replica that was started last.
func (a *arrival) late(s *service) error {
	if a.limit <= 0 || s.count(func(r *replica) bool { return r.inst.ID != "" }) == 0 {
		return nil
	}
	for _, r := range s.reps {
		if at, started := a.since[r.inst.ID]; r.inst.ID != "" && (!started || time.Since(at) < a.limit) {
			return nil
		}
	}
	at := s.state.String()
	if h := s.worstHealth(); h > HealthNone {
		at += ", " + h.String()
	}
	return fmt.Errorf("%s is not ready %s after its start (%s); %w", s.name, container.Brief(a.limit), at, errLate)
}

func (s *service) worstHealth() (h Health) {
	for _, r := range s.reps {
		h = max(h, r.health())
	}
	return h
}

// stuck says why a service whose lane is not done will not be by itself, nil while it may.
func (a *arrival) stuck(s *service) error {
	if s.blocked != nil {
		return s.blocked
	}
	if s.lane.busy == nil || s.lane.imaging {
		return nil
	}
	for _, name := range parentNames(s.conf) {
		d := a.e.svcs[name]
		if d != nil && d.settled && d.lane.busy == nil && d.failed != nil && d.count((*replica).live) == 0 {
			return fmt.Errorf("%s: it joins the container of %s, which does not run: %w", s.name, name, d.failed)
		}
	}
	for _, what := range s.waitsFor {
		name, _, _ := strings.Cut(what, " ")
		d := a.e.svcs[name]
		if d == nil {
			continue
		}
		err := a.stuck(d)
		if d.lane.busy == nil {
			err = a.late(d)
		}
		if err != nil {
			return fmt.Errorf("%s: waits for %s: %w", s.name, what, err)
		}
	}
	return nil
}

// there says whether a service needs no more waiting for; err is why it did not come up.
func (a *arrival) there(s *service, ready bool) (over bool, err error) {
	if s.lane.busy != nil || len(s.lane.queue) > 0 || !s.settled {
		err := a.stuck(s)
		return err != nil, err
	}
	switch {
	case s.failed != nil:
		return true, s.failed
	case !ready:
		return true, nil
	case s.completed() && !s.conf.Restarts() && !a.e.awaited(s):
		return true, fmt.Errorf("%s: exited with code 0, and no service waits for it to complete", s.name)
	}
	if why := s.hopeless(); why != "" {
		if s.remedy != "" && why == s.err {
			why += "; " + s.remedy
		}
		return true, errors.New(why)
	}
	if s.isReady() {
		return true, nil
	}
	err = a.late(s)
	return err != nil, err
}

// awaited says whether a service is a job: another one waits for it to complete. Callers hold mu.
func (e *Engine) awaited(s *service) bool {
	for _, o := range e.svcs {
		if d, ok := o.conf.DependsOn[s.name]; ok && d.Condition == "service_completed_successfully" {
			return true
		}
	}
	return false
}

// errand is a task with the service that it is for.
type errand struct {
	s *service
	t *task
}

// own returns the task that brings a service where the project wants it and that no command asked
// for: of the first up, or of a changed Compose file. up waits for it, and does not hide its
// failure behind a task of its own. Callers hold mu.
func (s *service) own() *task {
	ours := func(t *task) bool {
		return t != nil && t.cmd.Verb == "" && (t.first || t.verb == verbRenew || t.verb == VerbRebuild || t.verb == VerbDown)
	}
	if i := slices.IndexFunc(s.lane.queue, ours); i >= 0 {
		return s.lane.queue[i]
	}
	if ours(s.lane.busy) {
		return s.lane.busy
	}
	return nil
}

// finish waits for tasks to end, and for none that waits for what will not come by itself: such a
// task stays in its lane.
func (e *Engine) finish(ctx context.Context, errands []errand, limit time.Duration) error {
	a := e.newArrival(limit)
	errs := make([]error, len(errands))
	return a.await(ctx, func() (bool, error) {
		over := true
		for i, er := range errands {
			if er.t.over {
				errs[i] = er.t.err
				continue
			}
			errs[i] = a.stuck(er.s)
			over = over && errs[i] != nil
		}
		return over, join(errs...)
	})
}
