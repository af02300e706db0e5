package condition

import (
	"errors"
	"fmt"

	"github.com/compose-spec/compose-go/v2/types"

	"bulkhead/engine/container"
	"bulkhead/engine/project"
)

// Unmet lists the conditions of a service that do not hold yet, and says why the first
// of those that will not hold by themselves does not. A dependency that the user holds down keeps
// nobody waiting, nor do those that which leaves out (nil: none), nor does one that is not required
// and fails: skip is called with it and may be nil.
func (all Services) Unmet(
	conf *project.Service, which func(*Service) bool, skip func(dependency string, why error),
) (waits Waits, why error) {
	s := &Service{Name: conf.Name, Conf: conf}
	for _, name := range s.dependencies() {
		dep := conf.DependsOn[name]
		d := all[name]
		if d == nil || which != nil && !which(d) || d.ByHand && !d.Lane.Arriving || d.Conf.Replicas == 0 &&
			!d.Conf.Provided() {
			continue
		}
		goal, met, fails := d.condition(dep)
		wait := Wait{Service: name, Goal: goal}
		switch {
		case met:
		case fails == nil:
			waits = append(waits, wait)
		case !dep.Required:
			if skip != nil {
				skip(name, fails)
			}
		default:
			waits = append(waits, wait)
			if why == nil {
				why = &container.About{Service: s.Name, Words: fmt.Sprintf("waits for %s, but ", wait), Err: fails}
			}
		}
	}
	return waits, why
}

// condition says what a dependency on a service asks for, whether that holds, and why it
// will not by itself (nil while it may).
func (s *Service) condition(dep types.ServiceDependency) (goal Goal, met bool, fails error) {
	idle := s.Settled && s.Lane.Idle()
	asked := dep.Condition
	if s.Conf.Provided() {
		asked = types.ServiceConditionStarted // that is all that a provider says
	}
	switch asked {
	case types.ServiceConditionHealthy:
		goal, met = GoalHealthy, s.Settled && !s.Lane.Arriving && s.Count((*Replica).Healthy) >= s.Conf.Replicas
		met = met && s.Count(func(r *Replica) bool { return r.Unhooked }) == 0
		if !met && s.Unchecked() {
			why := errors.New(s.Name + " has no healthcheck, in the file or in its image")
			return goal, false, container.WithRemedy(why, "give it one, or write condition: service_started")
		}
	case types.ServiceConditionCompletedSuccessfully:
		goal, met = GoalCompleted, idle && s.Completed()
	default:
		goal, met = GoalStarted, s.running() >= s.Conf.Replicas && (!s.Conf.Provided() || s.Provided)
	}
	if !met {
		fails = s.failsAt(goal, idle)
	}
	return goal, met, fails
}

// failsAt says why a service will not reach a goal by itself, nil while it may.
func (s *Service) failsAt(goal Goal, idle bool) error {
	switch {
	case s.Blocked != nil:
		return s.Blocked
	case !idle:
	case s.State == container.StateBroken:
		return errors.New(s.Problem.Text)
	case goal == GoalHealthy:
		for _, r := range s.Replicas {
			if a := s.Ailment(r); a != nil {
				return errors.New(a.Of(s.Name))
			}
			if r.Instance.State == container.StateExited && !r.ExpectedExit {
				return fmt.Errorf("%s exited with code %d before it was healthy", s.Name, r.Instance.ExitCode)
			}
		}
	case goal == GoalCompleted:
		for _, r := range s.Replicas {
			if a := s.Ailment(r); a != nil && !r.Live() {
				return errors.New(a.Of(s.Name))
			}
		}
	}
	return nil
}

// running counts the replicas that have been started with their hooks done; one that has ended by then was started too.
func (s *Service) running() int {
	return s.Count(func(r *Replica) bool {
		ended := r.Instance.State == container.StateExited && !r.Instance.Started.IsZero() &&
			s.Settled && !s.Lane.Arriving
		return !r.Unhooked && (r.Live() || r.Instance.State == container.StateRestarting || ended)
	})
}

// Awaited says whether a service is a job: another one waits for it to complete.
func (all Services) Awaited(name string) bool {
	for _, o := range all {
		if d, ok := o.Conf.DependsOn[name]; ok && d.Condition == types.ServiceConditionCompletedSuccessfully {
			return true
		}
	}
	return false
}
