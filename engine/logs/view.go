package logs

import (
	"cmp"
	"context"
	"math"
	"regexp"
	"slices"
	"sync/atomic"
	"time"
)

// View is one reader's window on a store: the lines that pass a filter, ordered by time across services; lines
// of one time stand in the order they came in. It is made by Store.View, is not safe for concurrent use, and
// never keeps a writer waiting. What it shows changes in Refresh alone; a line that leaves the store in between
// reads as gone.
//
// Positions have names, ordinals, that stay: lines that leave make the first ordinal grow, new lines make the
// end grow. A line that comes late and belongs before others moves those behind it up by one; Locate finds a
// line again.
type View struct {
	source
	index index
}

// View makes a view and takes in what the store holds. For a million lines that takes some 100 ms (longer with
// a Match that has no literal in it): a screen does it aside, and hands the view over when it is there.
func (s *Store) View(f Filter) *View {
	v := &View{source: newSource(s, f)}
	v.Refresh()
	return v
}

// Fork returns a view of the same lines that may go to another goroutine, to be searched there:
// from here on neither sees what the other does. It takes microseconds, whatever the view holds.
func (v *View) Fork() *View {
	twin := &View{source: v.source, index: v.index.fork()}
	twin.tmp, twin.cursors, twin.heap = scratch{}, nil, nil
	twin.rings = make([]*heldRing, len(v.rings))
	for i, h := range v.rings {
		if h != nil {
			held := *h
			held.chunks = slices.Clone(h.chunks)
			twin.rings[i] = &held
		}
	}
	return twin
}

// Refresh takes in what came and lets go what left since the last time, and tells whether there was any. What
// it costs grows with the new lines, not with those that are there.
func (v *View) Refresh() bool {
	moved := false
	if v.sync() {
		v.sweep()
		moved = true
	}
	n := v.take(0, func(c *cursor) {
		if v.filter.Context > 0 {
			moved = v.before(c) || moved
		}
		moved = v.show(&c.held.chunks[c.at], c.ref(), key{c.rec.time, c.rec.seq}) || moved
	})
	if v.filter.Context > 0 {
		for number, h := range v.rings {
			if h != nil {
				moved = v.neighbours(number, h, h.next) || moved
			}
		}
	}
	if moved {
		v.index.renumber()
	}
	v.forget()
	return n > 0 || moved
}

// show takes a line of a chunk into the index; late says that it came in between others.
func (v *View) show(c *heldChunk, r ref, k key) (late bool) {
	c.shown++
	if v.index.push(r, k) {
		return false
	}
	v.index.insert(r, k, v.keyOf)
	return true
}

// before shows the lines around the one that matches, up to that one, and notes how many come after it.
func (v *View) before(c *cursor) (late bool) {
	h, n := c.held, int64(v.filter.Context)
	at := h.chunks[c.at].start + int64(h.chunks[c.at].taken) - 1
	late = v.neighbours(c.number, h, at)
	h.shownTo, h.owedTo = max(h.shownTo, at-n), at+1+n
	late = v.neighbours(c.number, h, at) || late
	h.shownTo = at + 1
	return late
}

// neighbours shows the lines of a ring that are owed, those before the line number end.
func (v *View) neighbours(number int, h *heldRing, end int64) (late bool) {
	for end = min(end, h.owedTo); h.shownTo < end; h.shownTo++ {
		i, _ := slices.BinarySearchFunc(h.chunks, h.shownTo+1, func(c heldChunk, line int64) int {
			return cmp.Compare(c.start, line)
		})
		if i == 0 {
			continue // gone
		}
		c := &h.chunks[i-1]
		at := h.shownTo - c.start
		b := c.pin()
		if b == nil {
			continue
		}
		if at < int64(c.n.Load()) && v.admits(&b.records[at]) {
			rec := &b.records[at]
			r := ref(uint64(number)<<48 | uint64(h.base+uint32(i-1))<<16 | uint64(at))
			if rec.level >= Error {
				r |= errorBit
			}
			late = v.show(c, r, key{rec.time, rec.seq}) || late
		}
		c.unpin()
	}
	return late
}

// sweep takes lines whose chunks are gone out of the index.
func (v *View) sweep() {
	from, to, n := int64(math.MaxInt64), int64(math.MinInt64), int64(0)
	for _, h := range v.rings {
		if h == nil {
			continue
		}
		for i := range h.chunks {
			if c := &h.chunks[i]; c.gone && c.shown > 0 {
				from, to = min(from, c.oldest), max(to, c.newest)
				n += int64(c.shown)
				c.shown = 0
			}
		}
	}
	v.index.remove(from, to, n, func(r ref) bool {
		h := v.rings[r.ring()]
		return h.chunks[r.slot()-h.base].gone
	})
}

// held returns the ring and the chunk of a line.
func (v *View) held(r ref) (*heldRing, *heldChunk) {
	h := v.rings[r.ring()]
	return h, &h.chunks[r.slot()-h.base]
}

// keyOf returns the place of a line in the order; ok is false when it is gone.
func (v *View) keyOf(r ref) (k key, ok bool) {
	_, c := v.held(r)
	b := c.pin()
	if b == nil {
		return key{}, false
	}
	rec := &b.records[r.record()]
	k = key{rec.time, rec.seq}
	c.unpin()
	return k, true
}

// Bounds returns the ordinals held now: first is that of the first line, end the one after the last.
func (v *View) Bounds() (first, end int64) { return v.index.first(), v.index.end }

// Line returns one line; ok is false outside of the bounds and for a line that is gone.
func (v *View) Line(ord int64) (Line, bool) {
	lines := v.Lines(ord, 1)
	if len(lines) == 0 || lines[0].Seq == 0 {
		return Line{}, false
	}
	if first := v.index.first(); ord < first {
		return Line{}, false
	}
	return lines[0], true
}

// Lines returns up to n lines from an ordinal on, which is moved up to the first one if it is before it. The i-th
// line is that of ordinal from+i; one that left the store since the last Refresh has Seq 0 and no text.
func (v *View) Lines(from int64, n int) []Line {
	from = max(from, v.index.first())
	n = int(min(int64(n), v.index.end-from))
	if n <= 0 {
		return nil
	}
	lines := make([]Line, 0, n)
	at, i := v.index.locate(from)
	var arena []byte
	for len(lines) < n {
		b := v.index.blocks[at]
		for ; i < len(b.refs) && len(lines) < n; i++ {
			var line Line
			line, arena = v.copyLine(b.refs[i], arena)
			lines = append(lines, line)
		}
		at, i = at+1, 0
	}
	return lines
}

// copyLine copies a line out of its chunk, its text to the end of arena.
func (v *View) copyLine(r ref, arena []byte) (Line, []byte) {
	h, c := v.held(r)
	b := c.pin()
	if b == nil {
		return Line{}, arena
	}
	defer c.unpin()
	rec := &b.records[r.record()]
	text, arena := addText(arena, b.line(rec))
	return h.line(rec, text), arena
}

// arenaSize is the memory that the texts of several lines share.
const arenaSize = 8 << 10

// addText copies text to the end of arena, or to a new one when it has no room; the texts of the old one stay.
func addText(arena, text []byte) (own, rest []byte) {
	if cap(arena)-len(arena) < len(text) {
		arena = make([]byte, 0, max(arenaSize, len(text)))
	}
	start := len(arena)
	arena = append(arena, text...)
	return arena[start:len(arena):len(arena)], arena
}

// Locate returns the ordinal that a line has now; ok is false when the view does not hold it.
func (v *View) Locate(l Line) (ord int64, ok bool) {
	k := key{l.Time.UnixNano(), l.Seq}
	at := v.index.blockOf(k)
	if at < 0 || l.Seq == 0 {
		return 0, false
	}
	b := v.index.blocks[at]
	i := b.search(k, v.keyOf)
	if i == len(b.refs) {
		return 0, false
	}
	if found, ok := v.keyOf(b.refs[i]); !ok || found != k {
		return 0, false
	}
	return b.start + int64(i), true
}

// At returns the ordinal of the first line at or after a time, and the end when all are before it.
func (v *View) At(t time.Time) int64 {
	k := key{time: t.UnixNano()}
	at := v.index.blockOf(k)
	if at < 0 {
		return v.index.first()
	}
	b := v.index.blocks[at]
	return b.start + int64(b.search(k, v.keyOf))
}

// NextError returns the nearest line of level Error or Fatal at or after an ordinal, or, going backward, at or
// before it.
func (v *View) NextError(from int64, forward bool) (int64, bool) {
	return v.walk(from, forward, func(b *block) bool { return b.errors > 0 }, func(r ref) bool {
		return r&errorBit != 0
	})
}

// walk returns the nearest line for which found holds, in the blocks for which look holds.
func (v *View) walk(from int64, forward bool, look func(*block) bool, found func(ref) bool) (int64, bool) {
	first, end := v.Bounds()
	if first == end || forward && from >= end || !forward && from < first {
		return 0, false
	}
	at, i := v.index.locate(min(max(from, first), end-1))
	for at >= 0 && at < len(v.index.blocks) {
		b := v.index.blocks[at]
		if i < 0 {
			i = len(b.refs) - 1
		}
		if look(b) {
			for i >= 0 && i < len(b.refs) {
				if found(b.refs[i]) {
					return b.start + int64(i), true
				}
				if forward {
					i++
				} else {
					i--
				}
			}
		}
		if forward {
			at, i = at+1, 0
		} else {
			at, i = at-1, -1
		}
	}
	return 0, false
}

// Find returns the nearest line that matches at or after an ordinal, or, going backward, at or
// before it; ok is also false when ctx ended. It searches chunk by chunk as it comes to them, and
// on the way, on all processors, more and more of those that it will come to next. For the list of
// all matches make a second View with Match, and Locate its lines in this one.
func (v *View) Find(ctx context.Context, re *regexp.Regexp, from int64, forward bool) (ord int64, ok bool) {
	m := newMatcher(re)
	ahead := v.inOrder(forward)
	known := make(map[*chunk][]uint64, len(ahead)) // by record: does it match
	search := func(wanted []*heldChunk) {
		found := make([][]uint64, len(wanted))
		err := parallel(ctx, len(wanted), func(i int, tmp *scratch) { found[i] = m.bits(wanted[i], tmp) })
		if err != nil && ctx.Err() == nil {
			panic(err) // on the caller's goroutine, whose owner restores the terminal
		}
		for i, c := range wanted {
			known[c.chunk] = found[i]
		}
	}
	var last *chunk
	var bits []uint64
	step := 1
	all := func(*block) bool { return ctx.Err() == nil }
	ord, ok = v.walk(from, forward, all, func(r ref) bool {
		_, c := v.held(r)
		if c.chunk != last {
			last = c.chunk
			if _, seen := known[last]; !seen {
				wanted := []*heldChunk{c}
				for _, next := range ahead[slices.Index(ahead, c)+1:] {
					if len(wanted) == step {
						break
					}
					if _, seen := known[next.chunk]; !seen {
						wanted = append(wanted, next)
					}
				}
				step = min(2*step, 256)
				search(wanted)
			}
			bits = known[last]
		}
		i := r.record()
		return bits != nil && bits[i/64]&(1<<(i%64)) != 0
	})
	return ord, ok && ctx.Err() == nil
}

// inOrder returns the chunks that show lines, about as a walk from either end comes to them.
func (v *View) inOrder(forward bool) []*heldChunk {
	type placed struct {
		at   int64
		held *heldChunk
	}
	var all []placed
	for _, h := range v.rings {
		if h == nil {
			continue
		}
		for i := range h.chunks {
			c := &h.chunks[i]
			if c.shown == 0 {
				continue
			}
			if b := c.pin(); b != nil {
				at := b.records[0].time
				if !forward {
					at = -b.records[c.taken-1].time
				}
				all = append(all, placed{at, c})
				c.unpin()
			}
		}
	}
	slices.SortFunc(all, func(a, b placed) int { return cmp.Compare(a.at, b.at) })
	out := make([]*heldChunk, len(all))
	for i := range all {
		out[i] = all[i].held
	}
	return out
}

// bits searches a whole chunk; nil: it is gone.
func (m *matcher) bits(c *heldChunk, tmp *scratch) []uint64 {
	b := c.pin()
	if b == nil {
		return nil
	}
	defer c.unpin()
	bits := make([]uint64, c.taken/64+1)
	m.scan(b, 0, int(c.taken), c.odd.Load(), tmp, func(i int) { bits[i/64] |= 1 << (i % 64) })
	return bits
}

// Count returns how many lines of the view match. It searches whole chunks on all processors, and ends early with
// ctx's error when ctx ends.
func (v *View) Count(ctx context.Context, re *regexp.Regexp) (int, error) {
	m := newMatcher(re)
	var chunks []*heldChunk
	for _, h := range v.rings {
		if h == nil {
			continue
		}
		for i := range h.chunks {
			if h.chunks[i].shown > 0 {
				chunks = append(chunks, &h.chunks[i])
			}
		}
	}
	var total atomic.Int64
	err := parallel(ctx, len(chunks), func(i int, tmp *scratch) {
		c := chunks[i]
		b := c.pin()
		if b == nil {
			return
		}
		defer c.unpin()
		n := 0
		var second scratch
		m.scan(b, 0, int(c.taken), c.odd.Load(), tmp, func(i int) {
			if c.shown == c.taken || v.passes(b, &b.records[i], &second) {
				n++
			}
		})
		total.Add(int64(n))
	})
	return int(total.Load()), err
}

// Dropped is how many lines of the services that the view shows were pushed out of their rings, whether or not
// the rest of the filter would have let them pass.
func (v *View) Dropped() int64 {
	var n int64
	for _, h := range v.rings {
		if h != nil {
			n += h.ring.dropped.Load()
		}
	}
	return n
}
