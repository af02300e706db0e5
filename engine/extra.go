package engine

import (
	"context"
	"slices"
	"strings"
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
func (e *Engine) restoreNames(ctx context.Context, s *service, steps plan, spec func(int) CreateSpec) error {
	for _, st := range steps {
		if st.seen.ID == "" || st.op == opRemove || st.op == opRecreate { // a swap names what it makes
			continue
		}
		name := containerName(spec(st.replica))
		if !strings.HasSuffix(st.seen.Name, "_"+name) && st.seen.Name != name+"_"+short(st.seen.ID) {
			continue
		}
		if err := e.rt.Rename(ctx, st.seen.ID, name); err != nil {
			return say(err, "rename %s", st.seen.Name)
		}
		if err := e.refresh(ctx, s, st.seen.ID, ""); err != nil {
			return err
		}
	}
	return nil
}
