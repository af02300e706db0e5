package fault

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"bulkhead/engine/agent"
	"bulkhead/engine/container"
)

// tapKind stands on disk while edges are tapped, so that what a process which died has left in
// network namespaces is removed as a fault's rules are. It is in no catalogue: a tap breaks nothing.
var tapKind = Kind{Name: "tap", Scope: ScopeEdge, Needs: []Need{NeedAgent, NeedNAT},
	method: traffic{does: agent.Tap}}

// Edge is the calls of one service to another, or to the machine that they run on.
type Edge struct {
	From string `json:"from"` // "": of any service
	To   string `json:"to"`   // "": to any service
}

// Machine stands for a callee: the engine's machine, with what runs on it and the ports that are
// published there. Calls to it are tapped and never faulted. A service of that name is itself.
const Machine = "host"

// machineRule begins the ids of the rules that tap calls to the machine.
const machineRule = "tap-machine:"

// Covers says whether an edge is one that is meant.
func (e Edge) Covers(o Edge) bool {
	return (e.From == "" || e.From == o.From) && (e.To == "" || e.To == o.To)
}

// Tapped is what came over one tapped edge.
type Tapped struct {
	Edge
	Machine bool      // To is the machine, not a service of that name
	At      time.Time // when it was reported; the ages in Seen go back from there
	Seen    agent.Seen
	Kept    int // connections from before the tap, which it does not see
}

// taps are the edges that are tapped. Those who change wanted hold Injector.working and mu, so either
// is enough to read it; mu is taken last.
type taps struct {
	project string
	disk    disk
	tapped  func([]Tapped) // may be nil
	entry   *entry         // on disk; nil: nothing is tapped; guarded by Injector.working

	mu     sync.Mutex
	wanted []Edge
	rules  map[string]Edge
	kept   map[string]map[site]int // by rule
}

// Tap has other edges tapped from now on: those that change returns of the ones that are. Without any
// nobody's calls are looked at. It returns them once that is so. What comes over them is handed to
// Options.Tapped each second.
func (r *Injector) Tap(ctx context.Context, change func(now []Edge) []Edge) ([]Edge, error) {
	if err := r.working.lock(ctx); err != nil {
		return nil, &container.Error{What: "tap", Err: err}
	}
	defer r.working.Unlock()
	edges := change(slices.Clone(r.taps.wanted))
	if slices.Equal(edges, r.taps.wanted) {
		return edges, nil
	}
	return edges, r.tap(ctx, edges)
}

// tap has these edges tapped, and no others. Callers hold working.
func (r *Injector) tap(ctx context.Context, edges []Edge) error {
	if len(edges) > 0 {
		if why := tapKind.Lacking(r.rt.Caps); why != "" {
			return &container.Error{What: "tap", Why: why, Err: container.ErrUnsupported}
		}
		if !agent.Built() {
			return &container.Error{What: "tap", Err: agent.ErrNotBuilt}
		}
	}
	before := r.taps.wanted
	r.taps.want(slices.Clone(edges))
	err := r.taps.note()
	if err == nil {
		err = r.net.update(ctx, r, nil)
	}
	if err != nil && len(edges) > len(before) {
		undo, cancel := context.WithTimeout(context.WithoutCancel(ctx), healLimit)
		defer cancel()
		r.taps.want(before)
		err = errors.Join(err, r.net.update(undo, r, nil), r.taps.note())
	}
	if len(r.taps.wanted) == 0 {
		r.taps.forget()
	}
	nudge(r.wake)
	if err != nil {
		return &container.Error{What: "tap", Err: err}
	}
	return nil
}

// tapping are the edges that are tapped, as they were asked for.
func (t *taps) tapping() []Edge {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.wanted)
}

// want changes what is tapped. Callers hold working.
func (t *taps) want(edges []Edge) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.wanted = edges
}

// note writes down that something is tapped. Callers hold working.
func (t *taps) note() error {
	if len(t.wanted) == 0 {
		return nil
	}
	if t.entry == nil {
		t.entry = &entry{Fault: Fault{ID: newID(), Kind: tapKind.Name, Service: t.project},
			Began: time.Now(), Owner: thisOwner()}
	}
	return t.disk.write(t.entry)
}

// remember writes down where edges are about to be tapped. Callers hold working.
func (t *taps) remember(at site) {
	if t.entry == nil || slices.Contains(t.entry.Sites, at.owner) {
		return
	}
	t.entry.Sites = append(t.entry.Sites, at.owner)
	_ = t.disk.write(t.entry) // it is there, and the agent's heartbeat heals all the same
}

// owns says whether an entry on disk is that of these taps. Callers hold working.
func (t *taps) owns(id string) bool { return t.entry != nil && t.entry.Fault.ID == id }

// forget forgets what was tapped. Callers hold working.
func (t *taps) forget() {
	if t.entry != nil {
		t.disk.remove(t.entry.Fault.ID)
		t.entry = nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.rules, t.kept = nil, nil
}

// plan adds the rules of all tapped edges to the work of the sites that the calls come from. Callers
// hold working.
func (t *taps) plan(places []place, wanted map[site]*work, rules map[string]Edge) {
	if len(t.wanted) == 0 {
		return
	}
	names := ownersOf(places)
	if !slices.Contains(names, Machine) {
		t.planMachine(places, names, wanted, rules)
	}
	for _, to := range names {
		hit := slices.DeleteFunc(slices.Clone(places), func(p place) bool {
			return p.Service != to || p.err != nil
		})
		for _, from := range names {
			e := Edge{From: from, To: to}
			if from == to || !slices.ContainsFunc(t.wanted, func(w Edge) bool { return w.Covers(e) }) {
				continue
			}
			rule := agent.Rule{ID: "tap:" + from + ":" + to, Does: agent.Tap, To: prefixes(hit)}
			for _, p := range places {
				if p.Service != from || p.err != nil || len(rule.To) == 0 || !meets(p, hit) ||
					slices.ContainsFunc(hit, func(h place) bool { return h.site == p.site }) {
					continue
				}
				addTap(p, rule, wanted)
				rules[rule.ID] = e
			}
		}
	}
}

// planMachine adds the rules of the edges to the machine. Its addresses are those of each caller's own networks.
func (t *taps) planMachine(places []place, names []string, wanted map[site]*work, rules map[string]Edge) {
	for _, p := range places {
		e := Edge{From: p.Service, To: Machine}
		if p.err != nil || len(p.machine) == 0 || !slices.Contains(names, p.Service) ||
			!slices.ContainsFunc(t.wanted, func(w Edge) bool { return w.Covers(e) }) {
			continue
		}
		rule := agent.Rule{ID: machineRule + p.Service, Does: agent.Tap, To: single(p.machine)}
		addTap(p, rule, wanted)
		rules[rule.ID] = e
	}
}

// addTap adds a rule to the work at a place.
func addTap(p place, rule agent.Rule, wanted map[site]*work) {
	w := wanted[p.site]
	if w == nil {
		w = &work{place: p}
		wanted[p.site] = w
	}
	if !slices.ContainsFunc(w.rules, func(o agent.Rule) bool { return o.ID == rule.ID }) {
		w.rules, w.taps = append(w.rules, rule), true
	}
}

// ownersOf lists the services that have a network namespace of their own. The calls of those that
// live in it cannot be distinguished from the owner's, nor can the calls to them.
func ownersOf(places []place) []string {
	var out []string
	for _, p := range places {
		if p.err == nil && p.owner == p.ID {
			out = append(out, p.Service)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// take takes what an agent counted on tapped edges.
func (t *taps) take(at site, counts []agent.Count, seen []agent.Seen) {
	if t.tapped == nil {
		return
	}
	now := time.Now()
	var out []Tapped
	t.mu.Lock()
	for _, c := range counts {
		e, is := t.rules[c.ID]
		if !is {
			continue
		}
		if t.kept == nil {
			t.kept = map[string]map[site]int{}
		}
		if t.kept[c.ID] == nil {
			t.kept[c.ID] = map[site]int{}
		}
		t.kept[c.ID][at] = c.Kept
		one := Tapped{Edge: e, Machine: strings.HasPrefix(c.ID, machineRule), At: now}
		for _, n := range t.kept[c.ID] {
			one.Kept += n
		}
		if i := slices.IndexFunc(seen, func(s agent.Seen) bool { return s.ID == c.ID }); i >= 0 {
			one.Seen = seen[i]
		}
		out = append(out, one)
	}
	t.mu.Unlock()
	slices.SortFunc(out, func(a, b Tapped) int { return strings.Compare(a.From+" "+a.To, b.From+" "+b.To) })
	if len(out) > 0 {
		t.tapped(out)
	}
}

// setRules has the counts of these rules taken from now on.
func (t *taps) setRules(rules map[string]Edge) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.rules = rules
	for id := range t.kept {
		if _, is := rules[id]; !is {
			delete(t.kept, id)
		}
	}
}
