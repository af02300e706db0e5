package cli

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
)

// leastGarbage is what may lie about before the collector comes, however little lives beside the log lines.
const leastGarbage = 8 << 20

// keepGarbageLow makes the garbage collector leave the log lines out of its pace; kept returns
// their bytes. They are most of what lives and never garbage: by its own rule the collector would
// let as much garbage come together as there are lines. It looks again after every collection, and
// costs nothing between. The returned function ends that.
func keepGarbageLow(kept func() int64) (stop func()) {
	before := debug.SetGCPercent(100)
	debug.SetGCPercent(before)
	g := &garbage{kept: kept, percent: before, live: []metrics.Sample{{Name: "/gc/heap/live:bytes"}}}
	g.again()
	return func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.over = true
		debug.SetGCPercent(before)
	}
}

type garbage struct {
	kept func() int64
	live []metrics.Sample

	mu      sync.Mutex // a look may be under way when it is over
	over    bool
	percent int
}

// again has the share looked at once the next collection is over.
func (g *garbage) again() {
	runtime.SetFinalizer(&struct{ *garbage }{g}, func(*struct{ *garbage }) {
		g.mu.Lock()
		defer g.mu.Unlock()
		if g.over {
			return
		}
		metrics.Read(g.live)
		// A change of the share costs a stop of the world: small ones are let be.
		if p := gcShare(int64(g.live[0].Value.Uint64()), g.kept()); p < g.percent*9/10 || p > g.percent*11/10 {
			debug.SetGCPercent(p)
			g.percent = p
		}
		g.again()
	})
}

// gcShare is how much garbage may come together before the collector runs, in percent of what
// lives: half of what lives beside the kept bytes, and leastGarbage at least.
func gcShare(live, kept int64) int {
	if live <= 0 {
		return 100
	}
	garbage := max((live-kept)/2, leastGarbage)
	return int(min(max(100*garbage/live, 1), 100))
}
