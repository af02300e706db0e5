// Package edge keeps who calls whom: the edges that the file declares, and what taps saw on them. It
// owns the counts of one project's edges, from which it makes rates, error shares and quantiles; it
// taps nothing by itself and knows no runtime. The engine feeds it with what the agents tell, and its
// snapshots have the result; it is safe for concurrent use.
package edge

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"

	"bulkhead/engine/agent"
	"bulkhead/engine/fault"
)

// Window is how far back rates, shares and quantiles go.
const Window = 30 * time.Second

// Proves is how long an edge is tapped until not to have seen a call on it means something.
const Proves = time.Minute

// Edge is the calls of one service to another.
type Edge struct {
	From, To string
	Machine  bool      // To is the engine's machine and no service: what runs on it, and published ports
	Declared []string  // how: "depends_on", "links", "calls"; nil: not at all
	Tapped   bool      // at this moment
	Since    time.Time // when it was tapped first; zero: never

	// Since it was tapped first:
	Conns, Refused int
	Kept           int // connections from before the tap, which it does not see
	Sent, Received int64
	Requests       int
	Failed         int       // of Requests: 500 and above, or no answer
	Last           time.Time // when a call was seen last; zero: none was
	Routes         []Route   // the busiest first

	// Of the last Window, or since it was tapped where that is shorter:
	PerSecond float64
	Errors    float64 // share of the requests, 0 to 1
	P50, P95  time.Duration

	Finding Finding
}

// Route is the requests of one kind.
type Route struct {
	Method, Path string
	Requests     int
	Failed       int
	Statuses     map[int]int // 0: no answer
	P50, P95     time.Duration
}

// Finding is what the file and the traffic do not agree on.
type Finding uint8

const (
	FindingNone Finding = iota
	Undeclared          // it is used, and the file does not say so
	Unused              // the file declares it, and nobody calls
)

var findings = [...]string{"", "undeclared", "unused"}

// String returns the word that the JSON uses, "" for none.
func (f Finding) String() string { return findings[f] }

// FindingOf is the finding of a word of the JSON; what it does not know is none.
func FindingOf(word string) Finding { return Finding(max(slices.Index(findings[:], word), 0)) }

// Declared is one edge of the file.
type Declared struct {
	fault.Edge
	By string // "depends_on", "links", "calls"
}

// Table keeps the edges of a project. The zero value is empty.
type Table struct {
	mu   sync.Mutex
	seen map[fault.Edge]*counts
	taps []fault.Edge
}

// counts are those of one edge.
type counts struct {
	Edge
	reported time.Time // when something was reported last
	routes   map[[2]string]*routeCounts
	recent   []second // oldest first
}

type routeCounts struct {
	Route
	took agent.Spread
}

// second is what was sent in one second.
type second struct {
	at            time.Time
	asked, failed int
	took          agent.Spread
}

// Tap notes which edges are tapped from now on.
func (t *Table) Tap(taps []fault.Edge) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.taps = slices.Clone(taps)
}

// Tapping are the edges that are tapped, as they were asked for.
func (t *Table) Tapping() []fault.Edge {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.taps)
}

// Add takes what came over a tapped edge.
func (t *Table) Add(in fault.Tapped) {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.of(in.Edge)
	if c.Since.IsZero() {
		c.Since = in.At
	}
	s := &in.Seen
	c.reported, c.Machine = in.At, in.Machine
	c.Kept = in.Kept
	c.Conns += s.Conns
	c.Refused += s.Refused
	c.Sent += s.Sent
	c.Received += s.Received
	if s.Conns > 0 || len(s.Slices) > 0 {
		c.Last = in.At
	}
	for _, sl := range s.Slices {
		c.Requests += sl.Asked
		c.Failed += sl.Failed
		c.add(in.At.Add(-sl.Age).Truncate(time.Second), &sl)
	}
	for _, r := range s.Routes {
		k := [2]string{r.Method, r.Path}
		to := c.routes[k]
		if to == nil {
			to = &routeCounts{Route: Route{Method: r.Method, Path: r.Path, Statuses: map[int]int{}}}
			c.routes[k] = to
		}
		to.Requests += r.Asked
		to.Failed += r.Failed
		to.took = to.took.Merge(r.Took)
		for status, n := range r.Statuses {
			to.Statuses[status] += n
		}
	}
}

func (t *Table) of(e fault.Edge) *counts {
	if t.seen == nil {
		t.seen = map[fault.Edge]*counts{}
	}
	c := t.seen[e]
	if c == nil {
		c = &counts{Edge: Edge{From: e.From, To: e.To}, routes: map[[2]string]*routeCounts{}}
		t.seen[e] = c
	}
	return c
}

// add books a slice on its second.
func (c *counts) add(at time.Time, sl *agent.Slice) {
	i, found := slices.BinarySearchFunc(c.recent, at, func(s second, at time.Time) int {
		return s.at.Compare(at)
	})
	if !found {
		c.recent = slices.Insert(c.recent, i, second{at: at})
	}
	s := &c.recent[i]
	s.asked += sl.Asked
	s.failed += sl.Failed
	s.took = s.took.Merge(sl.Took)
	// Somewhat more than the window, which ends where the edge was reported last.
	old := slices.IndexFunc(c.recent, func(s second) bool {
		return s.at.After(at.Add(-Window - 5*time.Second))
	})
	c.recent = c.recent[max(old, 0):]
}

// Edges are all edges of a project: those that are declared, and those that were used. They are
// sorted by caller and callee.
func (t *Table) Edges(now time.Time, declared []Declared) []Edge {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := map[fault.Edge]*Edge{}
	for e, c := range t.seen {
		one := c.sum(now)
		all[e] = &one
	}
	for _, d := range declared {
		if all[d.Edge] == nil {
			all[d.Edge] = &Edge{From: d.From, To: d.To}
		}
		if e := all[d.Edge]; !slices.Contains(e.Declared, d.By) {
			e.Declared = append(e.Declared, d.By)
		}
	}
	var out []Edge
	for k, e := range all {
		for _, w := range t.taps {
			e.Tapped = e.Tapped || w.Covers(k)
		}
		used := e.Conns > 0 || e.Kept > 0
		switch {
		case e.Machine: // a file has no way to declare it
		case used && len(e.Declared) == 0:
			e.Finding = Undeclared
		case !used && len(e.Declared) > 0 && !e.Since.IsZero() && e.Tapped && now.Sub(e.Since) >= Proves:
			e.Finding = Unused
		}
		if used || len(e.Declared) > 0 {
			out = append(out, *e)
		}
	}
	slices.SortFunc(out, func(a, b Edge) int {
		return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To))
	})
	return out
}

// sum makes the edge that readers get; nobody writes to it again.
func (c *counts) sum(now time.Time) Edge {
	e := c.Edge
	// Whole seconds that have been reported; what is reported late is waited for no longer than that.
	end := c.reported
	if late := now.Add(-3 * time.Second); end.Before(late) {
		end = late
	}
	end = end.Truncate(time.Second)
	from := end.Add(-Window)
	asked, failed := 0, 0
	var took agent.Spread
	for _, s := range c.recent {
		if !s.at.Before(from) && s.at.Before(end) {
			asked, failed, took = asked+s.asked, failed+s.failed, took.Merge(s.took)
		}
	}
	if asked > 0 {
		long := max(min(end.Sub(c.Since.Truncate(time.Second)), Window), time.Second)
		e.PerSecond = float64(asked) / long.Seconds()
		e.Errors = float64(failed) / float64(asked)
		e.P50, e.P95 = took.Quantile(0.5), took.Quantile(0.95)
	}
	for _, r := range c.routes {
		one := r.Route
		one.Statuses = maps.Clone(r.Statuses)
		one.P50, one.P95 = r.took.Quantile(0.5), r.took.Quantile(0.95)
		e.Routes = append(e.Routes, one)
	}
	slices.SortFunc(e.Routes, func(a, b Route) int {
		return cmp.Or(b.Requests-a.Requests, cmp.Compare(a.Path, b.Path), cmp.Compare(a.Method, b.Method))
	})
	return e
}

// Active says whether anything is tapped, or was.
func (t *Table) Active() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.taps) > 0 || len(t.seen) > 0
}

// Called lists the services that one was seen to call.
func (t *Table) Called(name string) []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var out []string
	for e, c := range t.seen {
		if e.From == name && !c.Machine && (c.Conns > 0 || c.Kept > 0) {
			out = append(out, e.To)
		}
	}
	slices.Sort(out)
	return out
}
