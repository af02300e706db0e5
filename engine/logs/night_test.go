package logs

import (
	"fmt"
	"runtime"
	"testing"
	"time"
)

// TestNightInAMinute sends a night of restarts and lines through a store that a screen and a follower read, and
// looks whether memory grows after the first tenth.
func TestNightInAMinute(t *testing.T) {
	generations, lines := 5000, 10_000_000
	o := Options{ServiceBytes: 2 << 20, TotalBytes: 32 << 20}
	if testing.Short() || raceEnabled {
		generations, lines = 500, 100_000
		o = Options{ServiceBytes: 64 << 10, TotalBytes: 1 << 20}
	}
	const services = 20
	s := New(o)
	v := s.View(Filter{})
	errs := s.View(Filter{MinLevel: Error})
	texts := benchLines(4096)
	names := make([]string, services)
	for i := range names {
		names[i] = fmt.Sprintf("service-%02d", i)
	}
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	start, early := time.Now(), uint64(0)
	each := lines / generations
	for g := range generations {
		name := names[g%services]
		for i := range each {
			n := g*each + i
			when := day.Add(time.Duration(n) * time.Millisecond)
			if n%50 == 0 {
				when = when.Add(-3 * time.Second) // a source that lags
			}
			// The one that restarts writes most, the others go on.
			if i%4 == 0 {
				s.Append(names[n%services], 1, g/services, Stderr, when, texts[n%4096])
			} else {
				s.Append(name, 1, g/services, Stdout, when, texts[n%4096])
			}
		}
		s.Separator(name, 1, g/services, day.Add(time.Duration(g*each)*time.Millisecond), "run ended: exit 137")
		v.Refresh()
		errs.Refresh()
		if g == generations/10 {
			early = heap()
		}
	}
	took, late := time.Since(start), heap()
	var held, dropped int64
	for _, st := range s.Stats() {
		held += st.Lines
		dropped += st.Dropped
	}
	first, end := v.Bounds()
	t.Logf("%d lines and %d generations in %v, %d held, %d dropped, heap %d KiB after a tenth, %d KiB at the end",
		lines, generations, took.Round(time.Millisecond), held, dropped, early>>10, late>>10)
	if held+dropped != int64(lines+generations) || end-first != held {
		t.Errorf("%d held and %d dropped of %d; the view shows %d", held, dropped, lines+generations, end-first)
	}
	if late > early+4<<20 {
		t.Errorf("memory grew from %d to %d bytes", early, late)
	}
	if got := s.bytes.Load(); got > o.TotalBytes {
		t.Errorf("the store holds %d bytes", got)
	}
	runtime.KeepAlive(errs)
}
