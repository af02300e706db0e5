package drill

import (
	"context"
	"fmt"
	"time"

	"bulkhead/engine/container"
	"bulkhead/engine/logs"
	"bulkhead/engine/project"
)

// Subject is the project that a drill runs on. Its methods may be called from any goroutine.
type Subject interface {
	// Project is its name.
	Project() string
	// Services are those that run, in dependency order: first those that need nobody.
	Services() []Service
	// Stands says how every replica stands now. changed is closed when that may have changed.
	Stands() (all []Stand, changed <-chan struct{})
	// Inject puts the fault on a service; heal takes it away again and returns when that is done, not
	// when the service is ready. An injection that failed leaves nothing behind.
	Inject(ctx context.Context, service, fault string) (heal func(context.Context) error, err error)
	// Kept counts the connections from before the fault that is in force which go on without it; with
	// Options.Cut there are none.
	Kept() int
	// Probe asks a service once by its x-bulkhead.probe, from inside its network.
	Probe(ctx context.Context, service string) error
	// Tapped hands out what comes over the edges that are tapped, until ctx ends.
	Tapped(ctx context.Context, take func(Tapped))
	// Logs has what the services write.
	Logs() *logs.Store
	// HoldWork keeps what changed files ask for waiting while it is on.
	HoldWork(on bool)
	// Hands lists what others did to the project since a moment: a person, another program.
	Hands(since time.Time) []string
	// Starved says whether the machine had no CPU left during a span; a check that timed out then
	// says nothing of the service.
	Starved(from, to time.Time) bool
	// Publish hands out how far the drill is.
	Publish(*Report)
}

// Tapped is what came over one tapped edge since the last time.
type Tapped struct {
	From, To string
	At       time.Time // when it was told
	Slices   []TappedSlice
	Bad      []TappedBad // some of the requests that failed
}

// TappedSlice counts the requests that were sent in a moment from At on.
type TappedSlice struct {
	At            time.Time
	Asked, Failed int
	Took          []Took
}

// Took is how long so many requests took.
type Took struct {
	Time  time.Duration
	Count int
}

// TappedBad is one request that failed.
type TappedBad struct {
	Sent, Done time.Time
	Text       string // which one, and how
}

// Service is what a drill knows of a service from the file.
type Service struct {
	Name       string
	Probed     bool // it has an x-bulkhead.probe
	Stateful   bool // it has named volumes
	MayDegrade []project.Degrade
	DependsOn  []string
	Links      []string
	Calls      []string
	Follows    []string      // services with which the file has it restarted
	Joins      string        // the service whose network it lives in; "" for its own
	HealthSpan time.Duration // how long a healthcheck takes to become unhealthy; 0 without one
	Ports      []container.Port
}

// Stand is how one replica stands.
type Stand struct {
	Service  string
	Replica  int
	Identity container.Identity
	PID      int
	State    container.State
	Live     bool
	Health   container.Health
	ExitCode int
	TimedOut bool // its last health check did not answer in time
	Ready    bool // its service is
}

// key tells a replica from all others: "web/1".
func (s *Stand) key() string { return fmt.Sprint(s.Service, "/", s.Replica) }

// allowed finds what the file allows a bystander to suffer from a service's faults.
func (s *Service) allowed(bystander string) (project.Degrade, bool) {
	for _, d := range s.MayDegrade {
		if d.Service == bystander {
			return d, true
		}
	}
	return project.Degrade{}, false
}

// falls lists who falls with a service because the file says so: who lives in its network or is
// restarted with it, and so on.
func falls(all []Service, hit string) map[string]bool {
	out := map[string]bool{}
	for grew := true; grew; {
		grew = false
		for _, s := range all {
			if s.Name == hit || out[s.Name] {
				continue
			}
			with := s.Joins == hit || out[s.Joins] && s.Joins != ""
			for _, f := range s.Follows {
				with = with || f == hit || out[f]
			}
			if with {
				out[s.Name], grew = true, true
			}
		}
	}
	return out
}

// edges are the declared ones.
func edges(all []Service) []Edge {
	out := []Edge{}
	for _, s := range all {
		for _, of := range []struct {
			by string
			to []string
		}{{"depends_on", s.DependsOn}, {"links", s.Links}, {"calls", s.Calls}} {
			for _, to := range of.to {
				out = append(out, Edge{From: s.Name, To: to, By: of.by})
			}
		}
	}
	return out
}
