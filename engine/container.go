package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/compose-spec/compose-go/v2/types"

	"bulkhead/engine/project"
)

// loopGrace is how long a service without a stop_grace_period of its own gets in the inner loop: restart, swap. The engine's
// ten seconds are for stops that the user asks for.
const loopGrace = 2 * time.Second

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
	e.remember(ctx, s, id, spec.Image.ID, true)
	if err := e.catchUp(ctx, s, id, spec.Image.ID); err != nil {
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
		e.store.complete(in.ID) // so soon that the event of its end was told before it was known
	}
	if err := e.settleDeletes(ctx, s, id); err != nil {
		return err
	}
	return e.hooks(ctx, s, id, "post_start", s.conf.Config.PostStart)
}

// picksPort says whether the engine picks the host port of a service: out of a range, or any. Two that start at the same time may both be
// given the same one, and the later fails.
func picksPort(conf *project.Service) bool {
	return slices.ContainsFunc(conf.Config.Ports, func(p types.ServicePortConfig) bool {
		return p.Published == "" || p.Published == "0" || strings.Contains(p.Published, "-")
	})
}

// hooks runs a service's hooks one after the other.
func (e *Engine) hooks(ctx context.Context, s *service, id, which string, hooks []types.ServiceHook) error {
	for _, h := range hooks {
		out := e.lineWriter(s, id)
		code, err := e.rt.Exec(ctx, id, ExecOptions{Cmd: h.Command, User: h.User, Dir: h.WorkingDir, Privileged: h.Privileged, Env: environ(h.Environment), Stdout: out, Stderr: out})
		out.flush()
		if err != nil {
			return say(err, "%s hook of %s", which, s.name)
		}
		if code != 0 {
			return fmt.Errorf("%s hook of %s: %q exited with %d", which, s.name, h.Command, code)
		}
	}
	return nil
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

// stop stops a replica's container. Without an explicit grace, a service's stop_grace_period holds; without that, a process that
// cannot react to the stop signal is killed at once, and others get the loop's grace when grace is nil and the change is one.
func (e *Engine) stop(ctx context.Context, s *service, h held, grace *time.Duration, cause string, k *change) error {
	e.mu.Lock()
	in := h.inst
	if in.State == StateRunning || in.State == StateRestarting || in.State == StatePaused {
		h.byUs, h.blame = true, cause
	}
	e.mu.Unlock()
	if err := e.stopInstance(ctx, s, in, grace, k); err != nil {
		return err
	}
	return e.refresh(ctx, s, in.ID, cause)
}

// stopInstance ends one container, gently where it can be.
func (e *Engine) stopInstance(ctx context.Context, s *service, in Instance, grace *time.Duration, k *change) error {
	switch in.State {
	case StateRunning, StateRestarting:
	case StatePaused:
		if err := e.rt.Unpause(ctx, in.ID); err != nil && !errors.Is(err, ErrNotFound) {
			return say(err, "stop %s", s.name)
		}
	default:
		return nil
	}
	e.mu.Lock()
	if r := s.byID(in.ID); r != nil && r.inst.State != StateStopping {
		r.inst.State = StateStopping
		e.settle(s)
	}
	e.mu.Unlock()
	if in.State == StateRunning {
		if err := e.hooks(ctx, s, in.ID, "pre_stop", s.conf.Config.PreStop); err != nil {
			e.warn(err.Error())
		}
	}
	wait := loopGrace
	explicit, has := stopGrace(s.conf)
	switch {
	case grace != nil:
		wait = *grace
	case has:
		wait = explicit
	default:
		if handles, known := e.rt.HandlesStop(ctx, in.ID); known && !handles {
			if err := e.rt.Kill(ctx, in.ID, "SIGKILL"); err == nil {
				k.stopped(StopKilled, "killed at once: its first process does not react to the stop signal")
				return e.awaitEnd(ctx, s, in.ID)
			}
		}
	}
	began := time.Now()
	if err := e.rt.Stop(ctx, in.ID, wait); err != nil && !errors.Is(err, ErrNotFound) {
		return say(err, "stop %s", s.name)
	}
	switch {
	case wait < 0 || wait > 0 && time.Since(began) < wait:
		k.stopped(StopSignal, "")
	case grace == nil && !has:
		k.stopped(StopLate, fmt.Sprintf("killed after %s: the stop signal did not end it; stop_grace_period gives it longer", brief(wait)))
	default:
		k.stopped(StopLate, fmt.Sprintf("killed after its grace of %s", brief(wait)))
	}
	return nil
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
	return fmt.Sprintf("%s-%s-%d", spec.Project.Name, spec.Service.Name, spec.Replica)
}

// removeReplica stops a container and removes it, and its replica when the project does not want it any more. Its anonymous volumes go
// along only when the user asked for volumes to be removed.
func (e *Engine) removeReplica(ctx context.Context, s *service, in Instance, reason string, volumes bool) error {
	ctx, cancel := context.WithTimeout(ctx, critical)
	defer cancel()
	if r := e.replicaOf(s, in.ID); r != nil {
		e.mu.Lock()
		r.byUs, r.blame = true, reason
		e.mu.Unlock()
	}
	if err := e.stopInstance(ctx, s, in, nil, nil); err != nil {
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
