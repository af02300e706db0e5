package cli

import (
	"runtime"
	"runtime/debug"
	"testing"
	"time"
)

func TestShareOfGarbageLeavesTheLinesOut(t *testing.T) {
	const mib = 1 << 20
	for _, c := range []struct{ live, kept, want int64 }{
		{0, 0, 100}, {4 * mib, 0, 100}, {16 * mib, 0, 50}, {180 * mib, 160 * mib, 5},
		{280 * mib, 256 * mib, 4}, {100 * mib, 0, 50}, {10 << 30, 10 << 30, 1},
	} {
		if got := gcShare(c.live, c.kept); int64(got) != c.want {
			t.Errorf("%d MiB live, %d of them lines: %d%%, want %d%%", c.live/mib, c.kept/mib, got, c.want)
		}
	}
}

func TestCollectorIsToldAfterEveryCollection(t *testing.T) {
	before := debug.SetGCPercent(100)
	defer debug.SetGCPercent(before)
	lines := make([]byte, 64<<20)
	stop := keepGarbageLow(func() int64 { return int64(len(lines)) })
	share := func() int {
		p := debug.SetGCPercent(100)
		debug.SetGCPercent(p)
		return p
	}
	for end := time.Now().Add(patience); share() > 20; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("with 64 MiB of lines the share is still %d%%", share())
		}
		runtime.GC()
	}
	runtime.KeepAlive(lines)
	stop()
	if got := share(); got != 100 {
		t.Errorf("the share is %d%% in the end, want 100%% as before", got)
	}
}
