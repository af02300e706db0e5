package engine

import (
	"context"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"time"

	"bulkhead/engine/filesync"
	"bulkhead/engine/journal"
	"bulkhead/engine/plan"
	"bulkhead/engine/project"
	"bulkhead/engine/step"
)

// openJournal opens what outlives the process, the file sync that keeps its records there, and the runner of steps.
func (e *Engine) openJournal(engine string) {
	e.journal = journal.Open(journal.Options{Base: e.opts.StateDir, Engine: engine, Project: e.name, Warn: e.warn})
	e.sync = filesync.New(e.rt, e.journal)
	// A start costs the engine about 200 ms of CPU; more than two a core at a time only make the rest crawl.
	e.steps = step.New(step.Options{Runtime: e.rt, Sync: e.sync, Journal: e.journal, Host: host{e}, Slots: max(2, 2*runtime.NumCPU()), NoSync: e.opts.NoWatch})
}

// dropRecords forgets a container that is gone.
func (e *Engine) dropRecords(id string) {
	e.journal.Forget(id)
	e.sync.Forget(id)
}

// warnLeft warns of the files that a sync left out, once for each reason, and
// returns their paths.
func (l *lane) warnLeft(left []filesync.LeftOut) (paths []string) {
	e, s := l.e, l.s
	reasons := map[string]bool{}
	for _, l := range left {
		paths = append(paths, l.Path)
		if l.Why == "" {
			e.warn(fmt.Sprintf("%s: %s cannot be read, so it is not copied; mend its permissions and save it again", s.name, project.Relative(e.dir, l.Path)))
		} else {
			reasons[l.Why] = true
		}
	}
	for _, why := range slices.Sorted(maps.Keys(reasons)) {
		e.warn("copy into " + s.name + ": " + why)
	}
	return paths
}

// catchUpMissed looks for what changed while nobody watched a container that is kept,
// and hands it to the lane, or marks it as stale.
func (l *lane) catchUpMissed(ctx context.Context) {
	e, s := l.e, l.s
	e.mu.Lock()
	rs := s.replicaRefs(0)
	e.mu.Unlock()
	for _, h := range rs {
		if h.in.State == StateRunning || h.in.State == StatePaused {
			if err := e.sync.DeleteOwed(ctx, step.Target(s.conf, h.in)); err != nil && ctx.Err() == nil {
				e.warn(err.Error())
			}
		}
	}
	w := plan.NewWork(time.Now())
	l.rescan(ctx, w)
	if w.Empty() {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if s.mode == project.Auto && !e.opts.NoWatch {
		s.offer(w)
		return
	}
	maps.Copy(s.stale, w.Paths)
	e.bump()
}
