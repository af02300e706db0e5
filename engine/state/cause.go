package state

import (
	"slices"
	"time"

	"bulkhead/engine/container"
	"bulkhead/engine/fault"
	"bulkhead/engine/logs"
)

const (
	lastWords = 3 * time.Second // before a crash, in which an error is what the program died with
	lineLimit = 120             // runes of a line that goes with a likely cause: the rest stands in the log
)

// changesIt are the actions of a change after which a service runs something else than before.
var changesIt = map[string]fault.EventKind{
	"rebuild": fault.Rebuilt, "sync": fault.Synced, "sync+restart": fault.Synced, "sync+exec": fault.Synced,
	"restart": fault.Restarted,
}

// Copying notes that the change is about to bring files into what runs: a check may fail of the first one.
func (k *Timing) Copying() {
	k.s.st.mu.Lock()
	defer k.s.st.mu.Unlock()
	k.s.st.Ledgers.noteChange(k.s.c.Name, k.c, 0, "", false)
}

// noteChange notes a change for likely causes, of one replica of a service or of all (0). A restart without
// changed files leaves the service what it was; one that replaced its container, for its part of the Compose
// file or for a pulled image, does not.
func (l *Ledgers) noteChange(service string, c *Change, n int, id string, replaced bool) {
	kind := changesIt[c.Action]
	if replaced && (kind == fault.EventUnknown || kind == fault.Restarted) {
		kind = fault.Recreated
	}
	if kind != fault.EventUnknown && (kind != fault.Restarted || len(c.Paths) > 0) {
		l.incident(fault.Event{
			Time: time.Now(), Kind: kind, Service: service, Replica: n, Container: id, Cause: c.Cause,
		})
	}
}

// speaker is one whose errors may explain a trouble.
type speaker struct {
	service string
	replica int           // 0: all
	since   time.Time     // what it logged from then on
	until   time.Time     // and before that; zero: until now
	span    time.Duration // before since, what counts as usual
}

// complaints are the errors that a replica of a service, and the services that it needs, began to log
// shortly before it came to be as in says; none where that is no trouble, or no news. It takes the lock.
func (l *Ledgers) complaints(service string, n int, in container.Instance) []fault.Event {
	store := l.st.o.Logs
	if store == nil {
		return nil
	}
	now := time.Now()
	var out []fault.Event
	for _, who := range l.speakers(service, n, in, now) {
		f := logs.Filter{Services: []string{who.service}, Replica: who.replica, MinLevel: logs.Error,
			Until: who.until}
		if at, line, ok := unusual(store, f, who.since, now, who.span); ok {
			out = append(out, fault.Event{
				Time: at, Kind: fault.Complained, Service: who.service, Replica: who.replica, Line: line.String(),
			})
		}
	}
	return out
}

// speakers lists those whose errors may explain what became of a replica. It takes the lock.
func (l *Ledgers) speakers(service string, n int, in container.Instance, now time.Time) []speaker {
	st := l.st
	st.mu.Lock()
	defer st.mu.Unlock()
	var r *replica
	if s := st.services[service]; s != nil {
		r = s.reps.has(n)
	}
	ended := in.State == container.StateExited || in.State == container.StateRestarting
	crashed := ended && in.ExitCode != 0
	if r == nil || !crashed && in.Health != container.Unhealthy || r.Instance.ID == in.ID &&
		r.Instance.Started.Equal(in.Started) && r.Instance.State == in.State && r.Instance.Health == in.Health {
		return nil
	}
	var out []speaker
	var until time.Time
	if crashed {
		until = in.Finished // those whom it was connected to may complain about its end
		since := now.Add(-lastWords)
		if in.Started.After(since) {
			since = in.Started // the words of the life before are not its own
		}
		out = append(out, newSpeaker(service, n, in.Started, since))
	}
	for _, name := range fault.Needed(service, l.calls) {
		if o := st.known[name]; o != nil {
			who := newSpeaker(name, 0, o.Started(), now.Add(-fault.LikelySpan))
			who.until = until
			out = append(out, who)
		}
	}
	return out
}

// newSpeaker compares what one says since a moment with what it said before, while it ran.
func newSpeaker(service string, n int, started, since time.Time) speaker {
	return speaker{service: service, replica: n, since: since,
		span: max(min(baselineSpan, since.Sub(started)), 0)}
}

// unusual finds the first line that was logged from at until now, when more of them were than usual, by
// what was logged in the span before at. bulkhead's own lines are none.
func unusual(
	store *logs.Store, f logs.Filter, at, now time.Time, span time.Duration,
) (time.Time, fault.Sign, bool) {
	return unusualOf(troubles(store, f, at.Add(-span)), at, now, span)
}

// unusualOf is unusual for lines that were read.
func unusualOf(lines []logs.Line, at, now time.Time, span time.Duration) (time.Time, fault.Sign, bool) {
	split := slices.IndexFunc(lines, func(l logs.Line) bool { return !l.Time.Before(at) })
	if split < 0 || !fault.Unusual(split, span, len(lines)-split, now.Sub(at)) {
		return time.Time{}, fault.Sign{}, false
	}
	text := []rune(string(logs.Plain(nil, lines[split].Text)))
	sign := fault.Sign{Text: string(text)}
	if len(text) > lineLimit {
		sign = fault.Sign{Text: string(text[:lineLimit-1]), Cut: true}
	}
	return lines[split].Time, sign, true
}

// troubles are the lines that a filter lets pass since a moment: what programs wrote, of a stack trace the first.
func troubles(store *logs.Store, f logs.Filter, since time.Time) []logs.Line {
	f.Since = since
	v := store.View(f)
	v.Refresh()
	first, end := v.Bounds()
	return slices.DeleteFunc(v.Lines(first, int(end-first)), func(l logs.Line) bool {
		return l.Seq == 0 || l.Stream == logs.System || logs.Continues(l.Text)
	})
}

// leastHabit is how often a kind of line has to be there before to be one that its service writes anyway.
const leastHabit = 2

// habitual says whether all that was logged from at until now is of kinds that were logged before, in a span, about as
// often.
func habitual(store *logs.Store, f logs.Filter, at, now time.Time, span time.Duration) bool {
	before, since := map[string]int{}, map[string]int{}
	for _, l := range troubles(store, f, at.Add(-span)) {
		counts := before
		if !l.Time.Before(at) {
			counts = since
		}
		counts[logs.Template(string(logs.Plain(nil, l.Text)))]++
	}
	for kind, n := range since {
		if before[kind] < leastHabit || fault.Unusual(before[kind], span, n, now.Sub(at)) {
			return false
		}
	}
	return true
}
