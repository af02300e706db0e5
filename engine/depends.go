package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/compose-spec/compose-go/v2/types"

	"bulkhead/engine/container"
)

// awaitDependencies waits until what depends_on asks for holds. A dependency that the user holds
// down keeps nobody waiting. One that will not come by itself is named at once, as the service's
// error; the wait goes on, because the next save or the next key may mend it.
func (l *lane) awaitDependencies(ctx context.Context) error {
	e, s := l.e, l.s
	warned := map[string]bool{}
	err := e.await(ctx, func() (bool, error) {
		waits, why := e.unmet(s, warned)
		if !slices.Equal(waits, s.waitsFor) || errText(why) != errText(s.blocked) {
			s.waitsFor = waits
			l.blockLocked(why)
		}
		return len(waits) == 0, nil
	})
	e.mu.Lock()
	l.blockLocked(nil)
	e.mu.Unlock()
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// errText is the text of an error, "" of nil.
func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// blockLocked notes why what a service waits for does not come by itself, nil when it may. Callers hold mu.
func (l *lane) blockLocked(why error) {
	e, s := l.e, l.s
	was := s.blocked
	s.blocked = why
	switch {
	case why != nil:
		s.err, s.remedy = container.Explain(why)
	case was != nil:
		s.err, s.remedy = "", ""
	}
	e.updateState(s)
	if why != nil && was == nil {
		e.record(Record{Kind: "service", Service: s.name, State: s.state, Err: why.Error(), Text: why.Error()})
	}
}

// unmet lists the conditions that do not hold yet ("db healthy"), and says why the first of those
// that will not hold by themselves does not. One that is not required and fails is warned of, once,
// and keeps nobody waiting. Callers hold mu.
func (e *Engine) unmet(s *service, warned map[string]bool) (waits []string, why error) {
	for _, name := range slices.Sorted(maps.Keys(s.conf.DependsOn)) {
		dep := s.conf.DependsOn[name]
		d := e.svcs[name]
		if d == nil || d.byHand && !d.arriving() || d.conf.Replicas == 0 {
			continue
		}
		want, met, fails := d.condition(dep)
		switch {
		case met:
		case fails == nil:
			waits = append(waits, name+" "+want)
		case !dep.Required:
			if !warned[name] {
				warned[name] = true
				e.warnLocked(fmt.Sprintf("%s starts without %s, which it does not require: %s", s.name, name, fails))
			}
		default:
			waits = append(waits, name+" "+want)
			if why == nil {
				why = fmt.Errorf("%s: waits for %s %s, but %w", s.name, name, want, fails)
			}
		}
	}
	return waits, why
}

// arriving says whether a lane is at, or has before it, what makes its service run. Callers hold mu.
func (s *service) arriving() bool {
	brings := func(t *task) bool {
		return t != nil && (t.verb == VerbUp || t.verb == VerbStart || t.verb == VerbRestart || t.verb == VerbScale || t.verb == verbRenew)
	}
	return brings(s.lane.busy) || slices.ContainsFunc(s.lane.queue, brings)
}

// condition says what a dependency on a service asks for in a word, whether that holds, and why it
// will not by itself (nil while it may). Callers hold mu.
func (s *service) condition(dep types.ServiceDependency) (want string, met bool, fails error) {
	idle := s.settled && s.lane.busy == nil && len(s.lane.queue) == 0
	switch dep.Condition {
	case types.ServiceConditionHealthy:
		want, met = "healthy", s.settled && !s.arriving() && s.count((*replica).healthy) >= s.conf.Replicas
		met = met && s.count(func(r *replica) bool { return r.unhooked }) == 0
		if !met && s.unchecked() {
			why := errors.New(s.name + " has no healthcheck, in the file or in its image")
			return want, false, container.WithRemedy(why, "give it one, or write condition: service_started")
		}
	case types.ServiceConditionCompletedSuccessfully:
		want, met = "completed", idle && s.completed()
	default:
		want, met = "started", s.running() >= s.conf.Replicas
	}
	switch {
	case met:
	case s.blocked != nil:
		fails = s.blocked
	case !idle:
	case s.state == StateBroken:
		fails = errors.New(s.err)
	case want == "healthy":
		for _, r := range s.sorted() {
			if why := s.ailment(r); why != "" {
				return want, false, errors.New(s.name + " " + why)
			}
			if r.inst.State == StateExited && !r.expectedExit {
				return want, false, fmt.Errorf("%s exited with code %d before it was healthy", s.name, r.inst.ExitCode)
			}
		}
	case want == "completed":
		for _, r := range s.sorted() {
			if why := s.ailment(r); why != "" && !r.live() {
				return want, false, errors.New(s.name + " " + why)
			}
		}
	}
	return want, met, fails
}

// running counts the replicas that have been started with their hooks done; one that has ended by then was started too.
func (s *service) running() int {
	return s.count(func(r *replica) bool {
		return !r.unhooked && (r.live() || r.inst.State == StateRestarting || r.inst.State == StateExited && !r.inst.Started.IsZero() && s.settled && !s.arriving())
	})
}

func (s *service) count(is func(*replica) bool) (n int) {
	for _, r := range s.reps {
		if is(r) {
			n++
		}
	}
	return n
}

// unchecked says whether a service is known to have no healthcheck. Without one in the file its
// image decides. Callers hold mu.
func (s *service) unchecked() bool {
	switch h := s.conf.Config.HealthCheck; {
	case h != nil && (h.Disable || len(h.Test) > 0 && h.Test[0] == "NONE"):
		return true
	case h != nil && len(h.Test) > 0:
		return false
	}
	return s.image != nil && !s.image.Health
}
