package logs

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"testing"
)

func TestCounterGoesOnAsLinesComeAndGo(t *testing.T) {
	s := New(Options{ServiceBytes: 16 << 10, TotalBytes: 40 << 10})
	r := rand.New(rand.NewPCG(1, 2))
	filters := []Filter{{}, {Mute: map[string]bool{"b": true}}, {MinLevel: Warn},
		{Stream: Stderr, Since: at(300)}, {Replica: 2, Until: at(2500)}, {Services: []string{"a", "d"}}}
	expressions := []*regexp.Regexp{regexp.MustCompile("(?i)err"), regexp.MustCompile(`\d7`)}
	var counters []*Counter
	for _, f := range filters {
		for _, re := range expressions {
			counters = append(counters, s.Counter(f, re))
		}
	}
	for round := range 60 {
		for i := range r.IntN(200) {
			s.Append(string(rune('a'+r.IntN(4))), 1+r.IntN(2), 1, Stream(1+r.IntN(2)), at(round*50+i),
				randomLine(r))
		}
		if round%17 == 16 {
			s.Remove("c")
		}
		for i, c := range counters {
			f, re := filters[i/len(expressions)], expressions[i%len(expressions)]
			lines := held(s, f)
			n := 0
			for _, l := range lines {
				if re.Match(Plain(nil, l.Text)) {
					n++
				}
			}
			if matches, total, err := c.Count(t.Context()); err != nil || matches != int64(n) ||
				total != int64(len(lines)) {
				t.Fatalf("round %d: %s in %+v: %d of %d, %v; want %d of %d", round, re, f, matches,
					total, err, n, len(lines))
			}
		}
	}
}

func TestInterruptedCounterKeepsWhatItHas(t *testing.T) {
	s := filledStore(50_000, 4, benchLine)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	c := s.Counter(Filter{}, regexp.MustCompile("order"))
	if _, n, err := c.Count(ended); !errors.Is(err, context.Canceled) || n == 50_000 {
		t.Errorf("all %d lines were searched after the end, %v", n, err)
	}
	if matches, n, err := c.Count(t.Context()); matches != 50_000 || n != 50_000 || err != nil {
		t.Errorf("%d of %d, %v", matches, n, err)
	}
	s.Append("service-00", 1, 1, Stdout, at(0), []byte("one more order"))
	// Old lines are not looked at again, so that the little there is to do is done although the
	// context has ended for the rest.
	for _, h := range c.rings {
		for i := range h.chunks {
			if held := &h.chunks[i]; held.chunk.n.Load()-held.taken > 1 {
				t.Errorf("%d lines of a chunk would be searched again", held.chunk.n.Load()-held.taken)
			}
		}
	}
	if matches, n, err := c.Count(t.Context()); matches != 50_001 || n != 50_001 || err != nil {
		t.Errorf("%d of %d, %v", matches, n, err)
	}
}

// A fork is searched on one goroutine while the view goes on on another; the race detector watches.
func TestForkStaysAsItIsWhileTheViewGoesOn(t *testing.T) {
	s := New(Options{ServiceBytes: 64 << 10, TotalBytes: 256 << 10})
	r := rand.New(rand.NewPCG(3, 4))
	v := s.View(Filter{})
	write := func(n, from int) {
		for i := range n {
			s.Append(string(rune('a'+r.IntN(3))), 1, 1, Stdout, at(from+i-r.IntN(40)),
				fmt.Appendf(nil, "line %d", i))
		}
	}
	seqs := func(v *View) []uint64 {
		var out []uint64
		for _, b := range v.index.blocks {
			for _, ref := range b.refs {
				if k, ok := v.keyOf(ref); ok {
					out = append(out, k.seq)
				}
			}
		}
		return out
	}
	for round := range 100 {
		write(r.IntN(400), round*300)
		v.Refresh()
		before := seqs(v)
		fork := v.Fork()
		done := make(chan []uint64)
		go func() {
			fork.Find(context.Background(), regexp.MustCompile("nowhere"), 0, true)
			done <- seqs(fork)
		}()
		write(r.IntN(400), round*300) // late, so that lines are put in between
		v.Refresh()
		// What the fork shows may drop out of the store, but nothing else may happen to it.
		unmoved(t, before, <-done)
		same(t, slices.DeleteFunc(all(v), func(l Line) bool { return l.Seq == 0 }), held(s, Filter{}))
		fork.Refresh() // a fork can go on as well
		same(t, slices.DeleteFunc(all(fork), func(l Line) bool { return l.Seq == 0 }), held(s, Filter{}))
		// What both put at their ends is each one's own.
		twin := fork.Fork()
		later := func(service string, from int) {
			for i := range 10 {
				s.Append(service, 1, 1, Stdout, at(1_000_000+round*1000+from+i), []byte("x"))
			}
		}
		later("y", 500)
		twin.Refresh()
		went := seqs(twin)
		later("z", 0) // before those, so that the fork takes them in another order
		fork.Refresh()
		unmoved(t, went, seqs(twin))
	}
}

// unmoved fails where lines came to those of before, or stand in another order.
func unmoved(t *testing.T, before, after []uint64) {
	t.Helper()
	at := 0
	for _, seq := range after {
		for at < len(before) && before[at] != seq {
			at++
		}
		if at == len(before) {
			t.Fatalf("line %d is out of its place or was not there", seq)
		}
	}
}
