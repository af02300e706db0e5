// Package lane has the lanes of a project, one per service: a Lane is the queue of a service's tasks, and
// carries them out one after the other. It gathers what is wanted and what is seen, has plan decide, and
// walks the plan: images, containers, copies, restarts, hooks, in their order. It owns what waits in the
// queue and what is being done; what is known of services it leaves to engine/state, and what is done to
// containers to engine/step. The engine makes tasks of commands, files and events and hands them over.
package lane

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"

	"bulkhead/engine/command"
	"bulkhead/engine/condition"
	"bulkhead/engine/container"
	"bulkhead/engine/plan"
	"bulkhead/engine/project"
	"bulkhead/engine/state"
	"bulkhead/engine/step"
)

// errSuperseded ends a prepare or a build whose inputs changed while it ran; the work is begun
// again with the newer paths.
var errSuperseded = errors.New("superseded by a newer change")

// maxRebuildRestarts is how often a build or a prepare of one task is begun again because of newer
// changes; after that it is let through, so that a file that never stops changing does not keep its
// service from ever coming up. What came meanwhile is done next.
const maxRebuildRestarts = 3

// ErrAborted ends a task because the user wants the service stopped.
var ErrAborted = errors.New("stopped by you")

// errEnds ends a task because Run ends.
var errEnds = errors.New("interrupted, because bulkhead ends")

// Lane is the queue of one service. Its own goroutine alone takes from it, and says to the state what
// it is at each time that changes. Its methods may be called from any goroutine.
type Lane struct {
	M    *state.Member
	Name string
	p    *Parts
	wake chan struct{} // capacity 1

	mu        sync.Mutex
	queue     []*Task
	work      *plan.Work // merged batches that wait for the queue to be empty
	retries   retries
	busy      *Task
	cancel    context.CancelCauseFunc // ends busy
	image     context.CancelCauseFunc // ends the prepare or build in progress; nil when there is none
	imaging   bool
	preparing bool  // what is in progress is the prepare
	closed    error // why no more tasks are taken; nil while they are
}

// newLane makes the lane of a service.
func newLane(p *Parts, m *state.Member) *Lane {
	return &Lane{M: m, Name: m.Name(), p: p, wake: make(chan struct{}, 1)}
}

// statusLocked is what the lane is at. Callers hold mu.
func (l *Lane) statusLocked() condition.Lane {
	n := len(l.queue)
	s := condition.Lane{Busy: l.busy != nil, Queued: n, Imaging: l.imaging, Renewing: n > 0 &&
		l.queue[n-1].Verb == Renew,
		Arriving: l.busy.brings() || slices.ContainsFunc(l.queue, (*Task).brings)}
	if t := l.busy; t != nil {
		s.First, s.Remaking = t.First, t.Verb == Batch || t.Verb == command.Rebuild
	}
	return s
}

// Enqueue puts a task at the end of the lane.
func (l *Lane) Enqueue(t *Task) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed != nil {
		t.finish(l.closed)
		return
	}
	l.queue = append(l.queue, t)
	l.M.Lane.Set(l.statusLocked())
	l.Nudge()
}

// Nudge has the lane look at its queue and its work again.
func (l *Lane) Nudge() {
	select {
	case l.wake <- struct{}{}:
	default: // the lane is going to look anyway
	}
}

// Abort ends what the lane is doing and forgets what waits in it, because something harsher comes.
func (l *Lane) Abort(why error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if errors.Is(why, ErrAborted) && (l.busy.brings() || slices.ContainsFunc(l.queue, (*Task).brings)) {
		l.M.Lane.CallOff()
	}
	for _, t := range l.queue {
		t.finish(why)
	}
	l.queue = nil
	if l.cancel != nil {
		l.cancel(why)
	}
	l.M.Lane.Set(l.statusLocked())
}

// close takes no more tasks; those that wait are answered with why.
func (l *Lane) close(why error) {
	l.mu.Lock()
	l.closed = why
	l.mu.Unlock()
	l.Abort(why)
}

// Offer merges the work of a batch into the lane. A prepare or a build in progress whose inputs
// changed is begun again.
func (l *Lane) Offer(w *plan.Work) {
	if l.dropOwn(l.M.Conf(), w); w.Empty() {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.offerLocked(w)
}

// dropOwn takes away what only the files ask for that the service's prepare wrote, and that are
// carried out already: what the command ran with, and what the image was or is being built of.
func (l *Lane) dropOwn(conf *project.Service, w *plan.Work) {
	if conf.Extra.Prepare == nil || w.Lost {
		return
	}
	imageID := ""
	if img := l.M.Known().Image; img != nil {
		imageID = img.ID
	}
	paths := slices.Collect(maps.Keys(w.Paths))
	w.Prepare = w.Prepare && l.p.Sync.Prepares.Asks(conf, paths)
	if w.Rebuild && !w.Prepare && l.p.Sync.BuiltOf(conf, imageID, paths) {
		w.Rebuild = false
	}
}

func (l *Lane) offerLocked(w *plan.Work) {
	if l.work == nil {
		l.work = w
	} else {
		l.work.Merge(w)
	}
	l.M.Files.Pending(w.Paths)
	// What is saved for the build is in time for it while prepare runs, and prepare may write it.
	if w.Prepare || w.Lost || w.Rebuild && !l.preparing {
		l.supersedeLocked()
	}
	l.Nudge()
}

// supersedeLocked has a prepare or a build in progress begin again. Callers hold mu.
func (l *Lane) supersedeLocked() {
	if l.image != nil {
		l.image(errSuperseded)
	}
}

// Supersede has a prepare or a build in progress begin again.
func (l *Lane) Supersede() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.supersedeLocked()
}

// takeWork takes what batches have asked for so far; nil when that is nothing.
func (l *Lane) takeWork() *plan.Work {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.takeWorkLocked()
}

func (l *Lane) takeWorkLocked() *plan.Work {
	w := l.work
	l.work = nil
	l.M.Files.Taken()
	return w
}

// take takes the lane's next task, nil when there is none, with the context that ends with it.
func (l *Lane) take(ctx context.Context) (context.Context, *Task) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var t *Task
	switch {
	case len(l.queue) > 0:
		t = l.queue[0]
		l.queue = l.queue[1:]
	case l.work != nil && l.M.TakesFiles() && !l.p.Hold(): // while a row of a drill runs, all keep theirs
		t = NewTask(Task{Verb: Batch, work: l.takeWorkLocked()})
	default:
		return nil, nil
	}
	ctx, l.cancel = context.WithCancelCause(ctx)
	l.busy = t
	l.M.Lane.Begin(l.statusLocked(), t.Verb != Rescan && !t.Follows, t.Conf) // a look moves nothing
	return ctx, t
}

// release ends the task in progress, which has come to err.
func (l *Lane) release(t *Task, err error) {
	l.mu.Lock()
	l.cancel(nil)
	l.cancel, l.busy, l.imaging = nil, nil, false
	err = l.M.Lane.End(l.statusLocked(), t.ending(), err)
	l.mu.Unlock()
	t.finish(err)
	l.p.State.Touch() // whoever waits for the task looks at it
}

// Run carries out a service's tasks in order until ctx ends.
func (l *Lane) Run(ctx context.Context) error {
	w := &worker{p: l.p, q: l, m: l.M, name: l.Name, conf: l.M.Conf()}
	for {
		tctx, t := l.take(ctx)
		if t == nil {
			select {
			case <-l.wake:
				continue
			case <-ctx.Done():
				l.close(ctx.Err())
				return nil
			}
		}
		losses := l.p.State.Losses()
		err := container.Guard("lane of "+l.Name, func() error { return w.carryOut(tctx, t) })
		if own := t.First || t.Verb == Renew; own && tctx.Err() == nil && l.mayPass(err, losses) {
			l.RetryLater(nil)
		}
		if errors.As(err, new(*step.HookError)) {
			err = container.Naming(l.Name, err)
		}
		l.release(t, err)
		if l.p.State.Member(l.Name) != l.M { // it was removed
			l.close(ErrGone)
			return nil
		}
	}
}

// Own returns the task that brings a service where the project wants it and that no command asked
// for: of the first up, or of a changed Compose file. up waits for it, and does not hide its
// failure behind a task of its own.
func (l *Lane) Own() *Task {
	l.mu.Lock()
	defer l.mu.Unlock()
	ours := func(t *Task) bool {
		return t != nil && t.Cmd.Verb == "" && (t.First || t.Verb == Renew ||
			t.Verb == command.Rebuild || t.Verb == command.Down)
	}
	if i := slices.IndexFunc(l.queue, ours); i >= 0 {
		return l.queue[i]
	}
	if ours(l.busy) {
		return l.busy
	}
	return nil
}

// ScheduleRescan has the lane bring its service up to date after something happened to its containers
// behind our back. A nil lane has nothing to do.
func (l *Lane) ScheduleRescan() {
	if l != nil && l.M.Conf().Syncs() {
		l.Enqueue(NewTask(Task{Verb: Rescan, Cause: "its container was started by another program"}))
	}
}

// imagingContext marks that the lane prepares, makes or fetches an image, in a way that a newer change
// can end; times is how often that has happened. done must be called.
func (l *Lane) imagingContext(
	ctx context.Context, doing string, times int,
) (ictx context.Context, done func()) {
	ictx, cancel := context.WithCancelCause(ctx)
	set := func(image context.CancelCauseFunc, imaging bool, doing string) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.image, l.imaging, l.preparing = image, imaging, doing == "preparing"
		l.M.Lane.SetDoing(doing)
		l.M.Lane.Set(l.statusLocked())
	}
	if times < maxRebuildRestarts {
		set(cancel, true, doing)
	} else {
		set(nil, true, doing)
	}
	return ictx, func() {
		set(nil, false, "")
		cancel(nil)
	}
}
