package engine

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"bulkhead/engine/filesync"
	"bulkhead/engine/journal"
	"bulkhead/engine/project"
)

// openJournal opens what outlives the process, and the file sync that keeps its records there.
func (e *Engine) openJournal(engine string) {
	e.journal = journal.Open(journal.Options{Base: e.opts.StateDir, Engine: engine, Project: e.name, Warn: e.warn})
	e.sync = filesync.New(e.rt, e.journal)
}

// dropRecords forgets a container that is gone.
func (e *Engine) dropRecords(id string) {
	e.journal.Forget(id)
	e.sync.Forget(id)
}

// syncTarget is a container of a service for the file sync.
func syncTarget(s *service, in Instance) filesync.Target {
	return filesync.Target{Service: s.conf, ID: in.ID, ImageID: in.ImageID, Started: in.Started}
}

// catchUp sends a container that does not run what its rules' files have become since it was made or last synced.
func (e *Engine) catchUp(ctx context.Context, s *service, t filesync.Target) error {
	if e.opts.NoWatch || !s.conf.Syncs() {
		return nil
	}
	left, err := e.sync.CatchUp(ctx, t)
	e.mark(s, e.warnLeft(s, left))
	return err
}

// warnLeft warns of the files that a sync left out, once for each reason, and returns their paths.
func (e *Engine) warnLeft(s *service, left []filesync.LeftOut) (paths []string) {
	reasons := map[string]bool{}
	for _, l := range left {
		paths = append(paths, l.Path)
		if l.Why == "" {
			e.warn(fmt.Sprintf("%s: %s cannot be read, so it is not copied; mend its permissions and save it again", s.name, relative(e.dir, l.Path)))
		} else {
			reasons[l.Why] = true
		}
	}
	for _, why := range slices.Sorted(maps.Keys(reasons)) {
		e.warn("copy into " + s.name + ": " + why)
	}
	return paths
}

// missed looks for what changed while nobody watched a container that is kept, and hands it to the lane, or marks it as stale.
func (e *Engine) missed(ctx context.Context, s *service) {
	e.mu.Lock()
	rs := s.held(0)
	e.mu.Unlock()
	for _, h := range rs {
		if h.in.State == StateRunning || h.in.State == StatePaused {
			if err := e.sync.DeleteOwed(ctx, syncTarget(s, h.in)); err != nil && ctx.Err() == nil {
				e.warn(err.Error())
			}
		}
	}
	w := newWork(time.Now())
	e.lookAtAll(ctx, s, w)
	if w.empty() {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if s.mode == project.Auto && !e.opts.NoWatch {
		s.offer(w)
		return
	}
	maps.Copy(s.stale, w.paths)
	e.bump()
}
