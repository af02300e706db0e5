package logs

import (
	"context"
	"fmt"
	"maps"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// source is the part that views and followers share: it knows which lines of the store its owner has taken in,
// and returns the new ones that pass the filter, merged by time.
type source struct {
	store  *Store
	filter Filter
	match  *matcher // of filter.Match; nil: none
	since  int64    // of filter.Since and Until, in nanoseconds
	until  int64
	seen   *map[string]*ring
	rings  []*heldRing // by number; nil: a free number
	missed int64       // lines that were gone before they were taken in
	tmp    scratch

	cursors []*cursor // kept for the next take
	heap    []*cursor
}

// heldRing is a ring as its owner knows it.
type heldRing struct {
	ring    *ring
	chunks  []heldChunk // by slot, from base
	base    uint32      // slot of chunks[0]
	lastID  uint64      // of the newest chunk known
	next    int64       // lines of the ring that were taken in or missed
	first   int         // chunks before this index were taken in whole
	evicted int64       // ring.evicted when it was last looked at
	shownTo int64       // with Filter.Context: lines of the ring that are shown already, or lie before those
	owedTo  int64       // with Filter.Context: lines that the last one that matches is followed by
}

// heldChunk is a chunk as its owner knows it.
type heldChunk struct {
	*chunk
	taken int32 // records looked at
	shown int32 // records of it in the view
	gone  bool
}

// parallelLines is how many new lines make it worth while to search them on all processors.
const parallelLines = 20_000

func newSource(s *Store, f Filter) source {
	f.Services = slices.Clone(f.Services)
	f.Mute = maps.Clone(f.Mute)
	src := source{store: s, filter: f, since: -1 << 63, until: 1<<63 - 1}
	if f.Match != nil {
		src.match = newMatcher(f.Match)
	}
	if !f.Since.IsZero() {
		src.since = f.Since.UnixNano()
	}
	if !f.Until.IsZero() {
		src.until = f.Until.UnixNano()
	}
	return src
}

// wants tells whether lines of a service may pass at all.
func (f *Filter) wants(service string) bool {
	return !f.Mute[service] && (f.Services == nil || slices.Contains(f.Services, service))
}

// Passes tells whether a line passes, for readers of lines that are in no store.
func (f *Filter) Passes(l *Line) bool {
	return f.wants(l.Service) && f.admits(l.Stream, l.Replica, l.Level) &&
		!l.Time.Before(f.Since) && (f.Until.IsZero() || l.Time.Before(f.Until)) &&
		(f.Match == nil || f.Match.Match(Plain(nil, l.Text)) != f.Invert)
}

// admits tells whether a line passes, its service, time and text aside.
func (f *Filter) admits(stream Stream, replica int, level Level) bool {
	if f.Stream != StreamUnknown && stream != f.Stream {
		return false
	}
	if f.Replica != 0 && replica != 0 && replica != f.Replica {
		return false
	}
	if f.MinLevel == LevelUnknown || stream == System {
		return true
	}
	if level == LevelUnknown {
		level = Info
	}
	return level >= f.MinLevel
}

// admits tells whether a line passes, its text aside.
func (src *source) admits(rec *record) bool {
	return rec.time >= src.since && rec.time < src.until && src.filter.admits(rec.stream,
		int(rec.replica), rec.level)
}

// passes tells whether a line passes.
func (src *source) passes(b *body, rec *record, tmp *scratch) bool {
	return src.admits(rec) && (src.match == nil || src.match.match(b.line(rec), rec.form,
		tmp) != src.filter.Invert)
}

// sync learns which rings and chunks there are now. It tells whether a chunk left that shows lines.
func (src *source) sync() (lost bool) {
	for _, h := range src.rings {
		if h == nil {
			continue
		}
		if n := h.ring.evicted.Load(); n != h.evicted {
			h.evicted = n
			lost = h.markGone() || lost
		}
	}
	if rings := src.store.rings.Load(); rings != src.seen {
		fresh := src.seen != nil
		src.seen = rings
		for _, r := range *rings {
			if src.filter.wants(r.service) && !slices.ContainsFunc(src.rings, func(h *heldRing) bool {
				return h != nil && h.ring == r
			}) {
				src.add(&heldRing{ring: r}, fresh)
			}
		}
	}
	for _, h := range src.rings {
		if h != nil {
			h.learn()
		}
	}
	return lost
}

// add takes up a ring; what a ring dropped before its owner was made is not missed by it.
func (src *source) add(h *heldRing, fresh bool) {
	h.learn()
	if !fresh {
		h.next = h.ring.total.Load()
		if len(h.chunks) > 0 {
			h.next = h.chunks[0].start
		}
	}
	if i := slices.Index(src.rings, nil); i >= 0 {
		src.rings[i] = h
		return
	}
	src.rings = append(src.rings, h)
}

// markGone notes the chunks that left the ring.
func (h *heldRing) markGone() (lost bool) {
	for i := range h.chunks {
		if c := &h.chunks[i]; !c.gone && c.body.Load() == nil {
			c.gone = true
			lost = lost || c.shown > 0
		}
	}
	return lost
}

// learn takes up the chunks that are new.
func (h *heldRing) learn() {
	list := *h.ring.list.Load()
	i := len(list)
	for i > 0 && list[i-1].id > h.lastID {
		i--
	}
	for _, c := range list[i:] {
		h.chunks = append(h.chunks, heldChunk{chunk: c})
		h.lastID = c.id
	}
}

// forget drops what is known of chunks that are gone and show nothing any more, and of rings that were removed.
func (src *source) forget() {
	rings := *src.store.rings.Load()
	for n, h := range src.rings {
		if h == nil {
			continue
		}
		i := 0
		for i < len(h.chunks) && h.chunks[i].gone && h.chunks[i].shown == 0 && i < h.first {
			i++
		}
		if i > 0 {
			h.chunks = slices.Delete(h.chunks, 0, i)
			h.base += uint32(i)
			h.first -= i
		}
		if len(h.chunks) == 0 && rings[h.ring.service] != h.ring {
			src.rings[n] = nil
		}
	}
}

// cursor walks the new lines of one ring that pass the filter.
type cursor struct {
	src    *source
	held   *heldRing
	number int   // of the ring
	at     int   // index in held.chunks
	body   *body // pinned; nil: none
	n      int32 // records of it to read
	i      int32 // the current one
	// from prescan: per chunk, the records that pass, among those before upTo; nil: look at each
	hits  [][]uint16
	upTo  []int32
	first int // index of the chunk that hits[0] and upTo[0] are about
	rec   *record
}

// next goes to the next line that passes; false: there is none.
func (c *cursor) next() bool {
	h := c.held
	for {
		if c.body != nil {
			held := &h.chunks[c.at]
			if c.step(held) {
				return true
			}
			c.body = nil
			held.unpin()
			if c.at == len(h.chunks)-1 {
				return false // it may yet be filled further
			}
			c.at++
		}
		if c.at >= len(h.chunks) {
			return false
		}
		held := &h.chunks[c.at]
		h.first = c.at
		n := held.chunk.n.Load()
		if c.body = held.pin(); c.body == nil {
			// Gone before it was taken in whole. It was full by then, so n is what it ever held.
			n = held.chunk.n.Load()
			c.src.missed += int64(n-held.taken) + max(held.start-h.next, 0)
			held.taken, h.next = n, held.start+int64(n)
			if c.at++; c.at == len(h.chunks) {
				h.first = c.at
				return false
			}
			continue
		}
		if c.upTo != nil {
			n = c.upTo[c.at-c.first] // what came in since is left for the next time
		}
		c.src.missed += max(held.start-h.next, 0)
		h.next = held.start + int64(n)
		c.i, c.n = held.taken, n
	}
}

// step goes to the next line of the chunk that passes.
func (c *cursor) step(held *heldChunk) bool {
	if c.hits != nil {
		hits := &c.hits[c.at-c.first]
		if len(*hits) == 0 {
			held.taken = c.n
			return false
		}
		c.i = int32((*hits)[0])
		*hits = (*hits)[1:]
		c.rec = &c.body.records[c.i]
		held.taken = c.i + 1
		return true
	}
	for c.i < c.n {
		rec := &c.body.records[c.i]
		c.i++
		held.taken = c.i
		if c.src.passes(c.body, rec, &c.src.tmp) {
			c.rec = rec
			return true
		}
	}
	return false
}

// close unpins. The current line is given back, to be taken again.
func (c *cursor) close(back bool) {
	if c.body == nil {
		return
	}
	held := &c.held.chunks[c.at]
	if back {
		held.taken--
	}
	held.unpin()
	c.body, c.rec = nil, nil
}

// ref names a record for its owner: the ring's number, the chunk's slot, the record's place, and whether it is
// an error.
type ref uint64

func (c *cursor) ref() ref {
	slot := c.held.base + uint32(c.at)
	i := uint64(c.held.chunks[c.at].taken - 1)
	r := ref(uint64(c.number)<<48 | uint64(slot)<<16 | i)
	if c.rec.level >= Error {
		r |= errorBit
	}
	return r
}

const errorBit ref = 1 << 63

func (r ref) ring() int    { return int(r >> 48 & 0x7fff) }
func (r ref) slot() uint32 { return uint32(r >> 16) }
func (r ref) record() int  { return int(r & 0xffff) }

// take calls sink for the new lines that pass, at most limit (0: all), merged by time. sync comes before it.
func (src *source) take(limit int, sink func(c *cursor)) (n int) {
	src.heap = src.heap[:0]
	used := 0
	for number, h := range src.rings {
		if h == nil || !h.hasNew() {
			continue
		}
		if used == len(src.cursors) {
			src.cursors = append(src.cursors, &cursor{})
		}
		c := src.cursors[used]
		used++
		*c = cursor{src: src, held: h, number: number, at: h.first}
		src.heap = append(src.heap, c)
	}
	if limit == 0 && src.match != nil {
		src.prescan()
	}
	live := src.heap[:0]
	for _, c := range src.heap {
		if c.next() {
			live = append(live, c)
		}
	}
	src.heap = live
	for i := len(live)/2 - 1; i >= 0; i-- {
		src.down(i)
	}
	for len(src.heap) > 0 {
		if limit > 0 && n == limit {
			break
		}
		c := src.heap[0]
		sink(c)
		n++
		if !c.next() {
			last := len(src.heap) - 1
			src.heap[0] = src.heap[last]
			src.heap = src.heap[:last]
		}
		src.down(0)
	}
	for _, c := range src.heap {
		c.close(true)
	}
	src.heap = src.heap[:0]
	return n
}

func (h *heldRing) hasNew() bool {
	if h.first >= len(h.chunks) {
		return false
	}
	last := &h.chunks[len(h.chunks)-1]
	return h.first < len(h.chunks)-1 || last.chunk.n.Load() > last.taken
}

// down puts the cursor at i in its place in the heap.
func (src *source) down(i int) {
	heap := src.heap
	for {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < len(heap); child++ {
			if a := heap[child].rec; a.less(heap[least].rec.time, heap[least].rec.seq) {
				least = child
			}
		}
		if least == i {
			return
		}
		heap[i], heap[least] = heap[least], heap[i]
		i = least
	}
}

// prescan finds the new lines that pass when there are many, on all processors.
func (src *source) prescan() {
	type task struct {
		c    *cursor
		at   int
		from int32
		to   int32
	}
	var tasks []task
	lines := 0
	for _, c := range src.heap {
		for at := c.at; at < len(c.held.chunks); at++ {
			held := &c.held.chunks[at]
			n := held.chunk.n.Load()
			tasks = append(tasks, task{c, at, held.taken, n})
			lines += int(n - held.taken)
		}
	}
	if lines < parallelLines {
		return
	}
	for _, c := range src.heap {
		c.first = c.at
		c.hits = make([][]uint16, len(c.held.chunks)-c.at)
		c.upTo = make([]int32, len(c.held.chunks)-c.at)
	}
	for _, t := range tasks {
		t.c.upTo[t.at-t.c.first] = t.to
	}
	err := parallel(context.Background(), len(tasks), func(i int, tmp *scratch) {
		t := tasks[i]
		held := &t.c.held.chunks[t.at]
		b := held.pin()
		if b == nil {
			return
		}
		defer held.unpin()
		t.c.hits[t.at-t.c.first] = src.hits(b, int(t.from), int(t.to), held.odd.Load(), tmp)
	})
	if err != nil {
		panic(err) // on the caller's goroutine, whose owner restores the terminal
	}
}

// hits returns the records in [from, to) that pass.
func (src *source) hits(b *body, from, to int, odd bool, tmp *scratch) []uint16 {
	var out []uint16
	keep := func(i int) {
		if src.admits(&b.records[i]) {
			out = append(out, uint16(i))
		}
	}
	if !src.filter.Invert {
		src.match.scan(b, from, to, odd, tmp, keep)
		return out
	}
	next := from
	src.match.scan(b, from, to, odd, tmp, func(i int) {
		for ; next < i; next++ {
			keep(next)
		}
		next = i + 1
	})
	for ; next < to; next++ {
		keep(next)
	}
	return out
}

// parallel calls f for 0 to n-1 on all processors, each with a scratch of its own, and waits. It stops
// early when ctx ends, and returns its error. A panic comes back as an error.
func parallel(ctx context.Context, n int, f func(i int, tmp *scratch)) error {
	workers := min(runtime.GOMAXPROCS(0), n)
	errs := make([]error, workers)
	var next atomic.Int64
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			defer func() {
				if r := recover(); r != nil {
					errs[w] = fmt.Errorf("search logs: panic: %v\n%s", r, debug.Stack())
				}
			}()
			var tmp scratch
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				f(i, &tmp)
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return ctx.Err()
}

// line makes a Line of a record; text is its copy.
func (h *heldRing) line(rec *record, text []byte) Line {
	return Line{
		Seq:        rec.seq,
		Time:       time.Unix(0, rec.time),
		Service:    h.ring.service,
		Replica:    int(rec.replica),
		Generation: int(rec.generation),
		Stream:     rec.stream,
		Level:      rec.level,
		Text:       text,
		Cut:        int(rec.cut),
	}
}
