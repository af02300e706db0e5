package drill

import (
	"slices"
	"strings"
	"time"

	"bulkhead/engine/logs"
)

// A service that sums up what it did every so many seconds writes one line of trouble for all that went
// wrong since the line before: it lasted longer than the line lets see.
const (
	leastRegular = 4      // lines that show an interval
	readRegular  = 20_000 // lines of a service are looked at, the latest
)

// regular are the kinds of lines of a hold that a service writes at regular intervals, at whatever level.
func (r *row) regular(hold *tally, service string) map[string]bool {
	view := r.d.s.Logs().View(logs.Filter{Services: []string{service}, Since: r.injected.Add(-habitSpan),
		Until: r.healed})
	view.Refresh()
	first, end := view.Bounds()
	first = max(first, end-readRegular)
	type kind struct {
		replica int
		text    string
	}
	times := map[kind][]time.Time{}
	for _, l := range view.Lines(first, int(end-first)) {
		if l.Seq != 0 && l.Stream != logs.System {
			k := kind{l.Replica, withoutLevel(logs.Template(string(logs.Plain(nil, l.Text))))}
			times[k] = append(times[k], l.Time)
		}
	}
	out := map[string]bool{}
	for _, l := range hold.lines {
		for k, at := range times {
			if k.text == withoutLevel(l.template) && evenly(at) {
				out[l.template] = true
			}
		}
	}
	return out
}

// levelWords are what lines of the same kind differ by when one tells of trouble.
var levelWords = []string{"debug", "info", "notice", "warn", "warning", "error", "err", "fatal"}

// withoutLevel is a template without the words for its level.
func withoutLevel(template string) string {
	return strings.Join(slices.DeleteFunc(strings.Fields(template), func(word string) bool {
		return slices.Contains(levelWords, strings.ToLower(word))
	}), " ")
}

// evenly says whether moments, the first first, come at regular intervals of a second and more. A quarter of
// them may be off: a busy machine is late.
func evenly(at []time.Time) bool {
	if len(at) < leastRegular {
		return false
	}
	var gaps []time.Duration
	for i := range at[1:] {
		gaps = append(gaps, at[i+1].Sub(at[i]))
	}
	slices.Sort(gaps)
	usual := gaps[len(gaps)/2]
	off := 0
	for _, g := range gaps {
		if g < usual*3/4 || g > usual*5/4 {
			off++
		}
	}
	return usual >= time.Second && off*4 <= len(gaps)
}
