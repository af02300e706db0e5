package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"bulkhead/engine/condition"
	"bulkhead/engine/lane"
	"bulkhead/engine/project"
	"bulkhead/engine/state"
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

// WaitUp waits until each service either is where the wait asks for, or will not get there: what
// failed ends the wait for nobody else, so that no build or pull is cut off. The error is an *UpError,
// or ctx's.
func (e *Engine) WaitUp(ctx context.Context, w Wait) error {
	a := condition.NewArrival(w.Limit)
	return e.state.AwaitUntil(ctx, func(v *state.View) (over bool, next time.Time, err error) {
		next = a.Look(v.Services)
		if v.Phase == PhaseStarting {
			return false, next, nil
		}
		over = true
		var u UpError
		for _, name := range v.Services.Names() {
			if len(w.Services) > 0 && !slices.Contains(w.Services, name) {
				continue
			}
			there, err := a.There(v.Services[name], w.Ready)
			over = over && there
			if err == nil {
				continue
			}
			u.Failures = append(u.Failures, Failure{Service: name, Err: err, Late: errors.Is(err, condition.ErrLate)})
		}
		if !over || len(u.Failures) == 0 {
			return over, next, nil
		}
		return true, next, &u
	})
}

// WaitReady waits until the named services (none: all) are ready; it returns an error that names
// the service and the reason as soon as one of them cannot become ready any more (exited with an
// error and no restart, broken, unhealthy), and one that says what is missing when ctx ends first.
func (e *Engine) WaitReady(ctx context.Context, services ...string) error {
	var waits []string
	err := e.state.Await(ctx, func(v *state.View) (bool, error) {
		if v.Phase == PhaseStarting {
			return false, nil
		}
		waits = waits[:0]
		for _, name := range v.Services.Names() {
			s := v.Services[name]
			if len(services) > 0 && !slices.Contains(services, name) {
				continue
			}
			// What cannot recover by itself is the reason, also for those that wait for it.
			if err := s.HopelessErr(); err != nil && (s.Lane.Idle() || s.Blocked != nil) {
				return false, err
			}
			if at := s.Unready(v.Doing[name]); at != "" {
				waits = append(waits, at)
			}
		}
		return len(waits) == 0, nil
	})
	if err != nil && ctx.Err() != nil && len(waits) > 0 {
		return fmt.Errorf("not ready in time: %s; see its log, or wait longer: %w", strings.Join(waits, ", "), ctx.Err())
	}
	return err
}

// AwaitDependencies waits until what a service depends on is as its depends_on asks for, though
// the service is none of the engine's own. A condition that will not hold by itself is an error.
func (e *Engine) AwaitDependencies(ctx context.Context, conf *project.Service) error {
	skip := lane.Skipper(e.state, conf.Name)
	return e.state.Await(ctx, func(v *state.View) (bool, error) {
		waits, why := v.Services.Unmet(conf, nil, skip)
		return len(waits) == 0, why
	})
}
