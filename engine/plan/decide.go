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
	Prepare     // runs on the host what the image, or what is copied, is made from
	Pull        // the image
	Build       // the image
	Await       // the image, which another service builds
	Create      // a container, network or volume where there is none
	Recreate    // another container or network in place of the one that is there, which stops first
	Overlap     // another container, and the one that is there stops once that is ready
	Start       // one that is there
	Restart     // one that runs, in place
	Unpause     // likewise
	Keep        // nothing
	Remove      // a replica too many, or an orphan
	Sync        // files into one that runs
	Exec        // the command of a rule, in those that run
)

var opNames = [...]string{
	"unknown", "prepare", "pull", "build", "await", "create", "recreate", "overlap", "start",
	"restart", "unpause", "keep", "remove", "sync", "exec",
}

func (o Op) String() string { return opNames[o] }

// Step is one thing to do to one replica, to a service's image (replica 0), or to a network or
// volume that it uses.
type Step struct {
	Service  string
	Replica  int
	Resource string // "network front", "volume data" where it is about one; else ""
	Op       Op
	Reason   string
	Seen     container.Instance // the container that is there; its ID is empty where a step is not about one
	Rule     *project.Rule      // of Exec
}

// String returns the step as one line: "orders/1: recreate (image changed)".
func (s Step) String() string {
	name := s.Service
	switch {
	case s.Resource != "":
		name = s.Resource
	case s.Replica > 0:
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

// Seen are the containers that the steps are about.
func (p Plan) Seen() []container.Instance {
	var out []container.Instance
	for _, s := range p {
		out = append(out, s.Seen)
	}
	return out
}

// Want is what the project asks of one service, with what is known of its image.
type Want struct {
	Name     string
	Replicas int
	Hash     string           // config hash with resolved references
	Program  bool             // containers are made so that the program can be restarted alone
	Content  string           // hash of inline secrets and configs; "" when it has none
	Image    *container.Image // nil: not there yet
	// what comes before its containers; see DecidePrepare, DecideImage and DecideResource
	First []Step
	// VolumeImages says which images it mounts; "" for none, or where that is not known.
	VolumeImages string
	// names that each replica must be attached to, and their ids where they are known
	Networks map[string]string
	Volumes  []string // names that each replica must mount
	AsIs     bool     // start what is there, and make and remove nothing
	Recreate Policy   // which of the containers that are there are replaced
	NoStart  bool     // containers are made, and nothing is started
	Overlap  bool     // a container that runs stops only once the one in its place is ready
	OneShot  bool     // somebody waits for it to complete
	Restarts bool     // its restart policy brings it back after an exit with 0

	Renews string // why its containers cannot stay, whatever they are: one that it joins gets another
	// since when the namespaces of other containers that it shares exist; zero when it shares none
	Joined    time.Time
	JoinedWhy string // why a container that is older must be started again
}

// builds says whether the image is built before its containers are made, so that what it is to be is not known.
func (w *Want) builds() bool {
	return slices.ContainsFunc(w.First, func(s Step) bool { return s.Op == Build })
}

// Policy says which containers of a service are replaced.
type Policy uint8

const (
	Differing Policy = iota // those that are not as they should be
	Every                   // all
	None                    // none, whatever they are
)

// Seen is what the runtime shows of one service.
type Seen struct {
	Instances []container.Instance
	// Completed holds the ids of containers that ended by themselves with exit code 0, so that up does not run them again.
	Completed map[string]bool
	// Stopping holds the ids of containers whose stop was begun by a process that ended suddenly: one that runs may end at any moment.
	Stopping map[string]bool
}

// Decide compares one service as wanted with what is seen. It asks nobody, and does nothing. The
// rules are those of docker compose, so that both may be used on one project, but a completed
// one-shot is not run again unless it changed.
func Decide(w Want, seen Seen) Plan {
	if w.AsIs {
		return startAsIs(w, seen)
	}
	p := Plan(slices.Clone(w.First))
	imageReason := ""
	if w.builds() {
		imageReason = "image was built again"
	}

	have, extra := onePerNumber(w, seen.Instances)
	numbers := numbersOf(w, have)
	for _, n := range numbers {
		in, there := have[n]
		if !there {
			p = append(p, Step{Service: w.Name, Replica: n, Op: Create, Reason: "no container"})
			continue
		}
		s := Step{Service: w.Name, Replica: n, Seen: in}
		if s.Reason = diverged(w, in); s.Reason == "" {
			s.Reason = imageReason
		}
		switch {
		case s.Reason != "" && w.Overlap && !w.NoStart && in.State == container.StateRunning:
			s.Op = Overlap
		case s.Reason != "":
			s.Op = Recreate
		case seen.Stopping[in.ID] && in.State == container.StateRunning:
			s.Op, s.Reason = Restart, "its stop was begun, and not seen to the end"
		default:
			s.Op, s.Reason = revive(w, in, seen.Completed[in.ID])
		}
		if w.NoStart && s.Op != Recreate {
			s.Op, s.Reason = Keep, in.State.String()
		}
		p = append(p, s)
	}
	for _, n := range slices.Sorted(maps.Keys(have)) {
		if !slices.Contains(numbers, n) {
			extra = append(extra, have[n])
		}
	}
	for _, in := range extra {
		reason := fmt.Sprintf("%d wanted", w.Replicas)
		if slices.Contains(numbers, in.Replica) {
			reason = "second container for this number"
		}
		p = append(p, Step{Service: w.Name, Replica: in.Replica, Op: Remove, Reason: reason, Seen: in})
	}
	return p
}

// numbersOf are the numbers that a service's containers have from now on, sorted. Which those are does not
// matter: what is there stays, whatever its number, as long as it is not too many, and the lowest free
// numbers are for what is missing. Of too many those stay that need no new container, and of these the
// first ones.
func numbersOf(w Want, have map[int]container.Instance) []int {
	all := slices.SortedFunc(maps.Keys(have), func(a, b int) int {
		fits := func(n int) int {
			if diverged(w, have[n]) != "" {
				return 1
			}
			return 0
		}
		return cmp.Or(cmp.Compare(fits(a), fits(b)), cmp.Compare(a, b))
	})
	all = all[:min(len(all), w.Replicas)]
	for n := 1; len(all) < w.Replicas; n++ {
		if _, taken := have[n]; !taken {
			all = append(all, n)
		}
	}
	slices.Sort(all)
	return all
}

// onePerNumber chooses the container that each number keeps: the newest of those that fit, or the newest
// when none does. The others, and those without a number, are too many.
func onePerNumber(
	w Want, all []container.Instance,
) (have map[int]container.Instance, extra []container.Instance) {
	have = map[int]container.Instance{}
	for _, in := range slices.SortedFunc(slices.Values(all), ByNumberThenAge) {
		if in.Replica < 1 {
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
	case w.Recreate == Every:
		return "asked for"
	case w.Recreate == None:
		return ""
	case w.Renews != "":
		return w.Renews
	case in.Hash != w.Hash:
		return "configuration changed"
	case in.Program && !w.Program:
		return "restart: process was taken back"
	case !in.Program && w.Program:
		return "made without restart: process"
	case in.Content != "" && in.Content != w.Content: // "": docker compose made it, and nobody knows
		return "content of a config or secret changed"
	case w.Image != nil && !w.builds() && in.Digest != w.Image.Digest:
		return "image changed"
	case w.VolumeImages != "" && in.VolumeImages != w.VolumeImages:
		return "image of a volume changed"
	}
	for _, v := range w.Volumes {
		if !slices.Contains(in.Volumes, v) {
			return "volume " + v + " is not mounted"
		}
	}
	for _, n := range slices.Sorted(maps.Keys(w.Networks)) {
		id, attached := in.Networks[n]
		switch {
		// One that does not run may have been taken off: the runtime puts it back when it starts.
		case !attached && (in.State == container.StateRunning || in.State == container.StatePaused ||
			in.State == container.StateRestarting):
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
		if p.Service(in.Service) == nil && !slices.Contains(p.Disabled, in.Service) &&
			!slices.Contains(p.Unselected, in.Service) {
			out = append(out, Step{Service: in.Service, Replica: in.Replica, Op: Remove,
				Reason: "orphan", Seen: in})
		}
	}
	return out
}
