package watch

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// bench is a grouper in a bubble with a clock of its own.
type bench struct {
	t       *testing.T
	start   time.Time
	changes *mailbox[change]
	batches chan Batch
	late    atomic.Int64 // how late changes may be told of, in nanoseconds
}

// never is when nothing is polled.
func never() time.Duration { return 0 }

// inBubble runs f with the usual times: quiet 40 ms, cap 250 ms.
func inBubble(t *testing.T, f func(b *bench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		opt := Options{Quiet: defaultQuiet, Cap: defaultCap, Stale: gitStale}
		b := &bench{t: t, start: time.Now(), changes: newMailbox[change](), batches: make(chan Batch)}
		g := newGrouper(opt, b.changes, b.batches, make(chan Hold), make(chan Notice),
			func() time.Duration { return time.Duration(b.late.Load()) })
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go func() { _ = g.run(ctx) }() // ends with ctx, which the bubble waits for
		f(b)
	})
}

func (b *bench) save(paths ...string) {
	now := time.Now()
	for _, p := range paths {
		b.changes.put(change{path: p, first: now, last: now})
	}
}

// every saves path again and again, until the given time since the start.
func (b *bench) every(pause time.Duration, until time.Duration, path string) {
	go func() {
		for time.Since(b.start) < until {
			b.save(path)
			time.Sleep(pause)
		}
	}()
}

func (b *bench) at(d time.Duration, paths ...string) {
	go func() {
		time.Sleep(d)
		b.save(paths...)
	}()
}

// take collects all batches for so long, as lines "ms: paths".
func (b *bench) take(d time.Duration) string {
	var lines []string
	limit := time.After(d)
	for {
		select {
		case batch := <-b.batches:
			paths := strings.Join(batch.Paths, " ")
			if batch.Lost {
				paths = strings.TrimSpace("LOST " + paths)
			}
			lines = append(lines, fmt.Sprintf("%d: %s", time.Since(b.start).Milliseconds(), paths))
		case <-limit:
			return strings.Join(lines, "\n")
		}
	}
}

func (b *bench) want(got, want string) {
	b.t.Helper()
	if got != want {
		b.t.Errorf("batches:\n%s\nwant:\n%s", got, want)
	}
}

func TestOneSaveIsOneBatchAfterQuiet(t *testing.T) {
	inBubble(t, func(b *bench) {
		b.save("a")
		b.want(b.take(time.Second), "40: a")
	})
}

func TestWhatChangesTogetherComesTogether(t *testing.T) {
	inBubble(t, func(b *bench) {
		b.at(0, "b", "a", "b")
		b.at(30*time.Millisecond, "c")
		b.at(60*time.Millisecond, "a", "d")
		b.at(200*time.Millisecond, "e")
		b.want(b.take(time.Second), "100: a b c d\n240: e")
	})
}

func TestBatchTellsFirstAndLastNotice(t *testing.T) {
	inBubble(t, func(b *bench) {
		b.save("a")
		b.at(20*time.Millisecond, "b")
		batch := <-b.batches
		if first, last := batch.First.Sub(b.start), batch.Last.Sub(b.start); first != 0 ||
			last != 20*time.Millisecond {
			t.Errorf("first %v, last %v; want 0s and 20ms", first, last)
		}
	})
}

func TestSteadyWriterIsReportedAtTheCap(t *testing.T) {
	inBubble(t, func(b *bench) {
		b.every(30*time.Millisecond, 700*time.Millisecond, "log")
		// A new wait begins with the first write after each batch: 270 and 540;
		// the last write is at 690.
		b.want(b.take(2*time.Second), "250: log\n520: log\n730: log")
	})
}

func TestSteadyWriterDelaysNobody(t *testing.T) {
	inBubble(t, func(b *bench) {
		b.every(30*time.Millisecond, 1200*time.Millisecond, "log")
		b.at(10*time.Millisecond, "early") // before anyone knows that log is written all the time
		b.at(600*time.Millisecond, "late")
		b.at(900*time.Millisecond, "x")
		b.at(930*time.Millisecond, "y")
		b.want(b.take(3*time.Second),
			"250: early log\n520: log\n640: late\n790: log\n970: x y\n1060: log\n1210: log")
	})
}

func TestSteadyStreamOfNewFilesIsCutAtTheCap(t *testing.T) {
	inBubble(t, func(b *bench) {
		for i := range 20 {
			b.at(time.Duration(i)*30*time.Millisecond, fmt.Sprintf("f%02d", i))
		}
		first := <-b.batches
		if since := time.Since(b.start); since != defaultCap {
			t.Errorf("first batch after %v, want %v", since, defaultCap)
		}
		// What is younger than the quiet period may be half written and stays.
		if want := []string{"f00", "f01", "f02", "f03", "f04", "f05", "f06",
			"f07"}; !slices.Equal(first.Paths[:7], want[:7]) || len(first.Paths) > 8 {
			t.Errorf("first batch %v, want about %v", first.Paths, want)
		}
		rest := b.take(3 * time.Second)
		for i := len(first.Paths); i < 20; i++ {
			if !strings.Contains(rest, fmt.Sprintf("f%02d", i)) {
				t.Errorf("f%02d is missing in\n%s", i, rest)
			}
		}
	})
}

func TestWriterThatPausesIsOrdinaryAgain(t *testing.T) {
	inBubble(t, func(b *bench) {
		b.every(30*time.Millisecond, 400*time.Millisecond, "log")
		time.Sleep(500 * time.Millisecond)
		b.at(500*time.Millisecond, "log")
		b.at(520*time.Millisecond, "a")
		// Quiet again: a and log change together.
		b.want(b.take(2*time.Second), "500: log\n1060: a log")
	})
}

func TestSlowReceiverGetsOneMergedBatch(t *testing.T) {
	inBubble(t, func(b *bench) {
		for i := range 50 {
			b.at(time.Duration(i)*100*time.Millisecond, fmt.Sprintf("f%d", i%5))
		}
		time.Sleep(10 * time.Second)
		b.want(b.take(time.Second), "10000: f0 f1 f2 f3 f4")
	})
}

func TestLostNoticesAreData(t *testing.T) {
	inBubble(t, func(b *bench) {
		b.save("a", "")
		b.at(500*time.Millisecond, "")
		b.at(900*time.Millisecond, "b")
		b.want(b.take(2*time.Second), "40: LOST a\n540: LOST\n940: b")
	})
}

func TestBurstOfTwoThousandFilesIsOneBatch(t *testing.T) {
	inBubble(t, func(b *bench) {
		for i := range 2000 {
			b.save(fmt.Sprint("f", i))
			if i%100 == 0 {
				time.Sleep(5 * time.Millisecond)
			}
		}
		batch := <-b.batches
		if len(batch.Paths) != 2000 {
			t.Errorf("%d paths in the first batch, want 2000", len(batch.Paths))
		}
	})
}

func TestNoticesWaitForTheirReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		notices := make(chan Notice)
		g := newGrouper(Options{Quiet: defaultQuiet, Cap: defaultCap, Stale: gitStale},
			newMailbox[change](), make(chan Batch), make(chan Hold), notices, never)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go func() { _ = g.run(ctx) }()
		for i := range 100 {
			g.tell(Notice{Text: fmt.Sprint(i)})
		}
		for i := range 100 {
			if n := <-notices; n.Text != fmt.Sprint(i) {
				t.Fatalf("notice %q, want %d", n.Text, i)
			}
		}
	})
}

func TestWritesThatWaitTogetherAreOneEvent(t *testing.T) {
	in := newInbox()
	now := time.Now()
	for i := range 10_000 {
		in.post(event{path: "log", op: opWrite, first: now, last: now.Add(time.Duration(i))})
	}
	in.post(event{path: "log", op: opGone})
	in.post(event{path: "log", op: opCreate})
	in.post(event{path: "log", op: opWrite})
	var got []op
	events := in.take()
	for _, e := range events {
		got = append(got, e.op)
	}
	if want := []op{opWrite, opGone, opCreate, opWrite}; !slices.Equal(got, want) {
		t.Fatalf("events %v, want %v", got, want)
	}
	if events[0].last.Sub(now) != 9999 {
		t.Errorf("the merged event ends %v after its begin, want 9.999µs", events[0].last.Sub(now))
	}
}

// What waits is handed out sorted, however it came together, and once.
func TestWaitingPathsStaySorted(t *testing.T) {
	var o, other offer
	now := time.Now()
	for _, paths := range [][]string{{"/m", "/a"}, {"/z", "/b", "/a"}, {"/m"}, {"/c"}} {
		for _, p := range paths {
			o.merge([]change{{path: p, first: now, last: now}})
		}
		if got := o.batch().Paths; !slices.IsSorted(got) || len(slices.Compact(slices.Clone(got))) != len(got) {
			t.Errorf("after %v: %v", paths, got)
		}
	}
	before := o.batch().Paths
	other.merge([]change{{path: "/b", first: now, last: now}, {path: "/d", first: now, last: now}})
	o.join(other)
	if got := o.batch().Paths; !slices.Equal(got, []string{"/a", "/b", "/c", "/d", "/m", "/z"}) {
		t.Errorf("joined: %v", got)
	}
	if !slices.Equal(before, []string{"/a", "/b", "/c", "/m", "/z"}) {
		t.Errorf("what was handed out became %v", before)
	}
}
