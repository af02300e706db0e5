package engine

import (
	"context"
	"sync"
	"time"
)

const (
	statsEvery   = 2 * time.Second  // between two readings of a replica while somebody looks
	statsCalm    = 10 * time.Second // while the terminal is not in focus
	statsAtOnce  = 4                // readings under way at the same time
	statsHistory = 60               // readings kept of each replica
)

// readStats takes readings of CPU, memory and network of what runs, one-shot, until ctx ends.
func (e *Engine) readStats(ctx context.Context) error {
	for {
		e.mu.Lock()
		every := statsCalm
		if e.focused {
			every = statsEvery
		}
		type target struct {
			r  *replica
			id string
		}
		var all []target
		for _, s := range e.svcs {
			for _, r := range s.reps {
				if r.live() {
					all = append(all, target{r, r.inst.ID})
				}
			}
		}
		e.mu.Unlock()
		slots := make(chan struct{}, statsAtOnce)
		var wg sync.WaitGroup
		for _, t := range all {
			slots <- struct{}{}
			wg.Go(func() {
				defer func() { <-slots }()
				// A container that ended meanwhile has no reading; its end is told by an event.
				if st, err := e.rt.Stats(ctx, t.id); err == nil {
					e.mu.Lock()
					if t.r.inst.ID == t.id {
						t.r.take(st)
					}
					e.mu.Unlock()
				}
			})
		}
		wg.Wait()
		if len(all) > 0 {
			e.mu.Lock()
			e.bump()
			e.mu.Unlock()
		}
		select {
		case <-time.After(every):
		case <-ctx.Done():
			return nil
		}
	}
}

// take turns a reading into rates against the one before. Callers hold mu.
func (r *replica) take(st Stats) {
	r.mem = st.Mem
	if d := st.Read.Sub(r.last.Read).Seconds(); !r.last.Read.IsZero() && d > 0 && st.CPU >= r.last.CPU {
		r.cpu = (st.CPU - r.last.CPU).Seconds() / d
		r.rx, r.tx = float64(st.NetRx-r.last.NetRx)/d, float64(st.NetTx-r.last.NetTx)/d
		r.cpuHist = append(r.cpuHist, r.cpu)
		r.memHist = append(r.memHist, r.mem)
		if n := len(r.cpuHist); n > statsHistory {
			r.cpuHist, r.memHist = r.cpuHist[n-statsHistory:], r.memHist[n-statsHistory:]
		}
	}
	r.last = st
}
