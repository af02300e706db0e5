package engine

import (
	"context"
	"slices"
	"sync"
	"time"
)

const (
	statsEvery   = 2 * time.Second  // between two readings of a replica that somebody looks at
	statsCalm    = 10 * time.Second // of one that nobody looks at
	statsAtOnce  = 4                // readings under way at the same time
	statsQuick   = 5 * time.Millisecond
	statsHistory = 60 // readings kept of each replica
)

// due is a replica whose reading is to be taken.
type due struct {
	r  *replica
	id string
}

// dueStats lists whose reading is to be taken now. Callers hold mu.
func (e *Engine) dueStats(now time.Time) []due {
	var out []due
	for name, s := range e.svcs {
		every := statsEvery
		if a := &e.attention; a.Away || a.Services != nil && !slices.Contains(a.Services, name) {
			every = statsCalm
		}
		for _, r := range s.reps {
			if r.live() && now.Sub(r.read) > every-statsEvery/4 { // a turn comes a little early at times
				r.read = now
				out = append(out, due{r, r.inst.ID})
			}
		}
	}
	return out
}

// readStats takes readings of CPU, memory and network of what runs, one-shot, until ctx ends.
func (e *Engine) readStats(ctx context.Context) error {
	tick := time.NewTicker(statsEvery)
	defer tick.Stop()
	for {
		e.mu.Lock()
		all := e.dueStats(time.Now())
		e.mu.Unlock()
		taken := len(all)
		read := func(d due) {
			// A container that ended meanwhile has no reading; its end comes as an event.
			if st, err := e.rt.Stats(ctx, d.id); err == nil {
				e.mu.Lock()
				if d.r.inst.ID == d.id {
					d.r.take(st)
				}
				e.mu.Unlock()
			}
		}
		// Where the runtime reads the kernel's counters a reading takes less than starting a goroutine for it would wake up.
		slots := make(chan struct{}, statsAtOnce)
		var wg sync.WaitGroup
		for slow := false; len(all) > 0; all = all[1:] {
			if slow {
				d := all[0]
				slots <- struct{}{}
				wg.Go(func() {
					defer func() { <-slots }()
					read(d)
				})
				continue
			}
			began := time.Now()
			read(all[0])
			slow = time.Since(began) > statsQuick
		}
		wg.Wait()
		if taken > 0 {
			// Readings wake nobody: who shows them looks often enough, and at rest they would be all that moves the screen.
			e.mu.Lock()
			e.seq++
			e.snap = nil
			e.mu.Unlock()
		}
		select {
		case <-tick.C:
		case <-e.look:
		case <-ctx.Done():
			return nil
		}
	}
}

// take turns a reading into rates against the one before. Callers hold mu.
func (r *replica) take(st Stats) {
	r.mem, r.memLimit = st.Mem, st.MemLimit
	if d := st.Read.Sub(r.last.Read).Seconds(); !r.last.Read.IsZero() && d > 0 && st.CPU >= r.last.CPU {
		r.cpu = (st.CPU - r.last.CPU).Seconds() / d
		r.rx, r.tx = float64(st.NetRx-r.last.NetRx)/d, float64(st.NetTx-r.last.NetTx)/d
		r.cpuHist = append(r.cpuHist, r.cpu)
		r.memHist = append(r.memHist, r.mem)
		r.netHist = append(r.netHist, r.rx+r.tx)
		if n := len(r.cpuHist) - statsHistory; n > 0 {
			r.cpuHist, r.memHist, r.netHist = r.cpuHist[n:], r.memHist[n:], r.netHist[n:]
		}
	}
	r.last = st
}
