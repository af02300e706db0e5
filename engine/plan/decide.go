// Package plan decides, and does nothing: what has to be done to bring what is seen to what is
// wanted, step by step with the reasons, and what changed files ask of a service. It is pure: the
// same arguments have the same answer, and it asks nobody. The engine calls it with what it knows,
// walks the steps, and prints them.
package plan

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"bulkhead/engine/container"
	"bulkhead/engine/project"
)

// Op is what one step of a plan does.
type Op uint8

const (
	Unknown  Op = iota
	Pull        // the image
	Build       // the image
	Create      // a container where there is none
	Recreate    // another container in place of the one that is there
	Start       // one that is there
	Restart     // one that runs, in place
	Unpause     // likewise
	Keep        // nothing
	Remove      // a replica too many, or an orphan
)

var opNames = [...]string{"unknown", "pull", "build", "create", "recreate", "start", "restart", "unpause", "keep", "remove"}

func (o Op) String() string { return opNames[o] }

// Step is one thing to do to one replica, or to a service's image (replica 0).
type Step struct {
	Service string
	Replica int
	Op      Op
	Reason  string
	Seen    container.Instance // the container that is there; its ID is empty for Create, Pull and Build
}

// String returns the step as one line: "orders/1: recreate (image changed)".
func (s Step) String() string {
	name := s.Service
	if s.Replica > 0 {
		name = fmt.Sprintf("%s/%d", s.Service, s.Replica)
	}
	if s.Reason == "" {
		return fmt.Sprintf("%s: %s", name, s.Op)
	}
	return fmt.Sprintf("%s: %s (%s)", name, s.Op, s.Reason)
}

// Plan is a list of steps. Steps of one service are carried out in their order, those of different services are not
// ordered except by depends_on.
type Plan []Step

// String writes one numbered step a line; dependencies stand behind the start of what waits for them.
func (p Plan) String() string {
	var b strings.Builder
	for i, s := range p {
		fmt.Fprintf(&b, "#%d %s\n", i+1, s)
	}
	return b.String()
}

// Want is what the project asks of one service, with what is known of its image.
type Want struct {
	Name     string
	Replicas int
	Hash     string            // config hash with resolved references
	Content  string            // hash of inline secrets and configs; "" when it has none
	Image    *container.Image  // nil: not there yet
	Build    string            // why its image must be built first; "" when it need not
	Pull     string            // why its image must be pulled first
	Networks map[string]string // names that each replica must be attached to, and their ids where they are known
	Volumes  []string          // names that each replica must mount
	Recreate bool              // make new containers whatever is there
	OneShot  bool              // somebody waits for it to complete
	Restarts bool              // its restart policy brings it back after an exit with 0

	Rejoins   string    // why its containers cannot stay, when those of the services that it joins do not
	Joined    time.Time // since when the namespaces of other containers that it shares exist; zero when it shares none
	JoinedWhy string    // why a container that is older must be started again
}

// Seen is what the runtime shows of one service.
type Seen struct {
	Instances []container.Instance
	// Completed holds the ids of containers that ended by themselves with exit code 0, so that up does not run them again.
	Completed map[string]bool
}

// Decide compares one service as wanted with what is seen. It asks nobody, and does nothing. The
// rules are those of docker compose, so that both may be used on one project, but a completed
// one-shot is not run again unless it changed.
func Decide(w Want, seen Seen) Plan {
	var p Plan
	imageReason := ""
	switch {
	case w.Build != "":
		p = append(p, Step{Service: w.Name, Op: Build, Reason: w.Build})
		imageReason = "image was built again"
	case w.Pull != "":
		p = append(p, Step{Service: w.Name, Op: Pull, Reason: w.Pull})
	}

	have, extra := onePerNumber(w, seen.Instances)
	for n := 1; n <= w.Replicas; n++ {
		in, there := have[n]
		if !there {
			p = append(p, Step{Service: w.Name, Replica: n, Op: Create, Reason: "no container"})
			continue
		}
		s := Step{Service: w.Name, Replica: n, Seen: in}
		if s.Reason = diverged(w, in); s.Reason == "" {
			s.Reason = imageReason
		}
		if s.Reason != "" {
			s.Op = Recreate
		} else {
			s.Op, s.Reason = revive(w, in, seen.Completed[in.ID])
		}
		p = append(p, s)
	}
	for _, in := range extra {
		reason := fmt.Sprintf("%d wanted", w.Replicas)
		if in.Replica >= 1 && in.Replica <= w.Replicas {
			reason = "second container for this number"
		}
		p = append(p, Step{Service: w.Name, Replica: in.Replica, Op: Remove, Reason: reason, Seen: in})
	}
	return p
}

// onePerNumber chooses the container that each wanted number keeps: the newest of those that fit,
// or the newest when none does. The others, and those of numbers that are not wanted, are too many.
func onePerNumber(w Want, all []container.Instance) (have map[int]container.Instance, extra []container.Instance) {
	have = map[int]container.Instance{}
	for _, in := range slices.SortedFunc(slices.Values(all), ByNumberThenAge) {
		if in.Replica < 1 || in.Replica > w.Replicas {
			extra = append(extra, in)
			continue
		}
		first, twice := have[in.Replica]
		switch {
		case !twice:
			have[in.Replica] = in
		case diverged(w, first) != "" && diverged(w, in) == "":
			have[in.Replica] = in
			extra = append(extra, first)
		default:
			extra = append(extra, in)
		}
	}
	return have, extra
}

// ByNumberThenAge puts the newest container of a number first.
func ByNumberThenAge(a, b container.Instance) int {
	if c := cmp.Compare(a.Replica, b.Replica); c != 0 {
		return c
	}
	return b.Created.Compare(a.Created)
}

// diverged says why a container cannot stay, "" when it can.
func diverged(w Want, in container.Instance) string {
	switch {
	case w.Recreate:
		return "asked for"
	case w.Rejoins != "":
		return w.Rejoins
	case in.Hash != w.Hash:
		return "configuration changed"
	case in.Content != "" && in.Content != w.Content: // "": docker compose made it, and nobody knows
		return "content of a config or secret changed"
	case w.Image != nil && w.Build == "" && in.Digest != w.Image.Digest:
		return "image changed"
	}
	for _, v := range w.Volumes {
		if !slices.Contains(in.Volumes, v) {
			return "volume " + v + " is not mounted"
		}
	}
	for _, n := range slices.Sorted(maps.Keys(w.Networks)) {
		id, attached := in.Networks[n]
		switch {
		// One that was stopped may have been taken off; it is put back when it starts.
		case !attached && (in.State == container.StateRunning || in.State == container.StatePaused):
			return "not attached to network " + n
		case attached && id != "" && w.Networks[n] != "" && id != w.Networks[n]:
			return "network " + n + " was made again"
		}
	}
	return ""
}

// revive says what a container that may stay needs in order to run.
func revive(w Want, in container.Instance, completed bool) (Op, string) {
	switch in.State {
	case container.StateRunning, container.StateRestarting:
		if in.State == container.StateRunning && in.Started.Before(w.Joined) {
			return Restart, w.JoinedWhy
		}
		return Keep, "running"
	case container.StatePaused:
		return Unpause, "paused"
	case container.StateExited:
		if in.ExitCode == 0 && !w.Restarts && (completed || w.OneShot) {
			return Keep, "completed"
		}
		return Start, fmt.Sprintf("exited %d", in.ExitCode)
	}
	return Start, in.State.String()
}

// Orphans returns the steps for containers whose service the project does not know.
func Orphans(p *project.Project, seen []container.Instance) Plan {
	var out Plan
	for _, in := range seen {
		if p.Service(in.Service) == nil && !slices.Contains(p.Disabled, in.Service) && !slices.Contains(p.Unselected, in.Service) {
			out = append(out, Step{Service: in.Service, Replica: in.Replica, Op: Remove, Reason: "orphan", Seen: in})
		}
	}
	return out
}
