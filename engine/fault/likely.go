package fault

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"
)

// LikelySpan is how long after one service's fault the trouble of another is put down to it: health
// checks need some rounds to notice.
const LikelySpan = 30 * time.Second

// EventKind is what happened to a replica, as those who need its service may notice it.
type EventKind uint8

const (
	EventUnknown EventKind = iota
	Killed                 // on purpose
	Paused                 // on purpose
	Stopped                // it ended because somebody asked for that
	Ended                  // by itself, with exit code 0
	Crashed                // by itself, with another exit code
	Sick                   // its health became unhealthy
	Recovered              // healthy again after it was unhealthy
	Up                     // it started, or runs
	Rebuilt                // it runs, or is to run, from an image that was built again
	Synced                 // changed files were brought into it
	Restarted              // because of changed files
	Recreated              // its container was replaced, for what the Compose file says or for a pulled image
	Complained             // it began to log errors, which it does not do all the time
)

// Event is one thing that happened to a replica.
type Event struct {
	Time      time.Time
	Kind      EventKind
	Service   string
	Replica   int
	Container string // id
	ExitCode  int    // of Crashed
	Ready     bool   // of Up and Recovered: nothing says that it does not work yet
	// Machine says of Sick that its check did not answer in time while the machine was too busy for
	// that; "" mostly.
	Machine string
	Cause   string // of a change (Rebuilt, Synced, Restarted, Recreated): "main.go saved"
	Line    string // of Complained: the first of the errors, without escapes
}

// Likely is what a service's trouble, or its recovery, most likely comes from.
type Likely struct {
	Service string        // "" for the machine that all run on
	Kind    EventKind     // of what happened to Service; EventUnknown of the machine
	What    string        // "was killed", "died with code 1", "was rebuilt (main.go saved)", "came back"
	Before  time.Duration // so long before
	// from the service in trouble to Service, each needing the next; one alone: it is its own
	Path  []string
	Cause string // of a change (Rebuilt, Synced, Restarted, Recreated): "main.go saved"
	// Line is the first error that was logged: by Service, and where that was changed itself and
	// crashed since, right before the crash; "" where nothing of the kind was seen.
	Line string
}

// Own says that the service in trouble has it from what happened to itself.
func (l *Likely) Own() bool { return len(l.Path) == 1 }

// String is the line of the events: "orders was killed, 2.3 s earlier (gateway needs orders)".
func (l *Likely) String() string {
	if l.Service == "" {
		return l.What
	}
	text := fmt.Sprintf("%s %s, %.1f s earlier", l.Service, l.What, l.Before.Seconds())
	if !l.Own() {
		text += " (" + strings.Join(l.Path, " needs ") + ")"
	}
	return text + l.Evidence()
}

// Evidence is the logged line that goes with a cause: `: "out of disk"`; "" where there is none, or
// where the line is the cause.
func (l *Likely) Evidence() string {
	if l.Line == "" || l.Kind == Complained {
		return ""
	}
	return fmt.Sprintf("; logged %q", l.Line)
}

// LikelyCause returns what a service's trouble, or its recovery, most likely comes from: the latest
// thing that happened shortly before, to one of the services that it needs, directly or through
// others, or to itself where that was a change. Errors in a log are the cause only where nothing else
// is known: what was changed or has failed may be the reason for them, whoever logs them. nil when
// nothing of the kind is known: two things that happen one after the other without one needing the
// other have nothing to do with each other as far as anybody can tell. past is sorted by time; needs
// returns the services that one depends on.
func LikelyCause(now Event, past []Event, needs func(string) []string) *Likely {
	if now.Kind != Sick && now.Kind != Crashed && now.Kind != Recovered {
		return nil
	}
	if now.Machine != "" {
		return &Likely{What: now.Machine}
	}
	paths := pathsTo(now.Service, needs)
	paths[now.Service] = []string{now.Service}
	var lines []Event
	for i, p := range slices.Backward(past) {
		if now.Time.Sub(p.Time) > LikelySpan {
			break
		}
		path := paths[p.Service]
		switch {
		case path == nil || p.Time.After(now.Time) || len(path) == 1 && !concerns(p, now):
			continue
		case p.Kind == Complained:
			lines = append(lines, p)
			continue
		}
		what, from := trouble(p, past[:i])
		switch {
		case now.Kind == Recovered && what != "" && !p.Kind.change():
			return nil // it is not that one's coming back
		case now.Kind == Recovered && (p.Kind == Up || p.Kind == Recovered) && p.Ready:
			what = "came back"
		}
		if what != "" {
			return &Likely{Service: p.Service, Kind: from.Kind, What: what,
				Before: now.Time.Sub(from.Time), Path: path,
				Cause: from.Cause, Line: evidence(now, from, past)}
		}
	}
	return complaint(now, lines, paths)
}

// concerns says whether what happened to the service in trouble itself may be why: a change of the
// replica, a pause, in which its checks go unanswered, or what it logged before it died. That it was in
// trouble before explains nothing.
func concerns(p, now Event) bool {
	if p.Replica != 0 && now.Replica != 0 && p.Replica != now.Replica {
		return false
	}
	return p.Kind.change() || p.Kind == Paused || p.Kind == Complained && now.Kind == Crashed
}

// change says that the service is another than before since then.
func (k EventKind) change() bool {
	return k == Rebuilt || k == Synced || k == Restarted || k == Recreated
}

// complaint is the first error that a needed service logged, else the one with which the service in trouble
// died; nil when there is none. lines is sorted backward.
func complaint(now Event, lines []Event, paths map[string][]string) *Likely {
	if now.Kind == Recovered {
		return nil
	}
	var first *Likely
	for _, p := range lines {
		path := paths[p.Service]
		if first == nil || len(path) > 1 || first.Own() {
			first = &Likely{Service: p.Service, Kind: Complained, What: fmt.Sprintf("logged %q", p.Line),
				Before: now.Time.Sub(p.Time), Path: path, Line: p.Line}
		}
	}
	return first
}

// evidence is the first error that the service logged which a cause happened to, where that is no act of
// somebody's will; "" when there is none. A change has it only where it ended in a crash of the same service.
func evidence(now, cause Event, past []Event) string {
	changed := cause.Kind.change() && cause.Service == now.Service && now.Kind == Crashed
	if !changed && cause.Kind != Crashed && cause.Kind != Sick {
		return ""
	}
	for _, p := range past {
		near := now.Time.Sub(p.Time) <= LikelySpan && !p.Time.After(now.Time)
		if p.Kind == Complained && p.Service == cause.Service && near {
			return p.Line
		}
	}
	return ""
}

// trouble says what an event did to its service that those who need it may notice, and with which event
// that began; "" for nothing.
func trouble(p Event, past []Event) (string, Event) {
	switch p.Kind {
	case Paused:
		return "was paused", p
	case Sick:
		return "became unhealthy", p
	case Rebuilt, Synced, Restarted, Recreated:
		what := map[EventKind]string{
			Rebuilt: "was rebuilt", Synced: "was synced", Restarted: "was restarted",
			Recreated: "was recreated",
		}[p.Kind]
		if p.Cause != "" {
			what += " (" + p.Cause + ")"
		}
		return what, p
	case Ended, Crashed, Stopped:
		if kill, killed := killBefore(p, past); killed {
			return "was killed", kill
		}
		return map[EventKind]string{Ended: "ended", Crashed: fmt.Sprintf("died with code %d",
			p.ExitCode), Stopped: "was stopped"}[p.Kind], p
	case Up, Recovered:
		// Of a container that was replaced the end is not always seen.
		for _, q := range slices.Backward(past) {
			if q.Service == p.Service && q.Replica == p.Replica && q.Container != "" {
				if p.Container != "" && q.Container != p.Container {
					return "was replaced", p
				}
				break
			}
		}
	}
	return "", p
}

// killBefore finds the kill that an end comes from.
func killBefore(p Event, past []Event) (Event, bool) {
	for _, q := range slices.Backward(past) {
		if p.Time.Sub(q.Time) >= LikelySpan/2 {
			break
		}
		if q.Service == p.Service && q.Kind == Killed && !q.Time.After(p.Time) {
			return q, true
		}
	}
	return Event{}, false
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

// Needed returns the services that one depends on, directly or through others, sorted.
func Needed(service string, needs func(string) []string) []string {
	return slices.Sorted(maps.Keys(pathsTo(service, needs)))
}

// Needs says whether a service depends on another, directly or through others.
func Needs(service, other string, needs func(string) []string) bool {
	return pathsTo(service, needs)[other] != nil
}

// Unusual says whether a replica that logged so many errors in a span before a fault logs more of
// them in the time since than it does anyway: by more than three times the scatter of what was to
// be expected. One that logged none before is unusual with its first.
func Unusual(before int, span time.Duration, after int, since time.Duration) bool {
	if after == 0 {
		return false
	}
	if before == 0 || span <= 0 {
		return true
	}
	expected := float64(before) * since.Seconds() / span.Seconds()
	return float64(after) > expected+3*math.Sqrt(expected)+1
}
