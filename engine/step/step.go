// Package step carries single steps of a plan out through the port: it creates, starts, stops,
// swaps and removes containers, runs hooks in them, and probes them. It decides nothing and keeps
// no state of services: what a step needs comes with the call, and what became of it goes to the
// Host, which is the engine. The lanes of the engine call it.
package step

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/compose-spec/compose-go/v2/types"

	"bulkhead/engine/container"
	"bulkhead/engine/filesync"
	"bulkhead/engine/journal"
	"bulkhead/engine/project"
)

// Critical is the longest that the part of a task may take that is finished even when the task is
// aborted (stop, start, rename, remove), beside the time that its containers have to stop.
const Critical = 2 * time.Minute

// Host keeps the state that steps change. Its methods may be called from any goroutine. id is that
// of a container; the Host ignores those that it does not know.
type Host interface {
	// Created notes a container that no replica holds yet; Discarded that one comes to nothing, and
	// is going to be removed.
	Created(service, id string)
	Discarded(service, id string)
	// ExpectEnd notes that the next end of a container was asked for, and why; ExpectStart the same for its next start.
	ExpectEnd(service, id, cause string)
	// Replacing is ExpectEnd for a container that the runtime itself removes once another has its place:
	// its replica waits for that other. StopFailed takes it back.
	Replacing(service, id, cause string)
	ExpectStart(service, id, cause string)
	// Adopt makes in the container of a replica, or takes in what became of it.
	Adopt(service string, replica int, in container.Instance, cause string)
	// Refresh looks at a container again.
	Refresh(ctx context.Context, service, id, cause string) error
	// Removed takes a container out of the state, because it is gone.
	Removed(service, id, cause string)
	// Stopping shows that a container has until grace from now to end; cause is "" when that was recorded before.
	Stopping(service, id string, grace time.Duration, cause string)
	// ProgramEnded notes that the program of a container ended, which goes on.
	ProgramEnded(service, id string, end container.ProgramEnd, cause string)
	// StopFailed takes back that a container is being stopped: as far as is known it runs on. If it
	// does not, its event says so.
	StopFailed(service, id string)
	// HooksDone notes that all post_start hooks of a container succeeded, HookFailed that a pre_stop hook did not.
	HooksDone(service, id string)
	HookFailed(service string, err error)
	// AwaitReady waits until a replica that holds a container is ready; an error when it ends before.
	AwaitReady(ctx context.Context, service string, replica int, id string) error
	// Output returns what takes the lines that are written into a container's log beside its own.
	Output(service, id string) func(line []byte)
	// LeftOut takes the files that could not be brought into a container.
	LeftOut(service string, left []filesync.LeftOut)
}

// Timer takes how long the stages of a change took. A nil Timer takes nothing.
type Timer interface {
	Add(stage string, took time.Duration)
}

// Service is the service that a step is about, as it was when the step began.
type Service struct {
	Conf  *project.Service
	Image container.Image // that its containers are made from now; zero when there is none yet
}

func (s Service) name() string { return s.Conf.Name }

// Options are the parts of a Runner.
type Options struct {
	Runtime *container.Complete
	Sync    *filesync.Syncer
	Journal *journal.Journal
	Host    Host
	Slots   int  // containers that may be created or started at the same time
	NoSync  bool // files are not brought up to date when a container is made or started
}

// Runner carries steps out. Its methods may be called from any goroutine.
type Runner struct {
	rt      *container.Complete
	late    sync.Map // ids of containers whose files come after their start
	sync    *filesync.Syncer
	journal *journal.Journal
	host    Host
	noSync  bool
	slots   chan struct{}
	ports   chan struct{} // capacity 1: held by those whose host port the runtime picks
}

// New makes a Runner.
func New(o Options) *Runner {
	return &Runner{rt: o.Runtime, sync: o.Sync, journal: o.Journal, host: o.Host, noSync: o.NoSync,
		slots: make(chan struct{}, max(1, o.Slots)), ports: make(chan struct{}, 1)}
}

// acquire waits for a slot.
func (r *Runner) acquire(ctx context.Context) (release func(), err error) {
	select {
	case r.slots <- struct{}{}:
		return func() { <-r.slots }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// Create makes a container, brings its files up to date, and has it taken over as the replica's
// own, unless it is to take another's place (spec.Name is set).
func (r *Runner) Create(
	ctx context.Context, s Service, spec container.CreateSpec, cause string,
) (string, error) {
	release, err := r.acquire(ctx)
	if err != nil {
		return "", err
	}
	defer release()
	id, err := r.rt.Create(ctx, spec)
	if err != nil {
		return "", container.WrapErr(err, "create %s", s.name())
	}
	if err := r.takeIn(ctx, s, spec, id); err != nil {
		return "", r.discard(ctx, s, id, err)
	}
	if spec.Name != "" {
		return id, nil
	}
	in, err := r.rt.Inspect(ctx, id)
	if err != nil {
		// else its name stays taken
		return "", r.discard(ctx, s, id, container.WrapErr(err, "create %s", s.name()))
	}
	r.host.Adopt(s.name(), spec.Replica, in, cause)
	return id, nil
}

// takeIn notes a container that was made, and brings its files up to date.
func (r *Runner) takeIn(ctx context.Context, s Service, spec container.CreateSpec, id string) error {
	r.host.Created(s.name(), id)
	t := filesync.Target{Service: s.Conf, ID: id, ImageID: spec.Image.ID}
	r.sync.RecordInitial(ctx, t, true)
	return r.CatchUpEarly(ctx, s, t)
}

// CatchUp brings into a container what changed since its image was made.
func (r *Runner) CatchUp(ctx context.Context, s Service, t filesync.Target) error {
	if r.noSync || !s.Conf.Syncs() {
		return nil
	}
	left, err := r.sync.CatchUp(ctx, t)
	r.host.LeftOut(s.name(), left)
	return err
}

// CatchUpEarly is CatchUp for a container that does not run. Where that cannot be, since its root file system
// is read-only, say, or the runtime reaches the files of running ones alone, Start does it.
func (r *Runner) CatchUpEarly(ctx context.Context, s Service, t filesync.Target) error {
	err := r.CatchUp(ctx, s, t)
	if errors.Is(err, container.ErrUnsupported) {
		r.late.Store(t.ID, true)
		return nil
	}
	return err
}

// discard removes a container that was made for nothing, and returns the error that led to it.
func (r *Runner) discard(ctx context.Context, s Service, id string, cause error) error {
	r.host.Discarded(s.name(), id)
	return errors.Join(cause, r.rt.Remove(context.WithoutCancel(ctx), id, true, false))
}

// Start starts a replica's container and sees it run, then runs its post_start hooks.
func (r *Runner) Start(
	ctx context.Context, s Service, spec container.CreateSpec, id, cause string, timer Timer,
) error {
	release, err := r.acquire(ctx)
	if err != nil {
		return err
	}
	if picksPort(s.Conf) {
		select {
		case r.ports <- struct{}{}:
			free := release
			release = func() { <-r.ports; free() }
		case <-ctx.Done():
			release()
			return context.Cause(ctx)
		}
	}
	r.expectStart(s, id, cause)
	began := time.Now()
	err = r.rt.Start(ctx, spec, id)
	release()
	if err != nil {
		return container.WrapErr(err, "start %s", s.name())
	}
	since(timer, "start", began)
	return r.started(ctx, s, spec, id, cause)
}

// expectStart notes that a container is about to be started: the runtime's event may come before we have looked.
func (r *Runner) expectStart(s Service, id, cause string) {
	r.host.ExpectStart(s.name(), id, cause)
	if len(s.Conf.Config.PostStart) > 0 {
		r.journal.SetUnhooked(id, true)
	}
}

// started sees a container run that was started, does what could not be done before, and runs its post_start hooks.
func (r *Runner) started(
	ctx context.Context, s Service, spec container.CreateSpec, id, cause string,
) error {
	r.journal.EndStop(id)
	in, err := r.rt.Inspect(ctx, id)
	if err != nil {
		return container.WrapErr(err, "start %s", s.name())
	}
	r.host.Adopt(s.name(), spec.Replica, in, cause)
	if in.State == container.StateExited && in.ExitCode == 0 && !s.Conf.Restarts() {
		r.journal.Complete(in.ID) // so soon that the event of its end came before it was known
	}
	gone, err := r.deleteOwed(ctx, s, in)
	if err != nil {
		return err
	}
	_, late := r.late.LoadAndDelete(id)
	if (late || len(s.Conf.Emptied) > 0) && in.State == container.StateRunning {
		if err := r.CatchUp(ctx, s, Target(s.Conf, in)); err != nil {
			return err
		}
	}
	return r.afterDeletions(ctx, s, spec, in, gone)
}

// Target is a container as filesync takes it.
func Target(conf *project.Service, in container.Instance) filesync.Target {
	return filesync.Target{Service: conf, ID: in.ID, ImageID: in.ImageID, Started: in.Since(),
		Running: in.State == container.StateRunning || in.State == container.StatePaused}
}

// picksPort says whether the runtime picks the host port of a service: out of a range, or any. Two
// that start at the same time may both be given the same one, and the later fails.
func picksPort(conf *project.Service) bool {
	return slices.ContainsFunc(conf.Config.Ports, func(p types.ServicePortConfig) bool {
		return p.Published == "" || p.Published == "0" || strings.Contains(p.Published, "-")
	})
}

// Restart stops a running container and starts it again in place.
func (r *Runner) Restart(
	ctx context.Context, s Service, spec container.CreateSpec, in container.Instance, m Mode,
	cause string, timer Timer,
) (Stop, string, error) {
	how, note, err := r.Stop(ctx, s, in, m, cause)
	if err != nil {
		return how, note, err
	}
	return how, note, r.Start(ctx, s, spec, in.ID, cause, timer)
}

// Unpause lets a paused container go on.
func (r *Runner) Unpause(ctx context.Context, s Service, id, cause string) error {
	if err := r.rt.Unpause(ctx, id); err != nil {
		return container.WrapErr(err, "unpause %s", s.name())
	}
	return r.host.Refresh(ctx, s.name(), id, cause)
}

// Remove stops a container and removes it. Its anonymous volumes go along only with volumes.
func (r *Runner) Remove(
	ctx context.Context, s Service, in container.Instance, reason string, volumes bool,
) error {
	ctx, cancel := Uncancelled(ctx, s.Conf, Asked, in)
	defer cancel()
	r.host.ExpectEnd(s.name(), in.ID, reason)
	if _, err := r.end(ctx, s, in, Asked, reason); err != nil {
		return err
	}
	if err := r.rt.Remove(ctx, in.ID, true, volumes); err != nil {
		return container.WrapErr(err, "remove %s", in.Name)
	}
	r.host.Removed(s.name(), in.ID, reason)
	return nil
}

// RestoreName renames a container, which a swap that was cut short had named for its own time, to
// what it was to be called.
func (r *Runner) RestoreName(
	ctx context.Context, s Service, spec container.CreateSpec, in container.Instance,
) error {
	if !r.rt.Caps.Rename {
		return nil
	}
	name := spec.FinalName()
	if !strings.HasSuffix(in.Name, "_"+name) && in.Name != name+"_"+container.ShortID(in.ID) {
		return nil
	}
	if err := r.rt.Rename(ctx, in.ID, name); err != nil {
		return container.WrapErr(err, "rename %s", in.Name)
	}
	return r.host.Refresh(ctx, s.name(), in.ID, "")
}

// since adds to a timer a stage that began at a time and ends now.
func since(timer Timer, stage string, began time.Time) {
	if timer != nil {
		timer.Add(stage, time.Since(began))
	}
}
