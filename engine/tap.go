package engine

import (
	"context"
	"fmt"
	"maps"
	"slices"
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
	asked  []fault.Edge                 // by people
	drills int                          // that run, and tap everything
	takers map[int]func([]fault.Tapped) // who wants to know what comes over them
	next   int
}

// add takes what an agent saw.
func (t *taps) add(all []fault.Tapped) {
	for _, one := range all {
		t.table.Add(one)
	}
	t.mu.Lock()
	takers := slices.Collect(maps.Values(t.takers))
	t.mu.Unlock()
	for _, take := range takers {
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
	asked := tapped(c)
	err := t.change(ctx, func(wanted []fault.Edge) []fault.Edge {
		for _, a := range asked {
			switch {
			case c.Verb == VerbTap && !slices.Contains(wanted, a):
				wanted = append(wanted, a)
			case c.Verb == VerbUntap:
				wanted = slices.DeleteFunc(wanted, a.Covers)
			}
		}
		return wanted
	})
	if err != nil {
		return err
	}
	what := "tapped"
	if c.Verb == VerbUntap {
		what = "not tapped any more"
	}
	r := Record{Kind: "tap", Action: string(c.Verb), Cause: c.Cause, Text: fmt.Sprintf("%s: %s (%s)", what, edge.Calls(asked), c.Cause)}
	if len(c.Services) == 1 {
		r.Service = c.Services[0]
	}
	t.p.State.Record(r)
	return nil
}

// change has other edges tapped: those that f makes of the ones that a person has tapped. What a drill
// taps beside them stays.
func (t *taps) change(ctx context.Context, f func(asked []fault.Edge) []fault.Edge) error {
	var before []fault.Edge
	all, err := t.faults.injector.Load().Tap(ctx, func([]fault.Edge) []fault.Edge {
		t.mu.Lock()
		defer t.mu.Unlock()
		before = t.asked
		t.asked = f(slices.Clone(t.asked))
		if t.drills > 0 && !slices.Contains(t.asked, fault.Edge{}) {
			return append(slices.Clone(t.asked), fault.Edge{})
		}
		return slices.Clone(t.asked)
	})
	if err != nil {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.asked = before
		return err
	}
	t.table.Tap(all)
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

// whole taps everything for as long as a drill runs.
func (t *taps) whole(ctx context.Context) (end func(), err error) {
	count := func(ctx context.Context, n int) error {
		return t.change(ctx, func(asked []fault.Edge) []fault.Edge { t.drills += n; return asked })
	}
	end = func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
		defer cancel()
		if err := count(ctx, -1); err != nil {
			t.p.State.Warn("end the tap: " + firstLine(err))
		}
	}
	if err := count(ctx, 1); err != nil {
		end()
		return nil, err
	}
	return end, nil
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
