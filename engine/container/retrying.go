package container

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// retryPauses lie between the tries of a call: what an engine answers wrongly once is right a
// moment later, and one that stays wrong is the caller's matter.
var retryPauses = [...]time.Duration{50 * time.Millisecond, 200 * time.Millisecond, time.Second}

// Retrying is a runtime whose short calls are tried again, at once, when the runtime fails in an
// unforeseen way: a 500 in the middle of a swap, or an answer that breaks off. A call may have been
// carried out although it failed; what that changes for the next try is seen to here. Streams and
// commands are not tried again.
func Retrying(rt *Complete) *Complete {
	r := &retrying{rt: rt}
	c := *rt
	c.Runtime, c.Pauser, c.Renamer, c.Provisioner, c.ImageStore = &calls{Runtime: rt.Runtime, retrying: r},
		&pauses{r}, &renames{r},
		&provisions{Provisioner: rt.Provisioner, retrying: r}, &imageCalls{ImageStore: rt.ImageStore,
			retrying: r}
	return &c
}

type retrying struct{ rt *Complete }

// unforeseen says whether an error is neither an answer to what was asked nor the caller's own end. A
// question that stayed open to its limit is not asked again: that has taken long enough.
func unforeseen(ctx context.Context, err error) bool {
	if err == nil || ctx.Err() != nil {
		return false
	}
	for _, answer := range []error{ErrNotFound, ErrConflict, ErrSilent, ErrUnsupported, context.Canceled,
		context.DeadlineExceeded} {
		if errors.Is(err, answer) {
			return false
		}
	}
	return true
}

// try calls f until it does not fail in an unforeseen way; again says that it failed before. The
// last error is that of the last try.
func (r *retrying) try(ctx context.Context, f func(again bool) error) error {
	err := f(false)
	for _, pause := range retryPauses {
		if !unforeseen(ctx, err) {
			return err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return err
		}
		err = f(true)
	}
	return err
}

// calls are those of Runtime.
type calls struct {
	Runtime
	*retrying
}

func (c *calls) Instances(ctx context.Context, project string) (all []Instance, err error) {
	err = c.try(ctx, func(bool) error { all, err = c.rt.Instances(ctx, project); return err })
	return all, err
}

func (c *calls) Inspect(ctx context.Context, id string) (in Instance, err error) {
	err = c.try(ctx, func(bool) error { in, err = c.rt.Inspect(ctx, id); return err })
	return in, err
}

// Create removes what an earlier try left, whose answer was lost; that may have been long before, when
// the engine ended in the middle of it, and shows by the name then, which is taken.
func (c *calls) Create(ctx context.Context, s CreateSpec) (id string, err error) {
	err = c.try(ctx, func(again bool) error {
		if again {
			if _, err := c.removeLost(ctx, s); err != nil {
				return err
			}
		}
		id, err = c.rt.Create(ctx, s)
		if errors.Is(err, ErrConflict) {
			if n, lost := c.removeLost(ctx, s); lost == nil && n > 0 {
				id, err = c.rt.Create(ctx, s)
			}
		}
		return err
	})
	return id, err
}

// removeLost removes containers of a spec's number that never ran, and returns how many: one at a time
// is made for it.
func (c *calls) removeLost(ctx context.Context, s CreateSpec) (removed int, err error) {
	all, err := c.rt.Instances(ctx, s.App.Name)
	if err != nil {
		return 0, err
	}
	for _, in := range all {
		if in.ID == s.Inherit || in.Service != s.Service.Name || in.Replica != s.Replica ||
			in.State != StateCreated {
			continue
		}
		if err := c.rt.Remove(ctx, in.ID, true, false); err != nil {
			return removed, fmt.Errorf("remove what a create left whose answer was lost: %w", err)
		}
		removed++
	}
	return removed, nil
}

func (c *calls) Start(ctx context.Context, s CreateSpec, id string) error {
	return c.try(ctx, func(bool) error { return c.rt.Start(ctx, s, id) })
}

func (c *calls) Stop(ctx context.Context, id string, grace time.Duration) error {
	return c.try(ctx, func(bool) error { return c.rt.Stop(ctx, id, grace) })
}

// Kill is done when a try before has ended the container.
func (c *calls) Kill(ctx context.Context, id, signal string) error {
	return c.try(ctx, func(again bool) error {
		err := c.rt.Kill(ctx, id, signal)
		if again && errors.Is(err, ErrConflict) {
			if in, ierr := c.rt.Inspect(ctx, id); ierr == nil && in.State != StateRunning {
				return nil
			}
		}
		return err
	})
}

func (c *calls) Remove(ctx context.Context, id string, force, volumes bool) error {
	return c.try(ctx, func(bool) error { return c.rt.Remove(ctx, id, force, volumes) })
}

type pauses struct{ *retrying }

func (p *pauses) Pause(ctx context.Context, id string) error {
	return p.settled(ctx, id, StatePaused, func() error { return p.rt.Pause(ctx, id) })
}

func (p *pauses) Unpause(ctx context.Context, id string) error {
	return p.settled(ctx, id, StateRunning, func() error { return p.rt.Unpause(ctx, id) })
}

// settled is try for a call that is refused when it was carried out before.
func (p *pauses) settled(ctx context.Context, id string, to State, f func() error) error {
	return p.try(ctx, func(again bool) error {
		err := f()
		if again && err != nil {
			if in, ierr := p.rt.Inspect(ctx, id); ierr == nil && in.State == to {
				return nil
			}
		}
		return err
	})
}

type renames struct{ *retrying }

// Rename is done when a try before has given the name.
func (n *renames) Rename(ctx context.Context, id, name string) error {
	return n.try(ctx, func(again bool) error {
		err := n.rt.Rename(ctx, id, name)
		if again && err != nil {
			if in, ierr := n.rt.Inspect(ctx, id); ierr == nil && in.Name == name {
				return nil
			}
		}
		return err
	})
}

type provisions struct {
	Provisioner
	*retrying
}

func (p *provisions) FindNetwork(ctx context.Context, n NetworkSpec) (found Found, err error) {
	err = p.try(ctx, func(bool) error { found, err = p.rt.FindNetwork(ctx, n); return err })
	return found, err
}

func (p *provisions) FindVolume(ctx context.Context, v VolumeSpec) (found Found, err error) {
	err = p.try(ctx, func(bool) error { found, err = p.rt.FindVolume(ctx, v); return err })
	return found, err
}

func (p *provisions) EnsureNetwork(ctx context.Context, n NetworkSpec) (id string, made bool, err error) {
	err = p.try(ctx, func(bool) error { id, made, err = p.rt.EnsureNetwork(ctx, n); return err })
	return id, made, err
}

func (p *provisions) EnsureVolume(ctx context.Context, v VolumeSpec) (made bool, err error) {
	err = p.try(ctx, func(bool) error { made, err = p.rt.EnsureVolume(ctx, v); return err })
	return made, err
}

func (p *provisions) RemoveNetworks(ctx context.Context, project string, only []string) (all Swept, err error) {
	err = p.try(ctx, func(bool) error {
		more, err := p.rt.RemoveNetworks(ctx, project, only)
		all.Removed, all.Spared = append(all.Removed, more.Removed...), more.Spared
		return err
	})
	return all, err
}

func (p *provisions) RemoveVolumes(ctx context.Context, project string, only []string) (all Swept, err error) {
	err = p.try(ctx, func(bool) error {
		more, err := p.rt.RemoveVolumes(ctx, project, only)
		all.Removed, all.Spared = append(all.Removed, more.Removed...), more.Spared
		return err
	})
	return all, err
}

type imageCalls struct {
	ImageStore
	*retrying
}

func (i *imageCalls) Image(ctx context.Context, ref, platform string) (img Image, err error) {
	err = i.try(ctx, func(bool) error { img, err = i.rt.Image(ctx, ref, platform); return err })
	return img, err
}

func (i *imageCalls) RemoveImage(ctx context.Context, id string, named bool) (removed bool, err error) {
	err = i.try(ctx, func(bool) error { removed, err = i.rt.RemoveImage(ctx, id, named); return err })
	return removed, err
}

func (i *imageCalls) ProjectImages(ctx context.Context, project string, tagged bool) (ids []string, err error) {
	err = i.try(ctx, func(bool) error { ids, err = i.rt.ProjectImages(ctx, project, tagged); return err })
	return ids, err
}

// RetryingHolder is a Holder whose calls are tried again as those of Retrying. A note that was made though
// its answer was lost is found by the next try: it is the one that stands.
func RetryingHolder(h Holder) Holder { return &holds{Holder: h, retrying: &retrying{}} }

type holds struct {
	Holder
	*retrying
}

func (h *holds) HoldProject(
	ctx context.Context, project string, who map[string]string,
) (by map[string]string, err error) {
	err = h.try(ctx, func(bool) error { by, err = h.Holder.HoldProject(ctx, project, who); return err })
	return by, err
}

func (h *holds) ProjectHolder(
	ctx context.Context, project string, keys ...string,
) (by map[string]string, err error) {
	err = h.try(ctx, func(bool) error { by, err = h.Holder.ProjectHolder(ctx, project, keys...); return err })
	return by, err
}

func (h *holds) ReleaseProject(ctx context.Context, project string) error {
	return h.try(ctx, func(bool) error { return h.Holder.ReleaseProject(ctx, project) })
}
