package condition

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"bulkhead/engine/container"
)

// UpError names the services that were waited for and did not come up.
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
		for _, text := range f.lines(f.Err) {
			if !slices.Contains(out, text) {
				out = append(out, text)
			}
		}
	}
	return strings.Join(out, "; ")
}

// lines returns the lines of an error of the service, each with the name of that where it has none.
func (f *Failure) lines(err error) (out []string) {
	if all, ok := err.(interface{ Unwrap() []error }); ok &&
		errors.Join(all.Unwrap()...).Error() == err.Error() {
		for _, one := range all.Unwrap() {
			out = append(out, f.lines(one)...)
		}
		return out
	}
	named := container.Names(err, f.Service)
	for text := range strings.SplitSeq(err.Error(), "\n") {
		if !named {
			text = f.Service + ": " + text
		}
		out, named = append(out, text), false
	}
	return out
}

// Unwrap returns the errors of all services.
func (u *UpError) Unwrap() []error {
	var out []error
	for _, f := range u.Failures {
		out = append(out, f.Err)
	}
	return out
}

// ErrLate means that the limit of a wait has passed.
var ErrLate = errors.New("give it longer with --wait-timeout, or look with `bulkhead logs`")

// Arrival judges whether services come up, within a limit that each has from the start of its
// container on, or from the first look at it when that was started before. It keeps when it saw which
// container started. Make it with NewArrival; one goroutine at a time may use it.
type Arrival struct {
	limit time.Duration
	all   Services
	since map[string]time.Time // when the container of an id was first seen started, by our own clock
}

// NewArrival makes one with a limit; 0: none.
func NewArrival(limit time.Duration) *Arrival {
	return &Arrival{limit: limit, since: map[string]time.Time{}}
}

// Look takes in how the services are now, for the judgments that follow. next is when the next limit
// passes; zero when none does.
func (a *Arrival) Look(all Services) (next time.Time) {
	a.all = all
	if a.limit <= 0 {
		return next
	}
	now := time.Now()
	for _, s := range all {
		for _, r := range s.Replicas {
			if r.Instance.ID == "" || r.Instance.Started.IsZero() ||
				r.Instance.State == container.StateCreated {
				continue
			}
			if _, seen := a.since[r.Instance.ID]; !seen {
				a.since[r.Instance.ID] = now
			}
			if end := a.since[r.Instance.ID].Add(a.limit); end.After(now) &&
				(next.IsZero() || end.Before(next)) {
				next = end
			}
		}
	}
	return next
}

// late says whether a service has had its time: that of the replica that was started last.
func (a *Arrival) late(s *Service) error {
	if a.limit <= 0 || s.Count(func(r *Replica) bool { return r.Instance.ID != "" }) == 0 {
		return nil
	}
	for _, r := range s.Replicas {
		if at, started := a.since[r.Instance.ID]; r.Instance.ID != "" &&
			(!started || time.Since(at) < a.limit) {
			return nil
		}
	}
	at := s.State.String()
	if h := s.WorstHealth(); h > container.HealthNone {
		at += ", " + h.String()
	}
	return container.Naming(s.Name, fmt.Errorf("%s is not ready %s after its start (%s); %w", s.Name,
		container.Brief(a.limit), at, ErrLate))
}

// Stuck says why a service whose lane is not done will not be by itself, nil while it may.
func (a *Arrival) Stuck(s *Service) error {
	if s.Blocked != nil {
		return s.Blocked
	}
	if !s.Lane.Busy || s.Lane.Imaging {
		return nil
	}
	for _, name := range s.Conf.Parents() {
		d := a.all[name]
		if d != nil && d.Settled && !d.Lane.Busy && d.Failed != nil && d.Count((*Replica).Live) == 0 {
			return &container.About{Service: s.Name, Err: d.Failed,
				Words: fmt.Sprintf("it joins the container of %s, which does not run: ", name)}
		}
	}
	for _, wait := range s.WaitsFor {
		d := a.all[wait.Service]
		if d == nil {
			continue
		}
		err := a.Stuck(d)
		if !d.Lane.Busy {
			err = a.late(d)
		}
		if err != nil {
			return &container.About{Service: s.Name, Words: fmt.Sprintf("waits for %s: ", wait), Err: err}
		}
	}
	return nil
}

// There says whether a service needs no more waiting for; err is why it did not come up. With ready
// that is when it is ready; else when its lane is done.
func (a *Arrival) There(s *Service, ready bool) (over bool, err error) {
	if !s.Lane.Idle() || !s.Settled {
		err := a.Stuck(s)
		return err != nil, err
	}
	switch {
	case s.Failed != nil:
		return true, s.Failed
	case !ready:
		return true, nil
	case s.Completed() && !s.Conf.Restarts() && !a.all.Awaited(s.Name):
		return true, &container.About{Service: s.Name,
			Err: errors.New("exited with code 0, and no service waits for it to complete")}
	}
	if err := s.HopelessErr(); err != nil {
		return true, err
	}
	if s.Ready() {
		return true, nil
	}
	err = a.late(s)
	return err != nil, err
}

// Unready says what a service that is not ready yet is at: "web (waits for db healthy)"; "" when it is
// ready.
func (s *Service) Unready(doing string) string {
	switch {
	case s.Ready():
		return ""
	case len(s.WaitsFor) > 0:
		return fmt.Sprintf("%s (waits for %s)", s.Name, s.WaitsFor)
	case doing == "":
		doing = s.State.String()
	}
	return fmt.Sprintf("%s (%s)", s.Name, doing)
}
