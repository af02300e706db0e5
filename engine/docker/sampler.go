package docker

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	moby "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"bulkhead/engine/container"
)

// sampler is the container.Sampler.
type sampler struct {
	conn *connection
}

var _ container.Sampler = (*Runtime)(nil)

// Sample implements container.Sampler. The engine takes about a second for it: it reads twice.
func (s *sampler) Sample(ctx context.Context, id string) (container.Sample, error) {
	what := "read the use of " + container.ShortID(id)
	res, err := s.conn.cli.ContainerStats(ctx, id, client.ContainerStatsOptions{IncludePreviousSample: true})
	if err != nil {
		return container.Sample{}, s.conn.wrap(what, err)
	}
	defer res.Body.Close()
	var r moby.StatsResponse
	if err := json.NewDecoder(res.Body).Decode(&r); err != nil {
		return container.Sample{}, s.conn.wrap(what, err)
	}
	if r.Read.Year() <= 1 {
		return container.Sample{}, fmt.Errorf("%s: %w: it does not run", what, container.ErrNotFound)
	}
	return sample(r), nil
}

// sample computes what docker stats shows.
func sample(r moby.StatsResponse) container.Sample {
	out := container.Sample{Mem: float64(memory(r.MemoryStats)),
		MemLimit: float64(r.MemoryStats.Limit), Processes: r.PidsStats.Current}
	if r.OSType == "windows" {
		out.Mem, out.MemLimit = float64(r.MemoryStats.PrivateWorkingSet), 0
	}
	used := float64(r.CPUStats.CPUUsage.TotalUsage) - float64(r.PreCPUStats.CPUUsage.TotalUsage)
	all := float64(r.CPUStats.SystemUsage) - float64(r.PreCPUStats.SystemUsage)
	cpus := float64(r.CPUStats.OnlineCPUs)
	if cpus == 0 {
		cpus = float64(len(r.CPUStats.CPUUsage.PercpuUsage))
	}
	if used > 0 && all > 0 {
		out.CPU = used / all * cpus * 100
	}
	for _, n := range r.Networks {
		out.NetRx += float64(n.RxBytes)
		out.NetTx += float64(n.TxBytes)
	}
	for _, e := range r.BlkioStats.IoServiceBytesRecursive {
		switch {
		case strings.EqualFold(e.Op, "read"):
			out.BlkRead += float64(e.Value)
		case strings.EqualFold(e.Op, "write"):
			out.BlkWrite += float64(e.Value)
		}
	}
	return out
}
