package state

import (
	"math"
	"slices"

	"bulkhead/engine/container"
)

// statsHistory is how many readings are kept of each replica.
const statsHistory = 60

// usage is what a replica uses of CPU, memory and network.
type usage struct {
	last     container.Stats
	cpu      float64 // cores; NaN before the second reading
	mem      int64   // bytes; -1 before the first
	memLimit int64
	rx, tx   float64
	cpuHist  []float64
	memHist  []int64
	netHist  []float64
}

func noUsage() usage { return usage{cpu: math.NaN(), mem: -1, rx: math.NaN(), tx: math.NaN()} }

// begin forgets the readings of a life that is over, and keeps the history.
func (u *usage) begin() {
	u.last, u.cpu, u.mem, u.rx, u.tx = container.Stats{}, math.NaN(), -1, math.NaN(), math.NaN()
}

// take turns a reading into rates against the one before.
func (u *usage) take(st container.Stats) {
	u.mem, u.memLimit = st.Mem, st.MemLimit
	if d := st.Read.Sub(u.last.Read).Seconds(); !u.last.Read.IsZero() && d > 0 && st.CPU >= u.last.CPU {
		u.cpu = (st.CPU - u.last.CPU).Seconds() / d
		u.rx, u.tx = float64(st.NetRx-u.last.NetRx)/d, float64(st.NetTx-u.last.NetTx)/d
		u.cpuHist = append(u.cpuHist, u.cpu)
		u.memHist = append(u.memHist, u.mem)
		u.netHist = append(u.netHist, u.rx+u.tx)
		if n := len(u.cpuHist) - statsHistory; n > 0 {
			u.cpuHist, u.memHist, u.netHist = u.cpuHist[n:], u.memHist[n:], u.netHist[n:]
		}
	}
	u.last = st
}

// addTo adds the readings of a replica that runs to those of its service.
func (u *usage) addTo(out *Service, number int, memTotal int64) {
	out.CPU, out.Mem = plus(out.CPU, u.cpu), max(out.Mem, 0)+max(u.mem, 0)
	if u.memLimit > 0 && u.memLimit < memTotal {
		out.MemLimit += u.memLimit
	}
	if u.mem < 0 {
		out.Mem = -1
	}
	out.NetRx, out.NetTx = plus(out.NetRx, u.rx), plus(out.NetTx, u.tx)
	if number == 1 || out.CPUHistory == nil {
		out.CPUHistory, out.MemHistory, out.NetHistory = slices.Clone(u.cpuHist),
			slices.Clone(u.memHist), slices.Clone(u.netHist)
	}
}

// plus adds readings, taking one that is not there (NaN) as nothing.
func plus(a, b float64) float64 {
	switch {
	case math.IsNaN(a):
		return b
	case math.IsNaN(b):
		return a
	}
	return a + b
}

// Running is a container that runs.
type Running struct {
	Service string
	ID      string
}

// Running lists the containers that run.
func (st *State) Running() []Running {
	st.mu.Lock()
	defer st.mu.Unlock()
	var out []Running
	for name, s := range st.services {
		for _, r := range s.reps.all {
			if r.Live() {
				out = append(out, Running{name, r.Instance.ID})
			}
		}
	}
	return out
}

// Measured takes in readings by container. They wake nobody: who shows them looks often enough, and at
// rest they would be all that moves the screen.
func (st *State) Measured(readings map[string]container.Stats) {
	st.mu.Lock()
	defer st.mu.Unlock()
	for _, s := range st.services {
		for _, r := range s.reps.all {
			if got, ok := readings[r.Instance.ID]; ok && r.Instance.ID != "" {
				r.use.take(got)
			}
		}
	}
	st.seq++
	st.snap = nil
}
