package lane

import (
	"context"

	"bulkhead/engine/command"
	"bulkhead/engine/container"
	"bulkhead/engine/plan"
	"bulkhead/engine/project"
	"bulkhead/engine/state"
	"bulkhead/engine/step"
)

// Task is one thing for a lane to do.
type Task struct {
	Verb  command.Verb
	Cmd   command.Command // that it comes from; its Verb is "" when it comes from none
	Cause string
	work  *plan.Work // of Batch
	First bool       // the first up of this service
	// Follows says that the service is moved because one that it joins was: that is what its fault
	// did, and no move on purpose.
	Follows bool
	Renewed bool             // with Follows: the one that it joins has another container
	asked   bool             // of Batch: a person had it carried out
	After   <-chan struct{}  // closed when the task may begin; nil: at once
	Behind  []Behind         // tasks of other services that come first; set before it is enqueued
	Conf    *project.Service // takes effect when the task begins; nil: as it is
	// Planned is called with what a first up begins with, as soon as that is known, or with nil when it
	// came to nothing before; it may be called again, and be nil.
	Planned func(o *plan.Outlook)

	over chan struct{} // closed once it has ended with Err
	Err  error         // valid once it has ended
}

// Errand is a task with the lane that it is for.
type Errand struct {
	L *Lane
	T *Task
}

// Behind is a task that another one comes after.
type Behind struct {
	Errand
	Required bool // without it the later one is not done
}

// Adopt only takes over a changed configuration that asks for nothing.
const Adopt command.Verb = "adopt"

// Renew looks at everything of a service, and does what differs.
const Renew command.Verb = "recreate"

// Rescan compares a service's containers with what its sync rules name, and carries out what they owe.
const Rescan command.Verb = "rescan"

// Batch is a task that comes from changed files.
const Batch command.Verb = "batch"

// NewTask makes a task.
func NewTask(t Task) *Task {
	t.over = make(chan struct{})
	return &t
}

// finish notes how a task ended, for who waits for it.
func (t *Task) finish(err error) {
	t.Err = err
	if t.Planned != nil {
		t.Planned(nil)
	}
	close(t.over)
}

// Ended says whether a task has ended.
func (t *Task) Ended() bool {
	select {
	case <-t.over:
		return true
	default:
		return false
	}
}

// brings says whether a task makes its service run. A nil one does not.
func (t *Task) brings() bool {
	return t != nil && (t.Verb == command.Up || t.Verb == command.Start || t.Verb == command.Restart ||
		t.Verb == command.Scale || t.Verb == Renew)
}

// ending says what the end of the task means for its service.
func (t *Task) ending() state.Ending {
	return state.Ending{
		First: t.First, Aside: t.Verb == Adopt || t.Verb == Rescan,
		Follows: t.Verb == command.Restart || t.Verb == Renew,
		Files:   t.Verb == Batch,
	}
}

// stopMode is how the task stops what it has to stop.
func (t *Task) stopMode() step.Mode {
	return step.Mode{Grace: t.Cmd.Grace, Loop: t.Verb == Batch && !t.asked}
}

// WaitFor waits until tasks have ended, and returns all of their errors.
func WaitFor(ctx context.Context, tasks ...*Task) error {
	var errs []error
	for _, t := range tasks {
		select {
		case <-t.over:
			errs = append(errs, t.Err)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return container.Join(errs...)
}
