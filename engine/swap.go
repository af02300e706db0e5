package engine

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"time"

	"github.com/compose-spec/compose-go/v2/types"

	"bulkhead/engine/project"
)

// overlapWait is how long a new generation may take to become ready beside the old one.
const overlapWait = time.Minute

// swap puts a new container in the place of one that is there. The new one is made, and given its files, while the old one still
// serves; when it does not start, it goes and the old one comes back.
func (e *Engine) swap(ctx context.Context, s *service, old Instance, spec CreateSpec, m stopMode, cause string, k *change) error {
	overlap := s.conf.Extra.Swap == project.Overlap && old.State == StateRunning
	if overlap {
		if err := canOverlap(s.conf, spec.Image); err != nil {
			return err
		}
	}
	spec.Inherit = old.ID
	var id string
	if err := timed(k, "create", func() (err error) {
		id, err = e.create(ctx, s, spec, old.ID[:min(12, len(old.ID))]+"_"+containerName(spec), cause)
		return err
	}); err != nil {
		return err
	}
	e.mu.Lock()
	if r := s.replica(spec.Replica); r.inst.ID == old.ID {
		r.byUs, r.blame = true, cause
	}
	e.mu.Unlock()
	handOver := e.replace
	if overlap {
		handOver = e.overlap
	}
	end, err := handOver(ctx, s, old, id, spec, m, cause, k)
	if err != nil {
		return err
	}
	// Asked only now, because each request between stop and start makes the gap longer.
	if err := e.noteStop(ctx, s, end, k); err != nil {
		return err
	}
	// From here on the new generation serves; what is left is tidying, for which the lane does not wait.
	if old.Name == containerName(spec) {
		if err := e.rt.Rename(ctx, old.ID, old.Name+"_"+short(old.ID)); err != nil && !errors.Is(err, ErrNotFound) {
			return say(err, "rename the old container of %s", s.name)
		}
	}
	if err := e.rt.Rename(ctx, id, containerName(spec)); err != nil {
		return say(err, "rename the new container of %s", s.name)
	}
	if err := e.refresh(ctx, s, id, ""); err != nil {
		return err
	}
	e.restartDependents(s, s.name+" was recreated")
	e.launch("old container of "+s.name, func(ctx context.Context) error {
		tidy, cancel := context.WithTimeout(context.WithoutCancel(ctx), critical)
		defer cancel()
		e.clearAway(tidy, s, old.ID)
		return nil
	})
	return nil
}

// clearAway removes a container that another one has replaced, and then the images that nobody runs any more.
func (e *Engine) clearAway(ctx context.Context, s *service, id string) {
	if err := e.rt.Remove(ctx, id, true, false); err != nil {
		e.warn(firstLine(say(err, "remove the old container of %s", s.name))) // the next up finds it and tries again
		return
	}
	e.dropRecords(id)
	e.dropImages(ctx)
}

// replace stops the old container and starts the new one.
func (e *Engine) replace(ctx context.Context, s *service, old Instance, id string, spec CreateSpec, m stopMode, cause string, k *change) (stopped, error) {
	began := time.Now()
	end, err := e.stopInstance(ctx, s, old, m, cause)
	if err != nil {
		return end, e.discard(ctx, s, id, err)
	}
	timedSince(k, "stop", began)
	if err := e.start(ctx, s, spec, id, cause, k); err != nil {
		err = e.discard(ctx, s, id, err)
		if old.State != StateRunning {
			return end, err
		}
		spec.Inherit = ""
		return end, errors.Join(err, e.start(ctx, s, spec, old.ID, "the new generation did not start", nil))
	}
	return end, nil
}

// overlap starts the new container beside the old one, and stops the old one only once the new one is ready. One that does not become
// ready goes again, and the old one stays.
func (e *Engine) overlap(ctx context.Context, s *service, old Instance, id string, spec CreateSpec, m stopMode, cause string, k *change) (stopped, error) {
	if err := e.start(ctx, s, spec, id, cause, k); err != nil {
		return stopped{}, e.keepOld(ctx, s, old, id, spec, err)
	}
	began := time.Now()
	wait, cancel := context.WithTimeout(ctx, overlapWait)
	defer cancel()
	err := e.await(wait, func() (bool, error) {
		r := s.replica(spec.Replica)
		if r.inst.ID != id || r.inst.State == StateExited {
			return false, fmt.Errorf("%s: the new generation exited with code %d before it was ready", s.name, r.inst.ExitCode)
		}
		return r.ready(s.conf), nil
	})
	timedSince(k, "ready", began)
	if err != nil {
		if errors.Is(err, context.DeadlineExceeded) {
			err = fmt.Errorf("%s: the new generation was not ready within %s", s.name, brief(overlapWait))
		}
		return stopped{}, e.keepOld(ctx, s, old, id, spec, err)
	}
	began = time.Now()
	end, err := e.stopInstance(ctx, s, old, m, cause)
	timedSince(k, "stop", began)
	return end, err
}

// keepOld undoes the start of a new generation that came to nothing.
func (e *Engine) keepOld(ctx context.Context, s *service, old Instance, id string, spec CreateSpec, cause error) error {
	in, err := e.rt.Inspect(ctx, old.ID)
	if err != nil {
		return errors.Join(cause, err)
	}
	e.adopt(s, spec.Replica, in, "the new generation did not become ready")
	return e.discard(ctx, s, id, cause)
}

// canOverlap refuses what makes two generations at the same time impossible, or unsafe.
func canOverlap(conf *project.Service, img Image) error {
	c := conf.Config
	refuse := func(why string) error {
		return fmt.Errorf("swap %s: swap: overlap cannot be, because it has %s; take that away, or write swap: replace", conf.Name, why)
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
