package engine

import (
	"context"
	"slices"
	"strings"

	"bulkhead/engine/plan"
)

// takeExtra makes one of the extra containers the one that its replica holds; the one that was held becomes extra in its place.
func (e *Engine) takeExtra(s *service, in Instance) {
	e.mu.Lock()
	if r := s.reps[in.Replica]; r != nil && r.inst.ID != "" {
		s.extra = append(s.extra, r.inst)
	}
	e.mu.Unlock()
	e.dropExtra(s, in.ID)
	e.adopt(s, in.Replica, in, "")
}

// dropExtra forgets an extra container.
func (e *Engine) dropExtra(s *service, id string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	s.extra = slices.DeleteFunc(s.extra, func(in Instance) bool { return in.ID == id })
}

// restoreNames gives containers that a swap named for its own time, and that was cut short, the name that they were to have.
func (e *Engine) restoreNames(ctx context.Context, s *service, steps plan.Plan, spec func(int) CreateSpec) error {
	for _, st := range steps {
		if st.Seen.ID == "" || st.Op == plan.Remove || st.Op == plan.Recreate { // a swap names what it makes
			continue
		}
		name := containerName(spec(st.Replica))
		if !strings.HasSuffix(st.Seen.Name, "_"+name) && st.Seen.Name != name+"_"+short(st.Seen.ID) {
			continue
		}
		if err := e.rt.Rename(ctx, st.Seen.ID, name); err != nil {
			return say(err, "rename %s", st.Seen.Name)
		}
		if err := e.refresh(ctx, s, st.Seen.ID, ""); err != nil {
			return err
		}
	}
	return nil
}
