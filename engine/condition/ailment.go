package condition

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"bulkhead/engine/container"
)

// crashLoop is how many restarts by policy without a healthy moment in between make a service one
// that will not come up by itself. With Docker's pauses between them (100 ms, doubled each time)
// that is about three seconds, which a service that only has to wait for another may well need.
const crashLoop = 5

// AilmentKind tells ailments apart.
type AilmentKind uint8

const (
	AilmentUnknown AilmentKind = iota
	Ended                      // its program ended, and nobody asked for that
	OutOfMemory                // the kernel killed it
	CrashLooping               // its restart policy has started it again and again
	Sick                       // its healthcheck fails
)

// Ailment is what keeps a replica from becoming ready by itself.
type Ailment struct {
	Kind     AilmentKind
	Instance container.Instance // as it was seen
	Restarts int                // of CrashLooping: by policy, since it was healthy last
}

// String returns the ailment as it stands behind a service's name and a colon: "exited with code 3".
func (a *Ailment) String() string {
	switch a.Kind {
	case Ended:
		return fmt.Sprintf("exited with code %d", a.Instance.ExitCode)
	case OutOfMemory:
		return fmt.Sprintf("out of memory, killed by the kernel (exit code %d)", a.Instance.ExitCode)
	case CrashLooping:
		return fmt.Sprintf("crash-looping: exited with code %d, restarted %d times by its restart policy",
			a.Instance.ExitCode, a.Restarts)
	case Sick:
		return Illness(a.Instance)
	}
	return "not ready"
}

// Of returns the ailment as a sentence: "web exited with code 3", "web is out of memory".
func (a *Ailment) Of(service string) string {
	if a.Kind == Ended {
		return service + " " + a.String()
	}
	return service + " is " + a.String()
}

// Ailment returns what keeps a replica from becoming ready by itself; nil when nothing does, or when
// it is down because somebody asked for it.
func (s *Service) Ailment(r *Replica) *Ailment {
	in, restarts := r.Instance, r.Instance.Restarts-r.Calm.Restarts
	switch {
	case in.ID == "":
		return nil
	case in.State == container.StateExited && (in.ExitCode != 0 || !s.Completed()) &&
		!r.ExpectedExit && s.Settled:
		if in.OOM {
			return &Ailment{Kind: OutOfMemory, Instance: in}
		}
		return &Ailment{Kind: Ended, Instance: in}
	case in.State == container.StateRestarting && restarts >= crashLoop:
		return &Ailment{Kind: CrashLooping, Instance: in, Restarts: restarts}
	case r.Live() && in.Health == container.Unhealthy:
		return &Ailment{Kind: Sick, Instance: in}
	}
	return nil
}

// Came says whether the container that a replica is to have from now on is ready, or why it will not be.
func (s *Service) Came(replica int, id string) (ready bool, err error) {
	r := s.ByID(id)
	switch {
	case r == nil || r.Number != replica:
		return false, fmt.Errorf("%s: the new generation is gone before it was ready", s.Name)
	case r.Instance.State == container.StateExited:
		return false, fmt.Errorf("%s: the new generation exited with code %d before it was ready", s.Name, r.Instance.ExitCode)
	case r.Live() && r.Instance.Health == container.Unhealthy:
		return false, fmt.Errorf("%s: the new generation is %s", s.Name, Illness(r.Instance))
	}
	return r.Ready(s.Conf), nil
}

// Illness is an unhealthy state with its reason: `unhealthy: its check says "connection refused" (exit 7)`.
func Illness(in container.Instance) string {
	text := "unhealthy"
	if out := strings.TrimSpace(in.HealthOutput); out != "" {
		text += ": its check says " + strconv.Quote(out[strings.LastIndexByte(out, '\n')+1:])
	}
	if in.HealthExit > 1 { // 1 is what most fail with; below 0 there was no answer
		text += fmt.Sprintf(" (exit %d)", in.HealthExit)
	}
	return text
}

// Hopeless returns why a service will not become ready by itself, without a remedy; nil while it may.
func (s *Service) Hopeless() error {
	if len(s.WaitsOn) > 0 {
		return nil // it is the other one's matter
	}
	if s.Problem.Text != "" {
		return s.Problem.err(s.Name)
	}
	for _, r := range s.Replicas {
		if a := s.Ailment(r); a != nil {
			return &container.About{Service: s.Name, Err: errors.New(a.String())}
		}
		if r.ExpectedExit && s.ByHand && r.Instance.ID != "" {
			return &container.About{Service: s.Name, Err: errors.New("stopped by you")}
		}
	}
	return nil
}

// HopelessErr is Hopeless with the remedy where there is one, nil while it may.
func (s *Service) HopelessErr() error {
	why := s.Hopeless()
	if why == nil || s.Problem.Text == "" || s.Problem.Remedy == "" {
		return why
	}
	return container.WithRemedy(why, "%s", s.Problem.Remedy)
}
