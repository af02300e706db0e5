package lane

import (
	"context"
	"errors"
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
	w := plan.NewWork(time.Now())
	carriesOut := l.m.Files.Automatic() && !e.NoWatch
	for _, h := range l.m.Holders(0) {
		if h.Instance.State == container.StateRunning || h.Instance.State == container.StatePaused {
			if err := l.deleteOwed(ctx, h.Instance, w, carriesOut); err != nil && ctx.Err() == nil {
				e.State.Warn(err.Error())
			}
		}
	}
	l.rescan(ctx, w)
	if w.Empty() {
		return
	}
	w.Lost = w.Prepare // no path asks for it, and the lane would take it for prepare's own writing
	if carriesOut {
		l.q.Offer(w)
		return
	}
	l.m.Files.MarkStale(slices.Collect(maps.Keys(w.Paths))...)
}

// deleteOwed deletes in a container that somebody else started what could not be deleted while it did not
// run. What the rules want done then is added to w, or with commands, done.
func (l *worker) deleteOwed(ctx context.Context, in container.Instance, w *plan.Work, commands bool) error {
	gone, err := l.p.Sync.DeleteOwed(ctx, step.Target(l.conf, in))
	if err != nil {
		return err
	}
	for i, files := range gone {
		switch rule := &l.conf.Rules[i]; {
		case rule.Action == project.SyncRestart:
			w.Restart = true
			for _, file := range files {
				w.Paths[file] = struct{}{}
			}
		case commands:
			err = errors.Join(err, l.p.Steps.RuleExec(ctx, l.unit(), in.ID, rule))
		}
	}
	return err
}
