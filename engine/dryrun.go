package engine

import (
	"context"
	"errors"

	"bulkhead/engine/plan"
)

// DryRun returns what up would do, and does nothing. It is called in the place of Run.
func (e *Engine) DryRun(ctx context.Context) (plan.Plan, error) {
	info, err := e.rt.Info(ctx)
	if err != nil {
		return nil, err
	}
	e.openJournal(info.ID)
	instances, err := e.rt.Instances(ctx, e.name)
	if err != nil {
		return nil, wrapErr(err, "look at project %s", e.name)
	}
	found := map[string]*Image{}
	for _, s := range e.project().Services {
		img, err := e.rt.Image(ctx, s.Image, s.Config.Platform)
		switch {
		case err == nil:
			found[s.Name] = &img
		case !errors.Is(err, ErrNotFound):
			return nil, wrapErr(err, "look for image %s", s.Image)
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.firstPlan(instances, func(s *service, w *plan.Want) {
		w.Image, w.Recreate = found[s.name], e.opts.Recreate
		switch {
		case s.conf.Built && e.opts.Build == BuildAlways:
			w.Build = "--build"
		case w.Image != nil:
		case s.conf.Built:
			w.Build = "no image"
		default:
			w.Pull = "no image"
		}
	}), nil
}

// firstPlan is what up is going to do as far as is known. image adds what is known of a service's
// image, and may be nil. Callers hold mu.
func (e *Engine) firstPlan(instances []Instance, image func(*service, *plan.Want)) plan.Plan {
	var p plan.Plan
	fresh := map[string]bool{} // services whose first container is going to be another one
	for _, level := range e.p.Order() {
		for _, name := range level {
			s := e.svcs[name]
			w, err := wantOf(e.p, s, nil)
			if err != nil {
				continue // the lane meets the same error and shows it
			}
			seen := plan.Seen{Completed: e.journal.Completed()}
			for _, in := range instances {
				if in.Service == name {
					seen.Instances = append(seen.Instances, in)
				}
			}
			if len(parentNames(s.conf)) > 0 {
				// Its hash has the ids of containers in it, which may be made again first.
				w.Hash = firstHash(seen.Instances, w.Hash)
				w.Joined, w.JoinedWhy = e.joinedLocked(s)
			}
			for _, name := range parentNames(s.conf) {
				if fresh[name] {
					w.Rejoins = "it joins " + name + ", which gets a new container"
				}
			}
			if image != nil {
				image(s, &w)
			}
			steps := plan.Decide(w, seen)
			for _, st := range steps {
				if st.Replica == 1 && (st.Op == plan.Create || st.Op == plan.Recreate) {
					fresh[name] = true
				}
			}
			p = append(p, steps...)
		}
	}
	return append(p, plan.Orphans(e.p, instances)...)
}

func firstHash(seen []Instance, otherwise string) string {
	if len(seen) > 0 {
		return seen[0].Hash
	}
	return otherwise
}
