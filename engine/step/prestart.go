package step

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"sync"

	"github.com/compose-spec/compose-go/v2/types"

	"bulkhead/engine/container"
	"bulkhead/engine/logs"
)

const preStart = "pre_start"

// PreStart runs a service's pre_start hooks one after the other, each in a container of its own that
// has the volumes and networks of the service's container, which is there and does not run. The
// container of a hook that fails stays for who wants to look at it, until the next try.
func (r *Runner) PreStart(ctx context.Context, s Service, spec container.CreateSpec, id string) error {
	hooks := s.Conf.Config.PreStart
	if len(hooks) == 0 {
		return nil
	}
	// A hook may take as long as it takes: only the end of the task ends it.
	if task, ok := ctx.Value(taskKey{}).(context.Context); ok {
		ctx = task
	}
	for _, h := range hooks {
		if h.PerReplica {
			err := errors.New("per_replica is not carried out, by docker compose neither")
			return container.WithRemedy(container.WrapErr(err, "pre_start hook of %s", s.name()),
				"take it back")
		}
	}
	left, err := r.rt.Hooks(ctx, spec.App.Name)
	if err != nil {
		return container.WrapErr(err, "pre_start hooks of %s", s.name())
	}
	for _, in := range left {
		if in.Service == s.name() {
			if err := r.rt.Remove(ctx, in.ID, true, true); err != nil {
				return container.WrapErr(err, "pre_start hooks of %s", s.name())
			}
		}
	}
	for i, h := range hooks {
		if err := r.preStart(ctx, s, id, hookSpec(s, spec, id, i, h), h); err != nil {
			return err
		}
	}
	return nil
}

// preStart runs one hook of a service's container.
func (r *Runner) preStart(
	ctx context.Context, s Service, of string, spec container.CreateSpec, h types.PreStartHook,
) error {
	failed := &HookError{Service: s.name(), Which: preStart, Command: h.Command}
	hook, err := r.rt.Create(ctx, spec)
	if err != nil {
		failed.Err = err
		return failed
	}
	emit := r.host.Output(s.name(), of)
	var mu sync.Mutex
	out := logs.NewLineWriter(func(line []byte) {
		mu.Lock()
		defer mu.Unlock()
		failed.Tail = append(failed.Tail[max(0, len(failed.Tail)-hookTail+1):], string(line))
		emit(line)
	})
	failed.Code, failed.Err = r.rt.Foreground(ctx, hook, container.Streams{Stdout: out, Stderr: out},
		func(ctx context.Context) error {
			return r.rt.Start(ctx, container.CreateSpec{}, hook)
		})
	out.Flush()
	if failed.Err == nil && failed.Code != 0 {
		mu.Lock()
		defer mu.Unlock()
		failed.Tail = append([]string(nil), failed.Tail...)
		return container.WithRemedy(failed, "its container %s is still there", container.ShortID(hook))
	}
	gone := r.rt.Remove(context.WithoutCancel(ctx), hook, true, true)
	if failed.Err != nil {
		return failed
	}
	if gone != nil {
		return container.WrapErr(gone, "remove the container of a pre_start hook of %s", s.name())
	}
	return nil
}

// hookSpec is the container of a hook: what compose-go had it inherit of the service, and the
// service's volumes.
func hookSpec(
	s Service, spec container.CreateSpec, id string, index int, h types.PreStartHook,
) container.CreateSpec {
	c := types.ServiceConfig{Name: s.name(), ContainerSpec: h.ContainerSpec}
	c.Image = cmp.Or(c.Image, s.Conf.Image)
	c.Environment = types.MappingWithEquals{}
	maps.Copy(c.Environment, s.Conf.Config.Environment)
	maps.Copy(c.Environment, h.Environment)
	c.VolumesFrom = append(slices.Clone(c.VolumesFrom), types.ContainerPrefix+id)
	return container.CreateSpec{
		App: spec.App, Parents: spec.Parents, Beside: &container.Beside{Hook: preStart, Index: index,
			Aliases: true},
		Service: &container.Service{Name: s.name(), Image: c.Image, Config: c},
	}
}
