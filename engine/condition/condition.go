// Package condition judges what is known of services: whether a replica is ready, whether a
// depends_on condition holds and why it will not by itself, who joins whose container and waits for
// it, and whether a service has come up. It is pure: its functions look at values that somebody else
// owns, and change nothing. engine/state keeps its services in the types of this package and asks
// it; the lanes of the engine ask it about views of that state while they wait.
package condition

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"bulkhead/engine/container"
	"bulkhead/engine/project"
)

// Service is what is known of one service.
type Service struct {
	Name     string
	Conf     *project.Service // never nil
	Image    *container.Image // that it is to run; nil before it is known
	State    container.State  // as it is shown
	Replicas []*Replica       // sorted by number
	Lane     Lane
	Settled  bool    // the first up has been carried out
	ByHand   bool    // only the user brings it back
	Leaving  bool    // the Compose file does not name it any more: its containers are being removed
	Provided bool    // its provider has brought up what it stands for
	Follow   bool    // it is to run as soon as the service that it joins does
	Problem  Problem // why it is not where it should be
	Failed   error   // of the last task that was to bring it where it should be
	Blocked  error   // why what it waits for does not come by itself, nil when it may; Problem says it too
	WaitsFor Waits   // conditions that do not hold yet
	WaitsOn  Waits   // the services that are down whose namespaces it shares
}

// Lane is what the lane of a service is at.
type Lane struct {
	Busy     bool // it carries out a task
	Queued   int  // tasks that wait
	Imaging  bool // it prepares, builds or pulls
	Arriving bool // a task of it, or one that waits, makes the service run
	Renewing bool // the last task that waits looks at all of the service
	First    bool // it carries out the first up
	Remaking bool // it carries out changes of files, or a rebuild
}

// Idle says whether a lane has nothing to do.
func (l Lane) Idle() bool { return !l.Busy && l.Queued == 0 }

// Replica is what is known of one container slot.
type Replica struct {
	Number       int
	Instance     container.Instance // its ID is "" while there is no container
	State        container.State    // as it is shown
	Early        bool               // our own probe passed in this life
	Unhooked     bool               // its post_start hooks have not all succeeded since it was started
	Calm         container.Identity // the container, and its restarts when it was healthy last
	ExpectedExit bool               // the end that is seen next was asked for
	Crashes      int                // short lives in a row that its restart policy followed with another
}

const (
	// crashingFrom is how many short lives in a row that the restart policy followed with another
	// make a replica a crashing one: a single crash may be chance.
	crashingFrom = 2
	// SteadyAfter is how long a life is that ends a row of crashes. Docker's own pauses go by the same.
	SteadyAfter = 10 * time.Second
)

// Crashing says whether a replica is in a row of crashes: between two lives, or in one that is still short.
func (r *Replica) Crashing() bool {
	if r.Crashes < crashingFrom {
		return false
	}
	return r.Instance.State == container.StateRestarting || r.Live() && !r.Healthy() &&
		time.Since(r.Instance.Started) < SteadyAfter
}

// Services are all of a project, by name.
type Services map[string]*Service

// Names lists the services that are not on their way out, sorted.
func (all Services) Names() []string {
	var out []string
	for name, s := range all {
		if !s.Leaving {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// Live says whether a replica's container runs.
func (r *Replica) Live() bool {
	return r.Instance.ID != "" && r.Instance.State == container.StateRunning
}

// Ready says whether a replica is ready: the engine says healthy, or our own early probe passed, or
// there is nothing to ask and it runs.
func (r *Replica) Ready(conf *project.Service) bool {
	if !r.Live() || r.Unhooked {
		return false
	}
	switch r.Instance.Health {
	case container.Healthy:
		return true
	case container.HealthStarting:
		return r.Early
	case container.Unhealthy:
		return false
	}
	return conf.Extra.Probe == "" || r.Early
}

// Healthy says whether the healthcheck has passed in this life: by the engine's result, or by our
// own early run of the same test.
func (r *Replica) Healthy() bool {
	h := r.Instance.Health
	return r.Live() && (h == container.Healthy || h == container.HealthStarting && r.Early &&
		len(r.Instance.Check) > 0)
}

// Health is what to show: our own early probe counts as healthy until the engine has its first result.
func (r *Replica) Health() container.Health {
	if !r.Live() {
		return container.HealthNone
	}
	if r.Instance.Health == container.HealthStarting && r.Early {
		return container.Healthy
	}
	return r.Instance.Health
}

// Shown is the state of a replica in the words of the screen.
func (r *Replica) Shown(conf *project.Service) container.State {
	if r.Instance.ID == "" {
		return container.StateWaiting
	}
	if r.Crashing() {
		return container.StateCrashing
	}
	if r.Live() && !r.Ready(conf) && r.Instance.Health != container.Unhealthy {
		return container.StateStarting
	}
	return r.Instance.State
}

// Completed says that every replica ended by itself with exit code 0 and stays so.
func (s *Service) Completed() bool {
	if s.Conf.Provided() {
		return s.Provided
	}
	if len(s.Replicas) == 0 || s.Conf.Replicas == 0 {
		return false
	}
	for _, r := range s.Replicas {
		if r.Instance.State != container.StateExited || r.Instance.ExitCode != 0 || r.ExpectedExit {
			return false
		}
	}
	return true
}

// Ready says whether all wanted replicas are ready, or it did what it had to do.
func (s *Service) Ready() bool {
	if s.Conf.Replicas == 0 {
		return true
	}
	if !s.Settled || len(s.WaitsOn) > 0 {
		return false
	}
	ready := s.Count(func(r *Replica) bool { return r.Ready(s.Conf) })
	return ready >= s.Conf.Replicas || s.Completed() && !s.Conf.Restarts()
}

// ReadyBy names what ready means for a service.
func (s *Service) ReadyBy() string {
	for _, r := range s.Replicas {
		if len(r.Instance.Check) > 0 {
			if r.Early && r.Instance.Health == container.HealthStarting {
				return "early probe"
			}
			return "healthcheck"
		}
	}
	if s.Conf.Extra.Probe != "" {
		return "probe"
	}
	return "running"
}

// severities are the states for a service of several replicas, the one that is shown of them last.
var severities = []container.State{container.StateRunning, container.StatePaused, container.StateExited,
	container.StateCreated,
	container.StateWaiting, container.StateStarting, container.StateBuilding, container.StateStopping,
	container.StateRestarting, container.StateCrashing, container.StateBroken}

// Shown is the state of a service in the words of the screen: the worst of its replicas, unless
// what keeps it from running says more.
func (s *Service) Shown() container.State {
	state := container.StateUnknown
	for _, r := range s.Replicas {
		state = slices.MaxFunc([]container.State{state, r.Shown(s.Conf)}, func(a, b container.State) int {
			// unknown is in it at -1
			return cmp.Compare(slices.Index(severities, a), slices.Index(severities, b))
		})
	}
	switch {
	case len(s.WaitsOn) > 0 && !s.Lane.Busy:
		return container.StateWaiting
	case s.Problem.Text != "" && state != container.StateRunning && state != container.StatePaused:
		return container.StateBroken
	case (state == container.StateExited || state == container.StateCreated) && s.coming():
		// What ended made room for it, or is about to be started.
		switch {
		case s.Lane.Imaging:
			return container.StateBuilding
		case len(s.WaitsFor) > 0 || !s.Settled:
			return container.StateWaiting
		}
		return container.StateStarting
	case s.Conf.Provided() && s.Provided:
		return container.StateRunning
	case state == container.StateUnknown && s.Conf.Replicas == 0 &&
		(!s.Conf.Provided() || s.Settled && s.ByHand):
		return container.StateExited
	case state != container.StateUnknown && state != container.StateWaiting:
		return state
	case s.Lane.Imaging:
		return container.StateBuilding
	}
	return container.StateWaiting
}

// coming says whether the lane is at what makes the service run again, and nobody holds it down: what
// has ended then made room for that.
func (s *Service) coming() bool {
	l := s.Lane
	if !l.Busy || s.ByHand || s.Conf.Replicas == 0 || s.Completed() && !l.First {
		return false
	}
	return l.Arriving || l.Remaking
}

// Started is when the oldest running replica began to run; zero when none does.
func (s *Service) Started() time.Time {
	t := time.Time{}
	for _, r := range s.Replicas {
		if r.Live() && (t.IsZero() || r.Instance.Started.Before(t)) {
			t = r.Instance.Started
		}
	}
	return t
}

// Count counts replicas.
func (s *Service) Count(is func(*Replica) bool) (n int) {
	for _, r := range s.Replicas {
		if is(r) {
			n++
		}
	}
	return n
}

// ByID finds the replica that a container holds, nil when none does.
func (s *Service) ByID(id string) *Replica {
	i := slices.IndexFunc(s.Replicas, func(r *Replica) bool { return r.Instance.ID == id })
	if i < 0 {
		return nil
	}
	return s.Replicas[i]
}

// WorstHealth is that of the replica that is worst off.
func (s *Service) WorstHealth() (h container.Health) {
	for _, r := range s.Replicas {
		h = h.Worse(r.Health())
	}
	return h
}

// Unchecked says whether a service is known to have no healthcheck. Without one in the file its
// image decides.
func (s *Service) Unchecked() bool {
	switch h := s.Conf.Config.HealthCheck; {
	case h != nil && (h.Disable || len(h.Test) > 0 && h.Test[0] == "NONE"):
		return true
	case h != nil && len(h.Test) > 0:
		return false
	}
	return s.Image != nil && !s.Image.Health
}

// dependencies lists what a service depends on, sorted.
func (s *Service) dependencies() []string { return slices.Sorted(maps.Keys(s.Conf.DependsOn)) }
