package docker

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"bulkhead/engine"
)

// Stats implements engine.Runtime. It is engine.ErrNotFound for a container that does not run.
func (r *Runtime) Stats(ctx context.Context, id string) (engine.Stats, error) {
	what := "read the use of " + short(id)
	res, err := r.cli.ContainerStats(ctx, id, client.ContainerStatsOptions{})
	if err != nil {
		return engine.Stats{}, r.wrap(what, err)
	}
	defer res.Body.Close()
	var s container.StatsResponse
	if err := json.NewDecoder(res.Body).Decode(&s); err != nil {
		return engine.Stats{}, r.wrap(what, err)
	}
	if s.Read.Year() <= 1 {
		return engine.Stats{}, fmt.Errorf("%s: %w: it does not run", what, engine.ErrNotFound)
	}
	return stats(s), nil
}

func stats(s container.StatsResponse) engine.Stats {
	out := engine.Stats{
		Read:     s.Read,
		CPU:      time.Duration(s.CPUStats.CPUUsage.TotalUsage),
		Mem:      memory(s.MemoryStats),
		MemLimit: int64(s.MemoryStats.Limit),
		Pids:     int(s.PidsStats.Current),
	}
	if s.OSType == "windows" {
		out.CPU *= 100 // counted in 100 ns
		out.Mem = int64(s.MemoryStats.PrivateWorkingSet)
		out.Pids = int(s.NumProcs)
	}
	for _, n := range s.Networks {
		out.NetRx += int64(n.RxBytes)
		out.NetTx += int64(n.TxBytes)
	}
	return out
}

// memory leaves out the page cache that the kernel can take back at once, as `docker stats` does.
func memory(m container.MemoryStats) int64 {
	for _, cache := range []string{"total_inactive_file", "inactive_file"} { // cgroup v1, v2
		if n, ok := m.Stats[cache]; ok && n < m.Usage {
			return int64(m.Usage - n)
		}
	}
	return int64(m.Usage)
}
