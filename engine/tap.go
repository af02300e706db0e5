package engine

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"bulkhead/engine/drill"
	"bulkhead/engine/edge"
	"bulkhead/engine/fault"
	"bulkhead/engine/lane"
	"bulkhead/engine/project"
)

// taps is what the engine keeps of tapped edges. Its methods may be called from any goroutine.
type taps struct {
	p      *lane.Parts
	faults *faults
	known  func(Command) ([]*lane.Lane, error) // an error for services that the project does not have
	table  edge.Table

	mu     sync.Mutex
	takers map[int]func([]fault.Tapped) // who wants to know what comes over them
	next   int
}

// add takes what an agent saw.
func (t *taps) add(all []fault.Tapped) {
	for _, one := range all {
		t.table.Add(one)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, take := range t.takers {
		take(all)
	}
	t.p.State.Touch()
}

// follow hands what comes over tapped edges to take, until ctx ends. take must not wait.
func (t *taps) follow(ctx context.Context, take func([]fault.Tapped)) {
	t.mu.Lock()
	if t.takers == nil {
		t.takers = map[int]func([]fault.Tapped){}
	}
	n := t.next
	t.next++
	t.takers[n] = take
	t.mu.Unlock()
	<-ctx.Done()
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.takers, n)
}

// show adds the edges to a snapshot.
func (t *taps) show(n *Snapshot) {
	n.Tapping = t.table.Tapping()
	if len(n.Tapping) == 0 && !t.table.Active() {
		return
	}
	var declared []edge.Declared
	for i := range n.Services {
		declared = append(declared, declaredBy(&n.Services[i].Config)...)
	}
	n.Edges = t.table.Edges(n.Time, declared)
}

// called lists the services that one was seen to call.
func (t *taps) called(name string) []string { return t.table.Called(name) }

// do has edges tapped from now on, or no more.
func (t *taps) do(ctx context.Context, c Command) error {
	for _, name := range append(slices.Clone(c.Services), c.From) {
		if name == "" {
			continue
		}
		if _, err := t.known(Command{Verb: c.Verb, Services: []string{name}}); err != nil {
			return err
		}
	}
	asked, wanted := tapped(c), t.faults.injector.Load().Tapping()
	for _, a := range asked {
		switch {
		case c.Verb == VerbTap && !slices.Contains(wanted, a):
			wanted = append(wanted, a)
		case c.Verb == VerbUntap:
			wanted = slices.DeleteFunc(wanted, a.Covers)
		}
	}
	if err := t.set(ctx, wanted); err != nil {
		return err
	}
	r := Record{Kind: "tap", Action: string(c.Verb), Cause: c.Cause, Text: fmt.Sprintf("%s (%s)", tapText(asked, c.Verb), c.Cause)}
	if len(c.Services) == 1 {
		r.Service = c.Services[0]
	}
	t.p.State.Record(r)
	return nil
}

// set has these edges tapped, and no others.
func (t *taps) set(ctx context.Context, wanted []fault.Edge) error {
	if slices.Equal(t.faults.injector.Load().Tapping(), wanted) {
		return nil
	}
	if err := t.faults.injector.Load().Tap(ctx, wanted); err != nil {
		return err
	}
	t.table.Tap(wanted)
	t.p.State.Touch()
	return nil
}

// tapped are the edges that a command is about: those from and to each of its services, or from one
// alone; without services all.
func tapped(c Command) []fault.Edge {
	if len(c.Services) == 0 {
		return []fault.Edge{{From: c.From}}
	}
	var out []fault.Edge
	for _, name := range c.Services {
		if c.From != "" {
			out = append(out, fault.Edge{From: c.From, To: name})
			continue
		}
		out = append(out, fault.Edge{To: name}, fault.Edge{From: name})
	}
	return out
}

func tapText(edges []fault.Edge, verb Verb) string {
	var names []string
	for _, e := range edges {
		switch {
		case e.From == "" && e.To == "":
			names = append(names, "all calls")
		case e.From == "":
			names = append(names, "calls to "+e.To)
		case e.To == "":
			names = append(names, "calls of "+e.From)
		default:
			names = append(names, fmt.Sprintf("calls %s → %s", e.From, e.To))
		}
	}
	what := "tapped: "
	if verb == VerbUntap {
		what = "not tapped any more: "
	}
	return what + strings.Join(names, ", ")
}

// declaredBy are the edges of the file that begin at a service.
func declaredBy(s *project.Service) []edge.Declared {
	d := drill.Service{}
	declare(&d, s)
	var out []edge.Declared
	for _, of := range []struct {
		by string
		to []string
	}{{"depends_on", d.DependsOn}, {"links", d.Links}, {"calls", d.Calls}} {
		for _, to := range of.to {
			out = append(out, edge.Declared{Edge: fault.Edge{From: s.Name, To: to}, By: of.by})
		}
	}
	return out
}

// whole taps everything for as long as a drill runs, where it was not tapped before.
func (t *taps) whole(ctx context.Context) (end func(), err error) {
	all, before := fault.Edge{}, t.faults.injector.Load().Tapping()
	if slices.Contains(before, all) {
		return func() {}, nil
	}
	if err := t.set(ctx, append(before, all)); err != nil {
		return nil, err
	}
	return func() {
		tidy, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
		defer cancel()
		wanted := slices.DeleteFunc(t.faults.injector.Load().Tapping(), func(o fault.Edge) bool { return o == all })
		if err := t.set(tidy, wanted); err != nil {
			t.p.State.Warn("end the tap: " + firstLine(err))
		}
	}, nil
}

// tappedFor is what came over an edge as a drill takes it.
func tappedFor(in *fault.Tapped) drill.Tapped {
	out := drill.Tapped{From: in.From, To: in.To, At: in.At}
	for _, s := range in.Seen.Slices {
		slice := drill.TappedSlice{At: in.At.Add(-s.Age), Asked: s.Asked + s.Refused, Failed: s.Failed + s.Refused}
		for bucket, n := range s.Took {
			slice.Took = append(slice.Took, drill.Took{Time: s.Took.Of(bucket), Count: n})
		}
		out.Slices = append(out.Slices, slice)
	}
	for _, b := range in.Seen.Bad {
		why := b.Why
		if b.Status != 0 {
			why = fmt.Sprintf("it answered %d", b.Status)
		}
		if b.Method != "" {
			why = b.Method + " " + b.Path + ": " + why
		}
		sent := in.At.Add(-b.Age)
		out.Bad = append(out.Bad, drill.TappedBad{Sent: sent, Done: sent.Add(b.Took), Text: in.From + " → " + in.To + " " + why})
	}
	return out
}
