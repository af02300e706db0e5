package ui

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"bulkhead/engine/logs"
)

// flood writes 100,000 lines a second into the store of b, spread over its services, until ctx
// ends. It says how many it wrote.
func flood(ctx context.Context, b *fake) (wait func() int) {
	const perSecond, every = 100_000, 5 * time.Millisecond
	var wg sync.WaitGroup
	n := 0
	services := b.Snapshot().Services
	wg.Go(func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		began := time.Now()
		for {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
			// What a tick that came late left out is made up for.
			for due := int(time.Since(began).Seconds() * perSecond); n < due; n++ {
				b.store.Append(services[n%len(services)].Name, 1, 1, logs.Stdout,
					start.Add(time.Duration(n)*10*time.Microsecond),
					fmt.Appendf(nil, "INFO  GET /orders/%d 200 14ms user=%d trace=0123456789abcdef", n, n%977))
			}
			b.mu.Lock()
			b.tell()
			b.mu.Unlock()
		}
	})
	return func() int { wg.Wait(); return n }
}

// Every key has its effect on the terminal while 100,000 lines a second arrive, and before they
// end. How soon: `make bench BENCH=flood`.
func TestKeysAreAnsweredUnderFlood(t *testing.T) {
	b := shop()
	s := openScreen(t, b, 200, 50)
	s.wait("> ● api")
	ctx, stop := context.WithCancel(t.Context())
	wait := flood(ctx, b)
	defer wait()
	defer stop()
	s.wait("GET /orders/") // it is running
	selected := func(row int) bool {
		c := s.cells().CellAt(1, row)
		return c != nil && c.Content == ">"
	}
	for i := range 20 {
		key, row := "j", 4
		if i%2 == 1 {
			key, row = "k", 3
		}
		s.keys(key)
		s.until(fmt.Sprintf("the effect of key %d", i), func(string) bool { return selected(row) })
	}
	stop()
	t.Logf("%d lines came meanwhile", wait())
	s.quit()
}

// BenchmarkFrameUnderFlood draws frames at 200x50 with 30 services while 100,000 lines a second arrive.
func BenchmarkFrameUnderFlood(b *testing.B) {
	for _, focus := range []paneID{paneServices, paneLogs} {
		b.Run(fmt.Sprintf("services=30/200x50/focus=%s", focus), func(b *testing.B) {
			m, f := load(b, 30, 200, 50)
			m.e.focusPane(focus)
			ctx, stop := context.WithCancel(b.Context())
			wait := flood(ctx, f)
			b.ReportAllocs()
			for b.Loop() {
				m.refresh()
				m.dirty = true
				m.View()
			}
			stop()
			b.ReportMetric(float64(wait())/b.Elapsed().Seconds(), "lines/s")
		})
	}
}

// BenchmarkFrame draws a frame at 200x50 with 30 services after one more line, with few and with
// very many in the store.
func BenchmarkFrame(b *testing.B) {
	for _, lines := range []int{100, 1_000_000} {
		b.Run(fmt.Sprintf("services=30/200x50/lines=%d", lines), func(b *testing.B) {
			_, f := load(b, 30, 200, 50)
			f.store = logs.New(logs.Options{ServiceBytes: 64 << 20, TotalBytes: 2 << 30})
			m, err := newModel(b.Context(), Options{Backend: f, Now: f.clock}, make(chan struct{}))
			if err != nil {
				b.Fatal(err)
			}
			m.Update(tea.WindowSizeMsg{Width: 200, Height: 50})
			add := func(i int) {
				f.store.Append(m.e.snap.Services[i%30].Name, 1, 1, logs.Stdout,
					start.Add(time.Duration(i)*time.Microsecond),
					[]byte("INFO  GET /orders/17 200 14ms user=977"))
			}
			for i := range lines {
				add(i)
			}
			m.refresh()
			m.dirty = true
			m.View()
			i := lines
			b.ReportAllocs()
			for b.Loop() {
				add(i)
				i++
				m.refresh()
				m.dirty = true
				m.View()
			}
		})
	}
}
