package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/compose-spec/compose-go/v2/types"

	"bulkhead/engine/filesync"
	"bulkhead/engine/project"
)

// create makes a container for a replica and takes it over as the replica's own, unless it is to take another's place (name is set).
func (e *Engine) create(ctx context.Context, s *service, spec CreateSpec, name, cause string) (string, error) {
	release, err := e.slot(ctx)
	if err != nil {
		return "", err
	}
	defer release()
	spec.Name = name
	id, err := e.rt.Create(ctx, spec)
	if err != nil {
		return "", say(err, "create %s", s.name)
	}
	e.mu.Lock()
	s.incoming[id] = true
	e.mu.Unlock()
	t := filesync.Target{Service: s.conf, ID: id, ImageID: spec.Image.ID}
	e.sync.RecordInitial(ctx, t, true)
	if err := e.catchUp(ctx, s, t); err != nil {
		return "", e.discard(ctx, s, id, err)
	}
	if name != "" {
		return id, nil
	}
	in, err := e.rt.Inspect(ctx, id)
	if err != nil {
		return "", say(err, "create %s", s.name)
	}
	e.adopt(s, spec.Replica, in, cause)
	return id, nil
}

// discard removes a container that was made for nothing, and gives the error that led to it.
func (e *Engine) discard(ctx context.Context, s *service, id string, cause error) error {
	e.mu.Lock()
	delete(s.incoming, id)
	if r := s.byID(id); r != nil {
		r.byUs, r.blame = true, "the new generation did not start"
	}
	e.mu.Unlock()
	err := e.rt.Remove(context.WithoutCancel(ctx), id, true, false)
	return errors.Join(cause, err)
}

// slot waits for one of the places for creating and starting containers.
func (e *Engine) slot(ctx context.Context) (release func(), err error) {
	select {
	case e.starts <- struct{}{}:
		return func() { <-e.starts }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// start starts a replica's container and sees it run, then runs its post_start hooks.
func (e *Engine) start(ctx context.Context, s *service, spec CreateSpec, id, cause string, k *change) error {
	release, err := e.slot(ctx)
	if err != nil {
		return err
	}
	if picksPort(s.conf) {
		select {
		case e.ranges <- struct{}{}:
			free := release
			release = func() { <-e.ranges; free() }
		case <-ctx.Done():
			release()
			return context.Cause(ctx)
		}
	}
	e.mu.Lock()
	if r := s.byID(id); r != nil {
		r.blame = cause // the engine's event may come before we have looked
	}
	e.mu.Unlock()
	if len(s.conf.Config.PostStart) > 0 {
		e.journal.SetUnhooked(id, true)
	}
	began := time.Now()
	err = e.rt.Start(ctx, spec, id)
	release()
	if err != nil {
		return say(err, "start %s", s.name)
	}
	timedSince(k, "start", began)
	in, err := e.rt.Inspect(ctx, id)
	if err != nil {
		return say(err, "start %s", s.name)
	}
	e.adopt(s, spec.Replica, in, cause)
	if in.State == StateExited && in.ExitCode == 0 && !restarts(s.conf) {
		e.journal.Complete(in.ID) // so soon that the event of its end was told before it was known
	}
	if err := e.sync.DeleteOwed(ctx, syncTarget(s, in)); err != nil {
		return err
	}
	return e.postStart(ctx, s, id)
}

// picksPort says whether the engine picks the host port of a service: out of a range, or any. Two that start at the same time may both be
// given the same one, and the later fails.
func picksPort(conf *project.Service) bool {
	return slices.ContainsFunc(conf.Config.Ports, func(p types.ServicePortConfig) bool {
		return p.Published == "" || p.Published == "0" || strings.Contains(p.Published, "-")
	})
}

// environ gives a mapping as KEY=value lines; a key without a value is taken out.
func environ(m types.MappingWithEquals) []string {
	var out []string
	for k, v := range m {
		if v == nil {
			out = append(out, k)
		} else {
			out = append(out, k+"="+*v)
		}
	}
	return out
}

// awaitEnd asks until a container that was killed has ended: the kill returns before the engine has noticed.
func (e *Engine) awaitEnd(ctx context.Context, s *service, id string) error {
	for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		in, err := e.rt.Inspect(ctx, id)
		if errors.Is(err, ErrNotFound) || err == nil && in.State != StateRunning {
			return nil
		}
		if err != nil {
			return say(err, "stop %s", s.name)
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return fmt.Errorf("stop %s: %w", s.name, ctx.Err())
		}
	}
}

// unpause lets a paused replica go on.
func (e *Engine) unpause(ctx context.Context, s *service, n int, cause string) error {
	e.mu.Lock()
	id := s.replica(n).inst.ID
	e.mu.Unlock()
	if err := e.rt.Unpause(ctx, id); err != nil {
		return say(err, "unpause %s", s.name)
	}
	return e.refresh(ctx, s, id, cause)
}

// containerName is the name that docker compose gives a replica's container.
func containerName(spec CreateSpec) string {
	if n := spec.Service.Config.ContainerName; n != "" {
		return n
	}
	return fmt.Sprintf("%s-%s-%d", spec.App.Name, spec.Service.Name, spec.Replica)
}

// removeReplica stops a container and removes it, and its replica when the project does not want it any more. Its anonymous volumes go
// along only when the user asked for volumes to be removed.
func (e *Engine) removeReplica(ctx context.Context, s *service, in Instance, reason string, volumes bool) error {
	ctx, cancel := uncancelled(ctx, s.conf, asked, in)
	defer cancel()
	if r := e.replicaOf(s, in.ID); r != nil {
		e.mu.Lock()
		r.byUs, r.blame = true, reason
		e.mu.Unlock()
	}
	if _, err := e.stopInstance(ctx, s, in, asked, reason); err != nil {
		return err
	}
	if err := e.rt.Remove(ctx, in.ID, true, volumes); err != nil {
		return say(err, "remove %s", in.Name)
	}
	e.forget(s, in.ID, reason)
	return nil
}

func (e *Engine) replicaOf(s *service, id string) *replica {
	e.mu.Lock()
	defer e.mu.Unlock()
	return s.byID(id)
}

// imageOf is the image that a service's containers are made from now.
func (e *Engine) imageOf(s *service) Image {
	e.mu.Lock()
	defer e.mu.Unlock()
	if s.image == nil {
		return Image{}
	}
	return *s.image
}
