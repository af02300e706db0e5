package engine

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"bulkhead/engine/container"
	"bulkhead/engine/lane"
	"bulkhead/engine/plan"
	"bulkhead/engine/project"
	"bulkhead/engine/step"
)

// DryRun returns what up would do, and does nothing. It is called in the place of Run. What up decides
// only once something else is done is as far as it can be known before. An error says what up would
// meet; the plan is there all the same.
func (e *Engine) DryRun(ctx context.Context) (plan.Plan, error) {
	rt, name := e.parts.Runtime, e.parts.Name
	info, err := rt.Info(ctx)
	if err != nil {
		return nil, err
	}
	e.open(info)
	instances, err := rt.Instances(ctx, name)
	if err != nil {
		return nil, container.WrapErr(err, "look at project %s", name)
	}
	d := dryRun{p: e.parts}
	var errs []error
	gone, _, _ := e.commands.sweep.Orphaned(ctx, instances, e.opts.RemoveOrphans)
	first := newFirstPlan(e.project(), gone, func(p plan.Plan) { d.plan = p })
	for _, s := range e.project().Services {
		o, err := e.parts.OutlookOf(ctx, s, of(s.Name, instances))
		errs = append(errs, err)
		first.add(s.Name, &o.Outlook)
	}
	return append(d.plan, d.files(ctx)...), container.Join(errs...)
}

// of returns the containers of one service.
func of(service string, all []Instance) []Instance {
	return slices.DeleteFunc(slices.Clone(all), func(in Instance) bool { return in.Service != service })
}

// dryRun is the plan that is printed.
type dryRun struct {
	p    *lane.Parts
	plan plan.Plan
}

// files is what is copied into the containers that stay, because it changed while nobody watched.
func (d *dryRun) files(ctx context.Context) plan.Plan {
	var out plan.Plan
	for _, st := range d.plan.Only(plan.Keep) {
		s, m := d.p.State.Project().Service(st.Service), d.p.State.Member(st.Service)
		if s == nil || m == nil || d.p.NoWatch || st.Seen.State != container.StateRunning || !m.Files.Automatic() {
			continue
		}
		l := plan.Lack{Replica: st.Replica, Seen: st.Seen}
		var paths []string
		for i, of := range d.p.Sync.Rescan(ctx, step.Target(s, st.Seen)) {
			l.Rules, paths = append(l.Rules, i), append(paths, of...)
		}
		slices.Sort(paths)
		l.Differs = len(paths) > 0
		cause := fmt.Sprintf("changed while nobody watched: %s", plan.FileCount(len(slices.Compact(paths))))
		out = append(out, plan.DecideFiles(s, []plan.Lack{l}, false, cause)...)
	}
	return out
}

// firstPlan gathers what the first up of each service begins with, and hands the plan of all over once
// it has that of the last one. Its methods may be called from any goroutine.
type firstPlan struct {
	of   *project.Project
	gone plan.Plan // the removal of orphans
	done func(plan.Plan)

	mu   sync.Mutex
	left map[string]bool // the services that are not known yet
	by   map[string]plan.Outlook
}

// newFirstPlan makes one. done is called once, at once where there are no services.
func newFirstPlan(p *project.Project, gone plan.Plan, done func(plan.Plan)) *firstPlan {
	f := &firstPlan{of: p, gone: gone, done: done, left: map[string]bool{}, by: map[string]plan.Outlook{}}
	for _, s := range p.Services {
		f.left[s.Name] = true
	}
	f.doneLocked()
	return f
}

// add takes what is known of a service; nil: it came to nothing. The first answer counts.
func (f *firstPlan) add(service string, o *plan.Outlook) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.left[service] {
		return
	}
	delete(f.left, service)
	if o != nil {
		f.by[service] = *o
	}
	f.doneLocked()
}

func (f *firstPlan) doneLocked() {
	if len(f.left) == 0 {
		f.done(plan.First(f.of, f.by, f.gone))
	}
}
