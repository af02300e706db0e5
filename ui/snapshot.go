package ui

import (
	"slices"
	"sort"
	"strings"
	"time"

	"bulkhead/engine"
	"bulkhead/engine/project"
	"bulkhead/ui/duration"
)

// snapshot is the engine's snapshot with the questions that several parts of the screen have about it.
type snapshot struct{ *engine.Snapshot }

// service finds a service by its name; nil for none.
func (s snapshot) service(name string) *engine.Service {
	i, ok := sort.Find(len(s.Services), func(i int) int { return strings.Compare(name, s.Services[i].Name) })
	if !ok {
		return nil
	}
	return &s.Services[i]
}

// replicas is how many replicas a service has or is to have.
func (s snapshot) replicas(name string) int {
	if svc := s.service(name); svc != nil {
		return max(svc.Wanted, len(svc.Replicas))
	}
	return 0
}

// any says whether a service is as asked.
func (s snapshot) any(is func(*engine.Service) bool) bool {
	return slices.ContainsFunc(s.Services, func(svc engine.Service) bool { return is(&svc) })
}

// alive counts the services of which something runs.
func (s snapshot) alive() int {
	n := 0
	for i := range s.Services {
		if alive(&s.Services[i]) {
			n++
		}
	}
	return n
}

// nameWidth is how wide a column of names is, between least and most.
func (s snapshot) nameWidth(least, most int) int {
	n := least
	for i := range s.Services {
		n = min(max(n, width(s.Services[i].Name)), most)
	}
	return n
}

// openLedger is the latest fault if it is not over yet, else nil.
func (s snapshot) openLedger() *engine.Ledger {
	if n := len(s.Ledgers); n > 0 && s.Ledgers[n-1].Closed.IsZero() {
		return &s.Ledgers[n-1]
	}
	return nil
}

// shownLedger is how long the line about a fault that is over stays.
const shownLedger = 20 * time.Second

// freshLedger is the latest fault while its line is worth showing.
func (s snapshot) freshLedger(now time.Time) *engine.Ledger {
	n := len(s.Ledgers)
	if n == 0 {
		return nil
	}
	l := &s.Ledgers[n-1]
	if b := sortBystanders(l); l.Move && len(b.died)+len(b.degraded) == 0 {
		return nil // a save that moves its own service is no news
	}
	if l.Closed.IsZero() || now.Sub(l.Closed) < shownLedger {
		return l
	}
	return nil
}

// stoppings says of each container that is being stopped, for at least some time, how long already
// and how long it may take: "db 3s of 10s".
func (s snapshot) stoppings(now time.Time, least time.Duration) []string {
	var out []string
	for i := range s.Services {
		svc := &s.Services[i]
		for j := range svc.Replicas {
			r := &svc.Replicas[j]
			if r.State != engine.StateStopping || now.Sub(r.Since) < least {
				continue
			}
			who := target{service: svc.Name}
			if len(svc.Replicas) > 1 {
				who.replica = r.Number
			}
			out = append(out, who.String()+" "+stopText(r, now))
		}
	}
	return out
}

// brokenBuild says whether a build did not succeed and no later one for its services did.
func (s snapshot) brokenBuild(b *engine.Build) bool {
	if b.Err == "" || b.Canceled {
		return false
	}
	for i := len(s.Builds) - 1; i >= 0 && s.Builds[i].ID > b.ID; i-- {
		later := &s.Builds[i]
		if later.Kind == b.Kind && slices.Equal(later.Services, b.Services) &&
			!later.Ended.IsZero() && !later.Canceled {
			return false
		}
	}
	return true
}

// relative shortens a path below the project's folder.
func (s snapshot) relative(path string) string {
	if path == s.Dir {
		return "."
	}
	if rest, ok := strings.CutPrefix(path, s.Dir+"/"); ok && s.Dir != "" {
		return "./" + rest
	}
	return path
}

// alive says whether something of a service runs that a signal can reach.
func alive(s *engine.Service) bool {
	switch s.State {
	case engine.StateRunning, engine.StateStarting, engine.StateStopping, engine.StatePaused,
		engine.StateRestarting:
		return true
	}
	return slices.ContainsFunc(s.Replicas, func(r engine.Replica) bool {
		return r.State == engine.StateRunning || r.State == engine.StateStarting ||
			r.State == engine.StatePaused
	})
}

// pendingOf is what a changed Compose file asks for of a service once it is applied: "recreate"; "" for nothing.
func (n snapshot) pendingOf(service string) string {
	if s := n.service(service); s != nil && s.Unapplied && (s.Last == nil || !s.Last.Failed()) {
		return project.Recreate.String() // what failed is the last change else
	}
	if n.Reload == nil || n.Reload.Err != "" {
		return ""
	}
	for _, c := range n.Reload.Changes {
		if c.Service == service {
			return c.Kind.String()
		}
	}
	return ""
}

// downByHand says whether a service is down or paused because the user wanted it so.
func downByHand(s *engine.Service) bool { return s.ByHand && s.State != engine.StateRunning }

// outOfDate says whether files wait to get into a service, or it does not run as the Compose file wants it.
func outOfDate(s *engine.Service) bool { return len(s.Stale) > 0 || len(s.Pending) > 0 || s.Unapplied }

// stoppingReplica is the replica of a service that is being stopped and has the longest to go; nil for none.
func stoppingReplica(s *engine.Service) *engine.Replica {
	var last *engine.Replica
	for i := range s.Replicas {
		if r := &s.Replicas[i]; r.State == engine.StateStopping && !r.StopBy.IsZero() &&
			(last == nil || r.StopBy.After(last.StopBy)) {
			last = r
		}
	}
	return last
}

// stopText says how long a container is being stopped, and of how long it has: "3s of 10s".
func stopText(r *engine.Replica, now time.Time) string {
	text := duration.Age(now.Sub(r.Since))
	if grace := r.StopBy.Sub(r.Since); !r.StopBy.IsZero() && grace > 0 {
		text += " of " + duration.Age(grace.Round(time.Second))
	}
	return text
}

// sinceText says since when a service is in its state, and of a stop how far it is.
func sinceText(s *engine.Service, at string, now time.Time) string {
	if r := stoppingReplica(s); r != nil {
		return " " + stopText(r, now) + ", then killed"
	}
	return " since " + at
}

// orphanText says why a container is an orphan, as far as that is known: the files that made it are
// others, or they do not name its service any more.
func (s *snapshot) orphanText(name string) string {
	i := slices.IndexFunc(s.Orphans, func(o engine.Orphan) bool { return o.Name == name })
	if i < 0 || s.Orphans[i].Files == nil {
		return "not in the Compose file"
	}
	var others []string
	for _, f := range s.Orphans[i].Files {
		if !slices.Contains(s.Files, f) {
			others = append(others, project.Relative(s.Dir, f))
		}
	}
	if len(others) == 0 {
		return "no longer in the Compose file"
	}
	return "made by " + strings.Join(others, ", ")
}
