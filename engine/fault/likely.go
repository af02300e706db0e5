package fault

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// LikelySpan is how long after one service's fault the trouble of another is put down to it: health
// checks need some rounds to notice.
const LikelySpan = 30 * time.Second

// Kind is what happened to a replica, as those who need its service may notice it.
type Kind uint8

const (
	KindUnknown Kind = iota
	Killed           // on purpose
	Paused           // on purpose
	Stopped          // it ended because somebody asked for that
	Ended            // by itself, with exit code 0
	Crashed          // by itself, with another exit code
	Sick             // its health became unhealthy
	Recovered        // healthy again after it was unhealthy
	Up               // it started, or runs
)

// Event is one thing that happened to a replica.
type Event struct {
	Time      time.Time
	Kind      Kind
	Service   string
	Replica   int
	Container string // id
	ExitCode  int    // of Crashed
	Ready     bool   // of Up and Recovered: nothing says that it does not work yet
}

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

// LikelyCause returns what a service's trouble, or its recovery, most likely comes from: the latest
// thing that happened to one of the services that it needs, directly or through others, shortly
// before. nil when nothing of the kind is known: two things that happen one after the other without
// one needing the other have nothing to do with each other as far as anybody can tell. past is
// sorted by time; needs returns the services that one depends on.
func LikelyCause(now Event, past []Event, needs func(string) []string) *Likely {
	if now.Kind != Sick && now.Kind != Crashed && now.Kind != Recovered {
		return nil
	}
	paths := pathsTo(now.Service, needs)
	for i := len(past) - 1; i >= 0 && now.Time.Sub(past[i].Time) <= LikelySpan; i-- {
		p := past[i]
		path := paths[p.Service]
		if path == nil || p.Time.After(now.Time) {
			continue
		}
		what, at := trouble(p, past[:i])
		switch {
		case now.Kind == Recovered && what != "":
			return nil // it is not that one's coming back
		case now.Kind == Recovered && (p.Kind == Up || p.Kind == Recovered) && p.Ready:
			what = "came back"
		}
		if what != "" {
			return &Likely{Service: p.Service, What: what, Before: now.Time.Sub(at), Path: path}
		}
	}
	return nil
}

// trouble says what an event did to its service that those who need it may notice, and when that began; "" for nothing.
func trouble(p Event, past []Event) (string, time.Time) {
	switch p.Kind {
	case Paused:
		return "was paused", p.Time
	case Sick:
		return "became unhealthy", p.Time
	case Ended, Crashed, Stopped:
		if at, killed := killBefore(p, past); killed {
			return "was killed", at
		}
		return map[Kind]string{Ended: "ended", Crashed: fmt.Sprintf("died with code %d", p.ExitCode), Stopped: "was stopped"}[p.Kind], p.Time
	case Up, Recovered:
		// Of a container that was replaced the end is not always seen.
		for _, q := range slices.Backward(past) {
			if q.Service == p.Service && q.Replica == p.Replica && q.Container != "" {
				if p.Container != "" && q.Container != p.Container {
					return "was replaced", p.Time
				}
				break
			}
		}
	}
	return "", p.Time
}

// killBefore finds the kill that an end comes from.
func killBefore(p Event, past []Event) (time.Time, bool) {
	for _, q := range slices.Backward(past) {
		if p.Time.Sub(q.Time) >= LikelySpan/2 {
			break
		}
		if q.Service == p.Service && q.Kind == Killed {
			return q.Time, true
		}
	}
	return time.Time{}, false
}

// pathsTo returns for every service that one needs the shortest way to it, both ends included.
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
