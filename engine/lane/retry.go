package lane

import (
	"context"
	"errors"
	"time"

	"bulkhead/engine/container"
	"bulkhead/engine/filesync"
	"bulkhead/engine/plan"
	"bulkhead/engine/state"
)

// How long a lane waits before it tries again what may work later without anything being done about
// it; the pause doubles with each try in a row.
const (
	retryPause    = time.Second
	retryPauseMax = 30 * time.Second
)

// retries is the work of changed files that a lane could not carry out for a reason that may pass by
// itself: the engine did not answer, or there was no room in the container. It is done with the next
// save, when the engine is back, or after a pause, whichever comes first. It is guarded by the lane's mu.
type retries struct {
	work  *plan.Work // nil when there is none
	renew bool       // the service was not brought where the project wants it
	pause time.Duration
}

// mayPass says whether the reason of work that failed may pass by itself. Where the runtime was lost
// since the work began, losses times before, that is so of any reason: one that has just come back
// answers for what it left behind.
func (l *Lane) mayPass(err error, losses int) bool {
	return err != nil && (passes(err) || l.p.State.Losses() != losses)
}

// passes says whether the reason of an error may pass by itself.
func passes(err error) bool {
	if refused := (*filesync.Refused)(nil); errors.As(err, &refused) {
		return refused.Again()
	}
	return errors.Is(err, container.ErrNoEngine) || errors.Is(err, container.ErrBuilderUnavailable)
}

// RetryLater keeps work for later; nil stands for all that the project wants of the service.
func (l *Lane) RetryLater(w *plan.Work) {
	l.mu.Lock()
	o := &l.retries
	switch {
	case w == nil:
		o.renew = true
	case o.work == nil:
		o.work = w
	default:
		o.work.Merge(w)
	}
	pause := max(retryPause, o.pause)
	o.pause = min(2*pause, retryPauseMax)
	l.mu.Unlock()
	l.p.Go("retry of "+l.Name, func(ctx context.Context) error {
		select {
		case <-time.After(pause):
			if l.p.State.View().Phase != state.PhaseLost { // else it waits for resync
				l.Retry(false)
			}
		case <-ctx.Done():
		}
		return nil
	})
}

// Retry hands the lane what it kept for later; with again the pauses begin from the start.
func (l *Lane) Retry(again bool) {
	l.mu.Lock()
	renew := l.retries.renew
	l.retries.renew = false
	l.mu.Unlock()
	if renew {
		l.Enqueue(NewTask(Task{Verb: Renew, Cause: "tried again"}))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if again {
		l.retries.pause = 0
	}
	if w := l.retries.work; w != nil {
		l.retries.work = nil
		l.offerLocked(w)
	}
}

// withRetries adds to work what the lane kept for later.
func (l *Lane) withRetries(w *plan.Work) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if o := l.retries.work; o != nil {
		l.retries.work = nil
		w.Merge(o)
	}
}

// resetRetries notes that nothing is kept for later any more: the pauses begin from the start.
func (l *Lane) resetRetries() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.retries.pause = 0
}
