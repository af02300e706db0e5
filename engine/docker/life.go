package docker

import (
	"context"
	"errors"
	"strings"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/client"

	"bulkhead/engine/container"
)

// Stop implements container.Runtime. A container that does not run is left as it is.
func (r *Runtime) Stop(ctx context.Context, id string, grace time.Duration) error {
	release, err := r.slot(ctx)
	if err != nil {
		return err
	}
	defer release()
	var opt client.ContainerStopOptions
	if grace >= 0 {
		n := int((grace + time.Second - 1) / time.Second)
		opt.Timeout = &n
	}
	_, err = r.cli.ContainerStop(ctx, id, opt)
	return r.wrap("stop "+container.ShortID(id), err)
}

// Kill implements container.Runtime. It is an container.ErrConflict when the
// container does not run.
func (r *Runtime) Kill(ctx context.Context, id, signal string) error {
	_, err := r.cli.ContainerKill(ctx, id, client.ContainerKillOptions{Signal: signal})
	return r.wrap("kill "+container.ShortID(id), err)
}

// Remove implements container.Runtime. It returns once the container is gone, also
// when somebody else is removing it.
func (r *Runtime) Remove(ctx context.Context, id string, force, volumes bool) error {
	if !volumes {
		return r.remove(ctx, id, force, false)
	}
	var names string
	if old, err := r.cli.ContainerInspect(ctx, id, client.ContainerInspectOptions{}); err == nil &&
		old.Container.Config != nil {
		names = old.Container.Config.Labels[labelVolumes]
	}
	if err := r.remove(ctx, id, force, true); err != nil || names == "" {
		return err
	}
	for _, name := range strings.Split(names, ",") {
		_, err := r.cli.VolumeRemove(ctx, name, client.VolumeRemoveOptions{})
		// another container may have it
		if err != nil && !cerrdefs.IsNotFound(err) && !cerrdefs.IsConflict(err) {
			return r.wrap("remove volume "+container.ShortID(name), err)
		}
	}
	return nil
}

func (r *Runtime) remove(ctx context.Context, id string, force, volumes bool) error {
	what := "remove " + container.ShortID(id)
	_, err := r.cli.ContainerRemove(ctx, id, client.ContainerRemoveOptions{Force: force,
		RemoveVolumes: volumes})
	if err == nil || cerrdefs.IsNotFound(err) {
		return nil
	}
	if !strings.Contains(err.Error(), "already in progress") {
		return r.wrap(what, err)
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		if _, ierr := r.Inspect(ctx, id); errors.Is(ierr, container.ErrNotFound) {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return r.wrap(what, err)
		}
	}
}
