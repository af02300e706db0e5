package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"bulkhead/engine/container"
	"bulkhead/engine/plan"
	"bulkhead/engine/project"
	"bulkhead/engine/step"
)

// errSuperseded ends a prepare or a build whose inputs changed while it ran; the work is begun
// again with the newer paths.
var errSuperseded = errors.New("superseded by a newer change")

// maxRebuildRestarts is how often a build or a prepare of one task is begun again because of newer
// changes; after that it is let through, so that a file that never stops changing does not keep its
// service from ever coming up. What came meanwhile is done next.
const maxRebuildRestarts = 3

// errAborted ends a task because the user wants the service stopped.
var errAborted = errors.New("stopped by you")

// errEnds ends a task because Run ends.
var errEnds = errors.New("interrupted, because bulkhead ends")

// lane is the queue of one service. It is guarded by Engine.mu; runLane alone takes from it.
type lane struct {
	e *Engine
	s *service

	queue   []*task
	work    *plan.Work    // merged batches that wait for the queue to be empty
	wake    chan struct{} // capacity 1
	busy    *task
	cancel  context.CancelCauseFunc // ends busy
	image   context.CancelCauseFunc // ends the prepare or build in progress; nil when there is none
	imaging bool
}

// task is one thing for a lane to do.
type task struct {
	verb  Verb
	cmd   Command
	cause string
	work  *plan.Work // of verb "batch"
	first bool       // the first up of this service
	// follows says that the service is moved because one that it joins was: that is what its fault
	// did, and no move on purpose.
	follows bool
	asked   bool             // of verb "batch": a person had it carried out
	after   <-chan struct{}  // closed when the task may begin; nil: at once
	conf    *project.Service // takes effect when the task begins; nil: as it is

	done chan error // capacity 1

	over bool // it has ended with err; both are guarded by Engine.mu
	err  error
}

// finish notes how a task ended, for who waits on done and for who looks. Callers hold mu.
func (t *task) finish(err error) {
	t.over, t.err = true, err
	t.done <- err // it has room for the one answer
}

// stopMode is how the task stops what it has to stop.
func (t *task) stopMode() step.Mode {
	return step.Mode{Grace: t.cmd.Grace, Loop: t.verb == verbBatch && !t.asked}
}

// verbAdopt only takes over a changed configuration that asks for nothing.
const verbAdopt Verb = "adopt"

// verbRenew looks at everything of a service, and does what differs.
const verbRenew Verb = "recreate"

// verbRescan compares a service's containers with what its sync rules name, and carries out what they owe.
const verbRescan Verb = "look"

// verbBatch is a task that comes from changed files.
const verbBatch Verb = "batch"

// enqueue puts a task at the end of a lane. Callers hold mu.
func (s *service) enqueue(t *task) {
	if s.gone {
		t.done <- errGone
		return
	}
	s.lane.queue = append(s.lane.queue, t)
	s.nudge()
}

func (s *service) nudge() {
	select {
	case s.lane.wake <- struct{}{}:
	default: // the lane is going to look anyway
	}
}

// abort ends what a lane is doing and forgets what waits in it, because something harsher comes. Callers hold mu.
func (s *service) abort(why error) {
	for _, t := range s.lane.queue {
		t.finish(why)
	}
	s.lane.queue = nil
	if s.lane.cancel != nil {
		s.lane.cancel(why)
	}
}

// offer merges the work of a batch into a lane. A prepare or a build in progress whose inputs
// changed is begun again. Callers hold mu.
func (s *service) offer(w *plan.Work) {
	if s.lane.work == nil {
		s.lane.work = w
	} else {
		s.lane.work.Merge(w)
	}
	maps.Copy(s.pending, w.Paths)
	if s.lane.image != nil && (w.Prepare || w.Rebuild || w.Lost) {
		s.lane.image(errSuperseded)
	}
	s.nudge()
}

// takeWork takes what batches have asked for so far. Callers hold mu.
func (s *service) takeWork() *plan.Work {
	w := s.lane.work
	s.lane.work = nil
	clear(s.pending)
	return w
}

// next takes the lane's next task, nil when there is none. Callers hold mu.
func (s *service) next() *task {
	l := &s.lane
	if len(l.queue) > 0 {
		t := l.queue[0]
		l.queue = l.queue[1:]
		return t
	}
	// A service that the user holds down keeps its pending paths until he brings it back.
	if l.work != nil && !s.byHand && s.settled {
		w := s.takeWork()
		return &task{verb: verbBatch, work: w, done: make(chan error, 1)}
	}
	return nil
}

// run carries out a service's tasks in order until ctx ends.
func (l *lane) run(ctx context.Context) error {
	e, s := l.e, l.s
	for {
		e.mu.Lock()
		t := s.next()
		var tctx context.Context
		if t != nil {
			tctx, s.lane.cancel = context.WithCancelCause(ctx)
			s.lane.busy = t
			if t.verb != verbRescan && !t.follows { // a look moves nothing
				e.ledgers.Freeze(s.name)
			}
			if t.conf != nil {
				s.conf = t.conf
			}
			e.bump()
		}
		e.mu.Unlock()
		if t == nil {
			select {
			case <-s.lane.wake:
				continue
			case <-ctx.Done():
				e.mu.Lock()
				s.abort(ctx.Err())
				e.mu.Unlock()
				return nil
			}
		}
		err := guarded("lane of "+s.name, func() error { return l.carryOut(tctx, t) })
		e.mu.Lock()
		s.lane.cancel(nil)
		s.lane.cancel, s.lane.busy, s.lane.imaging = nil, nil, false
		s.doing, s.waitsFor = "", nil
		if t.first {
			s.settled = true
		}
		t.finish(s.outcome(t, err))
		e.updateState(s)
		e.mu.Unlock()
		if e.dismiss(s) {
			return nil
		}
	}
}

// outcome is the result of a task that has ended with err: pre_stop hooks that failed in it are a
// part of it. Callers hold mu.
func (s *service) outcome(t *task, err error) error {
	if len(s.hookErrs) > 0 {
		err = join(append([]error{err}, s.hookErrs...)...)
		s.hookErrs = nil
	}
	switch {
	case t.verb == verbAdopt || t.verb == verbRescan: // they bring nothing anywhere
	case err != nil:
		s.failed = err
	case t.verb != VerbRestart && t.verb != verbRenew: // these may follow what failed by themselves
		s.failed = nil
	}
	return err
}

// carryOut does one task.
func (l *lane) carryOut(ctx context.Context, t *task) error {
	s := l.s
	if t.after != nil {
		select {
		case <-t.after:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	switch t.verb {
	case VerbUp, VerbStart, VerbRebuild, VerbScale, verbRenew:
		return l.up(ctx, t)
	case VerbStop:
		return l.stopAll(ctx, t)
	case VerbRestart:
		return l.restart(ctx, t)
	case VerbDown:
		return l.remove(ctx, t)
	case verbAdopt:
		return nil
	case verbRescan:
		l.catchUpMissed(ctx)
		return nil
	case verbBatch:
		return l.batch(ctx, t, t.work)
	}
	return fmt.Errorf("%s %s: a lane cannot do that", t.verb, s.name)
}

// show shows what a lane is at.
func (l *lane) show(text string) {
	e, s := l.e, l.s
	e.mu.Lock()
	defer e.mu.Unlock()
	if s.doing != text {
		s.doing = text
		e.bump()
	}
}

// change is a Change that a lane is timing.
type change struct {
	e *Engine
	s *service
	c *Change
}

// begin starts timing a change whose first sign came at at.
func (l *lane) begin(action, cause string, paths []string, at time.Time) *change {
	e, s := l.e, l.s
	e.mu.Lock()
	defer e.mu.Unlock()
	c := &Change{Service: s.name, Action: action, Cause: cause, Paths: paths, Began: at}
	if d := time.Since(at); len(paths) > 0 {
		c.Stages = append(c.Stages, Stage{Name: "detect", Took: d})
	}
	s.changes = append(s.changes, c)
	if len(s.changes) > keptChanges {
		s.changes = s.changes[1:]
	}
	e.bump()
	return &change{e: e, s: s, c: c}
}

// action corrects what the change turned out to be.
func (k *change) action(a string) {
	k.e.mu.Lock()
	defer k.e.mu.Unlock()
	k.c.Action = a
	k.e.bump()
}

// timed runs one stage. Stages that run twice (several replicas) add up.
func (k *change) timed(name string, f func() error) error {
	began := time.Now()
	err := f()
	k.Add(name, time.Since(began))
	return err
}

// Add returns the change a stage; one that is there already becomes longer. A nil change takes nothing.
func (k *change) Add(name string, took time.Duration) {
	if k == nil {
		return
	}
	k.e.mu.Lock()
	defer k.e.mu.Unlock()
	i := slices.IndexFunc(k.c.Stages, func(s Stage) bool { return s.Name == name })
	if i < 0 {
		k.c.Stages = append(k.c.Stages, Stage{Name: name, Took: took})
	} else {
		k.c.Stages[i].Took += took
	}
	k.e.bump()
}

// stopped notes how a container was stopped; of several the harshest way counts. note is a line about it, or "".
func (k *change) stopped(how Stop, note string) {
	if k == nil {
		return
	}
	k.e.mu.Lock()
	defer k.e.mu.Unlock()
	if how >= k.c.Stop {
		k.c.Stop, k.c.Note = how, note
	}
}

// drop takes back a change that turned out to be none.
func (k *change) drop() {
	k.e.mu.Lock()
	defer k.e.mu.Unlock()
	k.s.changes = slices.DeleteFunc(k.s.changes, func(c *Change) bool { return c == k.c })
	k.e.bump()
}

// end closes a change that does not lead to a new generation, or that failed.
func (k *change) end(err error) {
	k.e.mu.Lock()
	defer k.e.mu.Unlock()
	k.close(err)
}

// close ends the change and records it. Callers hold mu.
func (k *change) close(err error) {
	if !k.c.Ended.IsZero() {
		return
	}
	k.c.Ended = time.Now()
	k.c.Stages = append(k.c.Stages, Stage{Name: "total", Took: k.c.Ended.Sub(k.c.Began)})
	for _, r := range k.s.reps {
		k.c.Generation = max(k.c.Generation, r.generation)
	}
	rec := Record{Kind: "watch", Service: k.s.name, Generation: k.c.Generation, State: k.s.state, Cause: k.c.Cause, Action: k.c.Action,
		Paths: k.c.Paths, Stages: slices.Clone(k.c.Stages), Stop: k.c.Stop}
	if len(k.c.Paths) == 0 {
		rec.Kind = "service"
	}
	took := container.Brief(k.c.Ended.Sub(k.c.Began))
	if err != nil {
		k.c.Err = firstLine(err)
		rec.Err, rec.What = k.c.Err, fmt.Sprintf("%s not done after %s: %s", k.c.Action, took, k.c.Err)
		rec.Text = k.s.name + ": " + rec.What
	} else {
		k.c.Slow = slow(k.s.changes, k.c)
		rec.What = fmt.Sprintf("%s done in %s", k.c.Action, took)
		rec.Text = fmt.Sprintf("%s: %s (%s)", k.s.name, rec.What, k.c.Cause)
	}
	if k.c.Note != "" {
		rec.What += "; " + k.c.Note
		rec.Text += "; " + k.c.Note
	}
	k.e.record(rec)
}

// endReady closes a change whose containers have started, once the service is ready, or once its
// new generation has come to nothing. It does not hold the lane.
func (k *change) endReady() {
	started := time.Now()
	k.e.launch("ready of "+k.s.name, func(ctx context.Context) error {
		var failed error
		overtaken := false
		err := k.e.await(ctx, func() (bool, error) {
			if n := len(k.s.changes); n == 0 || k.s.changes[n-1] != k.c {
				overtaken = true
				return true, nil
			}
			if k.s.lane.busy != nil {
				return false, nil
			}
			if why := k.s.hopeless(); why != "" {
				failed = errors.New(why)
				return true, nil
			}
			return k.s.isReady(), nil
		})
		if err != nil {
			return nil // the engine ends; a change that nobody waits for stays open
		}
		if !overtaken {
			k.Add("ready", time.Since(started))
		}
		k.end(failed)
		return nil
	})
}

// crashLoop is how many restarts by policy without a healthy moment in between make a service one
// that will not come up by itself. With Docker's pauses between them (100 ms, doubled each time)
// that is about three seconds, which a service that only has to wait for another may well need.
const crashLoop = 5

// hopeless says why a service will not become ready by itself, "" while it may. Callers hold mu.
func (s *service) hopeless() string {
	if len(s.waitsOn) > 0 {
		return "" // it is the other one's matter
	}
	if s.err != "" {
		return s.err
	}
	for _, r := range s.sorted() {
		if why := s.ailment(r); why != "" {
			return s.name + ": " + strings.TrimPrefix(why, "is ")
		}
		if r.expectedExit && s.byHand && r.inst.ID != "" {
			return s.name + ": stopped by you"
		}
	}
	return ""
}

// ailment says what keeps a replica from becoming ready by itself, in words that follow the
// service's name; "" when nothing does, or when it is down because somebody asked for it. Callers
// hold mu.
func (s *service) ailment(r *replica) string {
	in := r.inst
	switch {
	case in.ID == "":
	case in.State == StateExited && (in.ExitCode != 0 || !s.completed()) && !r.expectedExit && s.settled:
		if in.OOM {
			return fmt.Sprintf("is out of memory, killed by the kernel (exit code %d)", in.ExitCode)
		}
		return fmt.Sprintf("exited with code %d", in.ExitCode)
	case in.State == StateRestarting && in.Restarts-r.calm.Restarts >= crashLoop:
		return fmt.Sprintf("is crash-looping: exited with code %d, restarted %d times by its restart policy", in.ExitCode, in.Restarts-r.calm.Restarts)
	case r.live() && in.Health == Unhealthy:
		text := "is unhealthy"
		if out := strings.TrimSpace(in.HealthOutput); out != "" {
			text += ": its check says " + strconv.Quote(out[strings.LastIndexByte(out, '\n')+1:])
		}
		return text
	}
	return ""
}

// firstLine keeps the first line of an error: what the screen and the JSON show in one row.
func firstLine(err error) string { return firstOf(err.Error()) }

func firstOf(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}
