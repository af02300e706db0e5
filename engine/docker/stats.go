package docker

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	moby "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"bulkhead/engine/container"
)

// Stats implements container.Runtime. Of a container on this machine it reads the kernel's own counters, which costs the engine nothing; of
// others it asks the engine. It is container.ErrNotFound for a container that does not run.
func (r *Runtime) Stats(ctx context.Context, id string) (container.Stats, error) {
	if s, ok := r.localStats(ctx, id); ok {
		return s, nil
	}
	return r.askStats(ctx, id)
}

// askStats asks the engine for one reading.
func (r *Runtime) askStats(ctx context.Context, id string) (container.Stats, error) {
	what := "read the use of " + short(id)
	res, err := r.cli.ContainerStats(ctx, id, client.ContainerStatsOptions{})
	if err != nil {
		return container.Stats{}, r.wrap(what, err)
	}
	defer res.Body.Close()
	var s moby.StatsResponse
	if err := json.NewDecoder(res.Body).Decode(&s); err != nil {
		return container.Stats{}, r.wrap(what, err)
	}
	if s.Read.Year() <= 1 {
		return container.Stats{}, fmt.Errorf("%s: %w: it does not run", what, container.ErrNotFound)
	}
	return stats(s), nil
}

// localStats reads the counters of a container of this machine. What it found out about the container's present life is kept; nil stands
// for one that cannot be seen from here.
func (r *Runtime) localStats(ctx context.Context, id string) (container.Stats, bool) {
	if info, err := r.Info(ctx); err != nil || !info.Local {
		return container.Stats{}, false
	}
	r.mu.Lock()
	g, found := r.gauges[id]
	r.mu.Unlock()
	if found && g == nil {
		return container.Stats{}, false
	}
	if found {
		if s, err := g.read(id); err == nil {
			return s, true
		}
		r.mu.Lock()
		delete(r.gauges, id) // this life is over
		r.mu.Unlock()
	}
	c, err := r.running(ctx, id)
	if err != nil {
		return container.Stats{}, false // the engine tells why
	}
	mode := moby.NetworkMode("")
	if c.HostConfig != nil {
		mode = c.HostConfig.NetworkMode
	}
	if g, err = findGauge(c.State.Pid, c.ID, !mode.IsHost() && !mode.IsContainer()); err != nil {
		g = nil
	}
	r.mu.Lock()
	if r.gauges == nil {
		r.gauges = map[string]*gauge{}
	}
	r.gauges[id] = g
	r.mu.Unlock()
	if g == nil {
		return container.Stats{}, false
	}
	s, err := g.read(id)
	return s, err == nil
}

func stats(s moby.StatsResponse) container.Stats {
	out := container.Stats{
		Read:     s.Read,
		CPU:      time.Duration(s.CPUStats.CPUUsage.TotalUsage),
		Mem:      memory(s.MemoryStats),
		MemLimit: int64(s.MemoryStats.Limit),
	}
	if s.OSType == "windows" {
		out.CPU *= 100 // counted in 100 ns
		out.Mem = int64(s.MemoryStats.PrivateWorkingSet)
	}
	for _, n := range s.Networks {
		out.NetRx += int64(n.RxBytes)
		out.NetTx += int64(n.TxBytes)
	}
	return out
}

// memory leaves out the page cache that the kernel can take back at once, as `docker stats` does.
func memory(m moby.MemoryStats) int64 {
	for _, cache := range []string{"total_inactive_file", "inactive_file"} { // cgroup v1, v2
		if n, ok := m.Stats[cache]; ok && n < m.Usage {
			return int64(m.Usage - n)
		}
	}
	return int64(m.Usage)
}
