package docker

import (
	"context"

	moby "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"bulkhead/engine/container"
)

// limiter is the container.Limiter.
type limiter struct {
	conn *connection
}

var _ container.Limiter = (*Runtime)(nil)

const (
	cpuPeriod = 100_000 // microseconds: the kernel's default
	// bytes: the kernel's largest limit; an update takes 0 as unchanged and refuses -1
	noMemory = 0x7FFFFFFFFFFFF000
)

// Limits implements container.Limiter.
func (l *limiter) Limits(ctx context.Context, id string) (container.Limits, error) {
	h, err := l.resources(ctx, id)
	if err != nil {
		return container.Limits{}, err
	}
	out := container.Limits{Memory: h.Memory, Swap: h.MemorySwap}
	switch {
	case h.NanoCPUs > 0:
		out.CPUs = float64(h.NanoCPUs) / 1e9
	case h.CPUQuota > 0:
		out.CPUs = float64(h.CPUQuota) / float64(period(h))
	}
	if out.Memory >= noMemory {
		out.Memory = 0
	}
	return out, nil
}

// SetLimits implements container.Limiter. What was made with NanoCPUs keeps to them: the engine
// refuses a quota beside them, and they cannot be taken back. All others get a quota, which can.
func (l *limiter) SetLimits(ctx context.Context, id string, to container.Limits) error {
	h, err := l.resources(ctx, id)
	if err != nil {
		return err
	}
	info, err := l.conn.Info(ctx)
	if err != nil {
		return err
	}
	noSwap := int64(-1)
	if info.Cgroup == "1" {
		// The limit of both is written after that of memory alone, which must not be above it, unless it is a number.
		noSwap = noMemory
	}
	var r moby.Resources
	switch {
	case to.CPUs < 0:
	case h.NanoCPUs > 0 && to.CPUs > 0:
		r.NanoCPUs = int64(to.CPUs * 1e9)
	case to.CPUs == 0:
		r.CPUPeriod, r.CPUQuota = period(h), -1
	default:
		r.CPUPeriod, r.CPUQuota = period(h), max(int64(to.CPUs*float64(period(h))), 1000) // less is refused
	}
	switch {
	case to.Memory < 0:
	case to.Memory == 0:
		r.Memory, r.MemorySwap = noMemory, noSwap
	case to.Swap == -1:
		r.Memory, r.MemorySwap = to.Memory, noSwap
	default:
		r.Memory, r.MemorySwap = to.Memory, to.Swap
		if to.Swap == 0 {
			r.MemorySwap = to.Memory // none beside it, or what is over the limit would be swapped out
		}
	}
	_, err = l.conn.cli.ContainerUpdate(ctx, id, client.ContainerUpdateOptions{Resources: &r})
	return l.conn.wrap("change the limits of "+container.ShortID(id), err)
}

func (l *limiter) resources(ctx context.Context, id string) (moby.Resources, error) {
	c, err := l.conn.cli.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
	if err != nil {
		return moby.Resources{}, l.conn.wrap("look at "+container.ShortID(id), err)
	}
	if c.Container.HostConfig == nil {
		return moby.Resources{}, nil
	}
	return c.Container.HostConfig.Resources, nil
}

func period(r moby.Resources) int64 {
	if r.CPUPeriod > 0 {
		return r.CPUPeriod
	}
	return cpuPeriod
}
