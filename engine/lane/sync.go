package lane

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"bulkhead/engine/container"
	"bulkhead/engine/filesync"
	"bulkhead/engine/plan"
	"bulkhead/engine/project"
	"bulkhead/engine/step"
)

// WarnLeft warns of the files that a sync left out, once for each reason, and
// returns their paths.
func (l *Lane) WarnLeft(left []filesync.LeftOut) (paths []string) {
	reasons := map[string]bool{}
	for _, f := range left {
		paths = append(paths, f.Path)
		if f.Said {
			continue
		}
		if f.Why == "" {
			l.p.State.Warn(
				fmt.Sprintf("%s: %s cannot be read, so it is not copied; mend its permissions and save it again", l.Name, project.Relative(l.p.Dir, f.Path)))
		} else {
			reasons[f.Why] = true
		}
	}
	for _, why := range slices.Sorted(maps.Keys(reasons)) {
		l.p.State.Warn("copy into " + l.Name + ": " + why)
	}
	return paths
}

// catchUpMissed looks for what changed while nobody watched a container that is kept,
// and hands it to the lane, or marks it as stale.
func (l *worker) catchUpMissed(ctx context.Context) {
	e := l.p
	for _, h := range l.m.Holders(0) {
		if h.Instance.State == container.StateRunning || h.Instance.State == container.StatePaused {
			if err := e.Sync.DeleteOwed(ctx, step.Target(l.conf, h.Instance)); err != nil && ctx.Err() == nil {
				e.State.Warn(err.Error())
			}
		}
	}
	w := plan.NewWork(time.Now())
	l.rescan(ctx, w)
	if w.Empty() {
		return
	}
	w.Lost = w.Prepare // no path asks for it, and the lane would take it for prepare's own writing
	if l.m.Files.Automatic() && !e.NoWatch {
		l.q.Offer(w)
		return
	}
	l.m.Files.MarkStale(slices.Collect(maps.Keys(w.Paths))...)
}
