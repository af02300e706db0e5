package engine

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// likelySpan is how long after one service's fault the trouble of another is put down to it: health checks need some rounds to notice.
const likelySpan = 30 * time.Second

// Likely is what a service's trouble, or its recovery, most likely comes from.
type Likely struct {
	Service string
	What    string        // "was killed", "died with code 1", "came back"
	Before  time.Duration // so long before
	Path    []string      // from the service in trouble to Service, each needing the next
}

// String is the line of the events: "orders was killed, 2.3 s earlier (gateway needs orders)".
func (l *Likely) String() string {
	return fmt.Sprintf("%s %s, %.1f s earlier (%s)", l.Service, l.What, l.Before.Seconds(), strings.Join(l.Path, " needs "))
}

// likely says what a service's trouble, or its end, most likely comes from: the latest thing that befell one of the services that it
// needs, directly or through others, shortly before. nil when nothing of the kind is known: two things that happen one after the other
// without one needing the other have nothing to do with each other as far as anybody can tell. past is sorted by time; needs gives the
// services that one depends on.
func likely(r *Record, past []Record, needs func(string) []string) *Likely {
	sign := bad(r)
	back := sign == "" && r.Health == Healthy && strings.Contains(r.Cause, Unhealthy.String()+" -> ")
	if sign == "" && !back {
		return nil
	}
	paths := pathsTo(r.Service, needs)
	for i := len(past) - 1; i >= 0; i-- {
		p := &past[i]
		if r.Time.Sub(p.Time) > likelySpan {
			break
		}
		path := paths[p.Service]
		if path == nil || p.Time.After(r.Time) {
			continue
		}
		what := befell(p, past[:i])
		if back {
			if what != "" {
				return nil // it is not that one's coming back
			}
			if what = cameBack(p); what == "" {
				continue
			}
		}
		if what == "" {
			continue
		}
		at := p.Time
		if f := faultBefore(p, past[:i]); f != nil && p.HasExit {
			at, what = f.Time, "was killed"
		}
		return &Likely{Service: p.Service, What: what, Before: r.Time.Sub(at), Path: path}
	}
	return nil
}

// bad says what trouble a record tells of that its service did not get into on purpose; "" for none.
func bad(r *Record) string {
	switch {
	case r.Kind != "service":
	case r.Health == Unhealthy:
		return "unhealthy"
	case r.HasExit && r.ExitCode != 0 && r.Cause == EndedByItself:
		return "died"
	}
	return ""
}

// befell says what happened to the service of a record that those who need it may notice; "" for nothing.
func befell(r *Record, past []Record) string {
	switch {
	case r.Kind == "fault" && r.Action == string(VerbPause):
		return "was paused"
	case r.Kind != "service":
	case r.Health == Unhealthy:
		return "became unhealthy"
	case r.HasExit && r.Cause == EndedByItself && r.ExitCode == 0:
		return "ended"
	case r.HasExit && r.Cause == EndedByItself:
		return fmt.Sprintf("died with code %d", r.ExitCode)
	case r.HasExit:
		return "was stopped"
	case r.State == StateStarting || r.State == StateRunning:
		// Of a container that was replaced the end is not always seen.
		for _, p := range slices.Backward(past) {
			if p.Service == r.Service && p.Replica == r.Replica && p.Kind == "service" && p.ID != "" {
				if p.ID != r.ID && r.ID != "" {
					return "was replaced"
				}
				break
			}
		}
	}
	return ""
}

// cameBack says that a record tells of a service that works again.
func cameBack(r *Record) string {
	if r.Kind == "service" && r.State == StateRunning && r.ID != "" && (r.Health == Healthy || r.Health == HealthNone) {
		return "came back"
	}
	return ""
}

// faultBefore finds the kill that an end comes from.
func faultBefore(r *Record, past []Record) *Record {
	for i := len(past) - 1; i >= 0 && r.Time.Sub(past[i].Time) < likelySpan/2; i-- {
		if p := &past[i]; p.Service == r.Service && p.Kind == "fault" && p.Action == string(VerbKill) {
			return p
		}
	}
	return nil
}

// pathsTo gives for every service that one needs the shortest way to it, both ends included.
func pathsTo(service string, needs func(string) []string) map[string][]string {
	paths := map[string][]string{}
	for queue := [][]string{{service}}; len(queue) > 0; queue = queue[1:] {
		path := queue[0]
		for _, n := range needs(path[len(path)-1]) {
			if _, known := paths[n]; !known && n != service {
				paths[n] = append(slices.Clone(path), n)
				queue = append(queue, paths[n])
			}
		}
	}
	return paths
}
