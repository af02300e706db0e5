package engine

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"bulkhead/engine/project"
)

// op is what one step of a plan does.
type op uint8

const (
	opUnknown  op = iota
	opPull        // the image
	opBuild       // the image
	opCreate      // a container where there is none
	opRecreate    // another container in place of the one that is there
	opStart       // one that is there
	opRestart     // one that runs, in place
	opUnpause     // likewise
	opKeep        // nothing
	opRemove      // a replica too many, or an orphan
)

var opNames = [...]string{"unknown", "pull", "build", "create", "recreate", "start", "restart", "unpause", "keep", "remove"}

func (o op) String() string { return opNames[o] }

// step is one thing to do to one replica, or to a service's image (replica 0).
type step struct {
	service string
	replica int
	op      op
	reason  string
	seen    Instance // the container that is there; its ID is empty for opCreate, opPull and opBuild
}

// String gives the step as one line: "orders/1: recreate (image changed)".
func (s step) String() string {
	name := s.service
	if s.replica > 0 {
		name = fmt.Sprintf("%s/%d", s.service, s.replica)
	}
	if s.reason == "" {
		return fmt.Sprintf("%s: %s", name, s.op)
	}
	return fmt.Sprintf("%s: %s (%s)", name, s.op, s.reason)
}

// plan is a list of steps. Steps of one service are carried out in their order, those of different services are not
// ordered except by depends_on.
type plan []step

// String gives one numbered step a line; dependencies stand behind the start of what waits for them.
func (p plan) String() string {
	var b strings.Builder
	for i, s := range p {
		fmt.Fprintf(&b, "#%d %s\n", i+1, s)
	}
	return b.String()
}

// want is what the project asks of one service, with what is known of its image.
type want struct {
	name     string
	replicas int
	hash     string            // config hash with resolved references
	content  string            // hash of inline secrets and configs; "" when it has none
	image    *Image            // nil: not there yet
	build    string            // why its image must be built first; "" when it need not
	pull     string            // why its image must be pulled first
	networks map[string]string // names that each replica must be attached to, and their ids where they are known
	volumes  []string          // names that each replica must mount
	recreate bool              // make new containers whatever is there
	oneShot  bool              // somebody waits for it to complete
	restarts bool              // its restart policy brings it back after an exit with 0

	rejoins   string    // why its containers cannot stay, when those of the services that it joins do not
	joined    time.Time // since when the namespaces of other containers that it shares exist; zero when it shares none
	joinedWhy string    // why a container that is older must be started again
}

// seenService is what the runtime shows of one service.
type seenService struct {
	instances []Instance
	// completed holds the ids of containers that ended by themselves with exit code 0, so that up does not run them again.
	completed map[string]bool
}

// decide compares one service as wanted with what is seen. It asks nobody, and does nothing. The rules are those of docker
// compose, so that both may be used on one project, but a completed one-shot is not run again unless it changed.
func decide(w want, seen seenService) plan {
	var p plan
	imageReason := ""
	switch {
	case w.build != "":
		p = append(p, step{service: w.name, op: opBuild, reason: w.build})
		imageReason = "image is built anew"
	case w.pull != "":
		p = append(p, step{service: w.name, op: opPull, reason: w.pull})
	}

	have, extra := onePerNumber(w, seen.instances)
	for n := 1; n <= w.replicas; n++ {
		in, there := have[n]
		if !there {
			p = append(p, step{service: w.name, replica: n, op: opCreate, reason: "no container"})
			continue
		}
		s := step{service: w.name, replica: n, seen: in}
		if s.reason = diverged(w, in); s.reason == "" {
			s.reason = imageReason
		}
		if s.reason != "" {
			s.op = opRecreate
		} else {
			s.op, s.reason = revive(w, in, seen.completed[in.ID])
		}
		p = append(p, s)
	}
	for _, in := range extra {
		reason := fmt.Sprintf("%d wanted", w.replicas)
		if in.Replica >= 1 && in.Replica <= w.replicas {
			reason = "second container for this number"
		}
		p = append(p, step{service: w.name, replica: in.Replica, op: opRemove, reason: reason, seen: in})
	}
	return p
}

// onePerNumber chooses the container that each wanted number keeps: the newest of those that fit, or the newest when none does. The
// others, and those of numbers that are not wanted, are too many.
func onePerNumber(w want, all []Instance) (have map[int]Instance, extra []Instance) {
	have = map[int]Instance{}
	for _, in := range slices.SortedFunc(slices.Values(all), byNumberThenAge) {
		if in.Replica < 1 || in.Replica > w.replicas {
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

// byNumberThenAge puts the newest container of a number first.
func byNumberThenAge(a, b Instance) int {
	if c := cmp.Compare(a.Replica, b.Replica); c != 0 {
		return c
	}
	return b.Created.Compare(a.Created)
}

// diverged says why a container cannot stay, "" when it can.
func diverged(w want, in Instance) string {
	switch {
	case w.recreate:
		return "asked for"
	case w.rejoins != "":
		return w.rejoins
	case in.Hash != w.hash:
		return "configuration changed"
	case in.Content != "" && in.Content != w.content: // "": docker compose made it, and nobody knows
		return "content of a config or secret changed"
	case w.image != nil && w.build == "" && in.Digest != w.image.Digest:
		return "image changed"
	}
	for _, v := range w.volumes {
		if !slices.Contains(in.Volumes, v) {
			return "volume " + v + " is not mounted"
		}
	}
	for _, n := range slices.Sorted(maps.Keys(w.networks)) {
		id, attached := in.Networks[n]
		switch {
		// One that was stopped may have been taken off; it is put back when it starts.
		case !attached && (in.State == StateRunning || in.State == StatePaused):
			return "not attached to network " + n
		case attached && id != "" && w.networks[n] != "" && id != w.networks[n]:
			return "network " + n + " was made again"
		}
	}
	return ""
}

// revive says what a container that may stay needs in order to run.
func revive(w want, in Instance, completed bool) (op, string) {
	switch in.State {
	case StateRunning, StateRestarting:
		if in.State == StateRunning && in.Started.Before(w.joined) {
			return opRestart, w.joinedWhy
		}
		return opKeep, "running"
	case StatePaused:
		return opUnpause, "paused"
	case StateExited:
		if in.ExitCode == 0 && !w.restarts && (completed || w.oneShot) {
			return opKeep, "completed"
		}
		return opStart, fmt.Sprintf("exited %d", in.ExitCode)
	}
	return opStart, in.State.String()
}

// orphans gives the steps for containers whose service the project does not know.
func orphans(p *project.Project, seen []Instance) plan {
	var out plan
	for _, in := range seen {
		if p.Service(in.Service) == nil && !slices.Contains(p.Disabled, in.Service) && !slices.Contains(p.Unselected, in.Service) {
			out = append(out, step{service: in.Service, replica: in.Replica, op: opRemove, reason: "orphan", seen: in})
		}
	}
	return out
}
