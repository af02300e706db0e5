package logs

import (
	"context"
	"regexp"
	"slices"
)

// Counter counts the lines of a store that match, and goes on counting as lines come and go: what
// was searched once is not searched again. It keeps no line and no order, so that it costs the
// search alone. It is not safe for concurrent use.
type Counter struct {
	source
	re      *matcher
	every   bool // each line of the services that are wanted passes the filter
	found   map[*chunk]int32
	matches int64
	lines   int64
}

// Counter makes a counter of the lines that pass f and match re. It has counted nothing yet.
func (s *Store) Counter(f Filter, re *regexp.Regexp) *Counter {
	c := &Counter{source: newSource(s, f), re: newMatcher(re), found: map[*chunk]int32{}}
	c.every = f.MinLevel == LevelUnknown && f.Replica == 0 && f.Stream == StreamUnknown && f.Since.IsZero() &&
		f.Until.IsZero() && f.Match == nil
	return c
}

// Count takes in what came and lets go what left since the last time, on all processors, and
// returns how many lines match, of how many that pass the filter. When ctx ends first, it returns
// ctx's error and the counts so far; the next call goes on from there.
func (c *Counter) Count(ctx context.Context) (matches, lines int64, err error) {
	c.sync()
	c.drop()
	type task struct {
		held  *heldChunk
		to    int32
		shown int32
		hits  int32
		done  bool
	}
	var tasks []task
	for _, h := range c.rings {
		if h == nil {
			continue
		}
		for i := range h.chunks {
			if held := &h.chunks[i]; held.chunk.n.Load() > held.taken {
				tasks = append(tasks, task{held: held, to: held.chunk.n.Load()})
			}
		}
	}
	err = parallel(ctx, len(tasks), func(i int, tmp *scratch) {
		t := &tasks[i]
		b := t.held.pin()
		if b == nil {
			return // gone; the next sync finds out
		}
		defer t.held.unpin()
		from, to := int(t.held.taken), int(t.to)
		var second scratch
		pass := func(i int) bool { return c.every || c.passes(b, &b.records[i], &second) }
		c.re.scan(b, from, to, t.held.odd.Load(), tmp, func(i int) {
			if pass(i) {
				t.hits++
			}
		})
		t.shown = t.to - t.held.taken
		if !c.every {
			t.shown = 0
			for i := from; i < to; i++ {
				if pass(i) {
					t.shown++
				}
			}
		}
		t.done = true
	})
	for _, t := range tasks {
		if t.done {
			t.held.taken, t.held.shown = t.to, t.held.shown+t.shown
			c.found[t.held.chunk] += t.hits
			c.matches, c.lines = c.matches+int64(t.hits), c.lines+int64(t.shown)
		}
	}
	return c.matches, c.lines, err
}

// drop takes the counts of chunks that left the store away.
func (c *Counter) drop() {
	now := *c.store.rings.Load()
	for n, h := range c.rings {
		if h == nil {
			continue
		}
		h.chunks = slices.DeleteFunc(h.chunks, func(held heldChunk) bool {
			if held.gone {
				c.matches, c.lines = c.matches-int64(c.found[held.chunk]), c.lines-int64(held.shown)
				delete(c.found, held.chunk)
			}
			return held.gone
		})
		if len(h.chunks) == 0 && now[h.ring.service] != h.ring {
			c.rings[n] = nil
		}
	}
}
