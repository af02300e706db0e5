package step

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"time"

	"github.com/compose-spec/compose-go/v2/types"

	"bulkhead/engine/container"
	"bulkhead/engine/project"
)

// overlapWait is how long a new generation may take to become ready beside the old one.
const overlapWait = time.Minute

// swap is one container that takes the place of another.
type swap struct {
	*Runner
	s     Service
	old   container.Instance
	spec  container.CreateSpec
	mode  Mode
	cause string
	timer Timer
	id    string // of the new one
}

// Swapped is what a swap left.
type Swapped struct {
	How  Stop   // the old container was stopped
	Note string // a line about it, or ""
	Left string // id of the old container, which ClearAway removes; "" where the new one has the same
}

// Swap puts a new container in the place of one that is there, and returns how the old one ended.
// Where the runtime does not do all of it by itself, the new one is made, and given its files, while
// the old one still serves; when it does not start, it goes and the old one comes back. The old one is
// left for ClearAway, for which nobody has to wait.
func (r *Runner) Swap(
	ctx context.Context, s Service, old container.Instance, spec container.CreateSpec, m Mode,
	cause string, timer Timer,
) (Swapped, error) {
	if m.Overlap {
		if err := canOverlap(s.Conf, spec.Image); err != nil {
			return Swapped{}, err
		}
	}
	if r.rt.Caps.Swap {
		return r.swapWhole(ctx, s, old, spec, m, cause, timer)
	}
	name := spec.FinalName()
	id, spec, err := r.createBeside(ctx, s, old, spec, cause, timer)
	if err != nil {
		return Swapped{}, err
	}
	if m.PreStart {
		// Before the old one stops: it serves on when a hook fails.
		if err := r.PreStart(ctx, s, spec, id); err != nil {
			return Swapped{}, r.discard(ctx, s, id, err)
		}
	}
	r.host.ExpectEnd(s.name(), old.ID, cause)
	w := &swap{Runner: r, s: s, old: old, spec: spec, mode: m, cause: cause, timer: timer, id: id}
	handOver := w.replace
	if m.Overlap {
		handOver = w.overlap
	}
	e, err := handOver(ctx)
	if err != nil {
		return Swapped{}, err
	}
	// Asked only now, because each request between stop and start makes the gap longer.
	did := Swapped{Left: old.ID}
	did.How, did.Note, err = r.how(ctx, s, e)
	if err != nil {
		return did, err
	}
	// From here on the new generation serves; what is left is tidying.
	if err := w.makeRoom(ctx, name); err != nil {
		return did, err
	}
	if err := r.rt.Rename(ctx, id, name); err != nil {
		return did, container.WrapErr(err, "rename the new container of %s", s.name())
	}
	return did, r.host.Refresh(ctx, s.name(), id, "")
}

// makeRoom takes the name that the new container gets from the old one. What is known of the old one's
// name may be from before the engine was away, so it is asked where it is said to be another.
func (w *swap) makeRoom(ctx context.Context, name string) error {
	if w.old.Name != name {
		in, err := w.rt.Inspect(ctx, w.old.ID)
		if errors.Is(err, container.ErrNotFound) || err == nil && in.Name != name {
			return nil
		}
		if err != nil {
			return container.WrapErr(err, "look at the old container of %s", w.s.name())
		}
	}
	err := w.rt.Rename(ctx, w.old.ID, name+"_"+container.ShortID(w.old.ID))
	if err != nil && !errors.Is(err, container.ErrNotFound) {
		return container.WrapErr(err, "rename the old container of %s", w.s.name())
	}
	return nil
}

// ClearAway removes a container that another one has replaced.
func (r *Runner) ClearAway(ctx context.Context, service, id string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), Critical)
	defer cancel()
	if err := r.rt.Remove(ctx, id, true, false); err != nil {
		return container.WrapErr(err, "remove the old container of %s", service)
	}
	return nil
}

// replace stops the old container and starts the new one.
func (w *swap) replace(ctx context.Context) (ended, error) {
	began := time.Now()
	e, err := w.end(ctx, w.s, w.old, w.mode, w.cause)
	if err != nil {
		return e, w.discard(ctx, w.s, w.id, err)
	}
	since(w.timer, "stop", began)
	if err := w.Start(ctx, w.s, w.spec, w.id, w.cause, w.timer); err != nil {
		err = w.discard(ctx, w.s, w.id, err)
		if w.old.State != container.StateRunning {
			return e, err
		}
		back := w.spec
		back.Inherit = ""
		return e, errors.Join(err, w.Start(ctx, w.s, back, w.old.ID, "the new generation did not start", nil))
	}
	return e, nil
}

// overlap starts the new container beside the old one, and stops the old one only once the new one
// is ready. One that does not become ready goes again, and the old one stays.
func (w *swap) overlap(ctx context.Context) (ended, error) {
	if err := w.Start(ctx, w.s, w.spec, w.id, w.cause, w.timer); err != nil {
		return ended{}, w.keepOld(ctx, err)
	}
	began := time.Now()
	wait, cancel := context.WithTimeout(ctx, overlapWait)
	defer cancel()
	err := w.host.AwaitReady(wait, w.s.name(), w.spec.Replica, w.id)
	since(w.timer, "ready", began)
	if errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("%s: the new generation was not ready within %s", w.s.name(),
			container.Brief(overlapWait))
	}
	if err != nil {
		return ended{}, w.keepOld(ctx, err)
	}
	began = time.Now()
	e, err := w.end(ctx, w.s, w.old, w.mode, w.cause)
	since(w.timer, "stop", began)
	return e, err
}

// keepOld undoes the start of a new generation that came to nothing.
func (w *swap) keepOld(ctx context.Context, cause error) error {
	in, err := w.rt.Inspect(ctx, w.old.ID)
	if err != nil {
		return errors.Join(cause, err)
	}
	w.host.Adopt(w.s.name(), w.spec.Replica, in, "the new generation did not become ready")
	w.host.StopFailed(w.s.name(), w.old.ID) // it was not even tried
	return w.discard(ctx, w.s, w.id, cause)
}

// canOverlap refuses what makes two generations at the same time impossible, or unsafe.
func canOverlap(conf *project.Service, img container.Image) error {
	c := conf.Config
	refuse := func(why string) error {
		return container.WithRemedy(fmt.Errorf("swap %s: swap: overlap cannot be, because it has %s",
			conf.Name, why), "take that away, or write swap: replace")
	}
	for _, p := range c.Ports {
		if p.Published != "" && p.Published != "0" {
			return refuse("the published port " + p.Published)
		}
	}
	if c.ContainerName != "" {
		return refuse("a container_name")
	}
	for name, n := range c.Networks {
		if n != nil && (n.Ipv4Address != "" || n.Ipv6Address != "" || n.MacAddress != "") {
			return refuse("a fixed address in network " + name)
		}
	}
	for _, v := range c.Volumes {
		if (v.Type == "volume" || v.Type == "bind") && !v.ReadOnly {
			return refuse("the writable volume " + v.Target)
		}
	}
	for _, at := range img.Volumes {
		covered := func(v types.ServiceVolumeConfig) bool { return path.Clean(v.Target) == path.Clean(at) }
		if !slices.ContainsFunc(c.Volumes, covered) {
			return refuse("the volume " + at + " of its image")
		}
	}
	return nil
}
