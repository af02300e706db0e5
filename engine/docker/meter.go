package docker

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	moby "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"bulkhead/engine/container"
)

// meter is the container.Meter.
type meter struct {
	conn *connection

	mu     sync.Mutex
	groups map[string]*cgroupStats // by container id; nil for one that cannot be read from here
}

var _ container.Meter = (*Runtime)(nil)

func newMeter(c *connection) *meter { return &meter{conn: c, groups: map[string]*cgroupStats{}} }

// Stats implements container.Meter. Of a container on this machine it reads the
// kernel's own counters, which costs the engine nothing; of others it asks the
// engine. It is container.ErrNotFound for a container that does not run.
func (m *meter) Stats(ctx context.Context, id string) (container.Stats, error) {
	if s, ok := m.localStats(ctx, id); ok {
		return s, nil
	}
	return m.askStats(ctx, id)
}

// askStats asks the engine for one reading.
func (m *meter) askStats(ctx context.Context, id string) (container.Stats, error) {
	what := "read the use of " + container.ShortID(id)
	res, err := m.conn.cli.ContainerStats(ctx, id, client.ContainerStatsOptions{})
	if err != nil {
		return container.Stats{}, m.conn.wrap(what, err)
	}
	defer res.Body.Close()
	var s moby.StatsResponse
	if err := json.NewDecoder(res.Body).Decode(&s); err != nil {
		return container.Stats{}, m.conn.wrap(what, err)
	}
	if s.Read.Year() <= 1 {
		return container.Stats{}, fmt.Errorf("%s: %w: it does not run", what, container.ErrNotFound)
	}
	return stats(s), nil
}

// localStats reads the counters of a container of this machine. What it found out
// about the container's present life is kept; nil stands for one that cannot be
// seen from here.
func (m *meter) localStats(ctx context.Context, id string) (container.Stats, bool) {
	if !m.conn.local(ctx) {
		return container.Stats{}, false
	}
	m.mu.Lock()
	g, found := m.groups[id]
	m.mu.Unlock()
	if found && g == nil {
		return container.Stats{}, false
	}
	if found {
		if s, err := g.read(id); err == nil {
			return s, true
		}
		m.mu.Lock()
		delete(m.groups, id) // this life is over
		m.mu.Unlock()
	}
	c, err := m.conn.running(ctx, id)
	if err != nil {
		return container.Stats{}, false // the engine's own answer says why
	}
	mode := moby.NetworkMode("")
	if c.HostConfig != nil {
		mode = c.HostConfig.NetworkMode
	}
	if g, err = findCgroup(c.State.Pid, c.ID, !mode.IsHost() && !mode.IsContainer()); err != nil {
		g = nil
	}
	m.mu.Lock()
	m.groups[id] = g
	m.mu.Unlock()
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
