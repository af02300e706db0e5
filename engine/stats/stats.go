// Package stats takes readings of CPU, memory and network of the containers that run: often of those
// that somebody looks at, and now and then of the others. It owns when which reading is due and hands
// the readings to engine/state, which keeps them. The engine runs it.
package stats

import (
	"context"
	"slices"
	"sync"
	"time"

	"bulkhead/engine/container"
	"bulkhead/engine/state"
)

const (
	every  = 2 * time.Second  // between two readings of a container that somebody looks at
	calm   = 10 * time.Second // of one that nobody looks at
	atOnce = 4                // readings under way at the same time
	quick  = 5 * time.Millisecond
)

// Attention is how closely somebody looks at the readings of CPU, memory and network. The zero
// value wants all of them often.
type Attention struct {
	Away     bool     // the terminal has no focus
	Services []string // those whose readings are seen; nil: all
}

// Sampler takes the readings. Its methods may be called from any goroutine.
type Sampler struct {
	meter container.Meter
	state *state.State
	look  chan struct{} // capacity 1: the attention changed

	mu        sync.Mutex
	attention Attention
	read      map[string]time.Time // when a container's use was asked for last; used by Run alone
}

// New makes a Sampler.
func New(meter container.Meter, st *state.State) *Sampler {
	return &Sampler{meter: meter, state: st, look: make(chan struct{}, 1), read: map[string]time.Time{}}
}

// SetAttention says whose readings to take often; those of the others are taken now and then, for the sums.
func (s *Sampler) SetAttention(a Attention) {
	s.mu.Lock()
	s.attention = a
	s.mu.Unlock()
	select {
	case s.look <- struct{}{}:
	default: // it is going to look anyway
	}
}

// due lists whose reading is to be taken now.
func (s *Sampler) due(all []state.Running, now time.Time) []string {
	s.mu.Lock()
	a := s.attention
	s.mu.Unlock()
	var out []string
	read := map[string]time.Time{} // without those that are gone
	for _, c := range all {
		pause := every
		if a.Away || a.Services != nil && !slices.Contains(a.Services, c.Service) {
			pause = calm
		}
		read[c.ID] = s.read[c.ID]
		if now.Sub(read[c.ID]) > pause-every/4 { // a turn comes a little early at times
			read[c.ID] = now
			out = append(out, c.ID)
		}
	}
	s.read = read
	return out
}

// Run takes readings, one-shot, until ctx ends.
func (s *Sampler) Run(ctx context.Context) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		if ids := s.due(s.state.Running(), time.Now()); len(ids) > 0 {
			s.state.Measured(s.readAll(ctx, ids))
		}
		select {
		case <-tick.C:
		case <-s.look:
		case <-ctx.Done():
			return nil
		}
	}
}

// readAll takes readings of containers. One that ended meanwhile has none; its end comes as an event.
func (s *Sampler) readAll(ctx context.Context, ids []string) map[string]container.Stats {
	var mu sync.Mutex
	out := map[string]container.Stats{}
	read := func(id string) {
		if got, err := s.meter.Stats(ctx, id); err == nil {
			mu.Lock()
			defer mu.Unlock()
			out[id] = got
		}
	}
	// Where the runtime reads the kernel's counters a reading takes less than starting a goroutine for it would wake up.
	slots := make(chan struct{}, atOnce)
	var wg sync.WaitGroup
	slow := false
	for _, id := range ids {
		if slow {
			slots <- struct{}{}
			wg.Go(func() {
				defer func() { <-slots }()
				read(id)
			})
			continue
		}
		began := time.Now()
		read(id)
		slow = time.Since(began) > quick
	}
	wg.Wait()
	return out
}
