package logs

import (
	"math"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"
)

// LineOverhead is what one line costs beside its bytes: its record, and its place in one view.
const LineOverhead = int64(unsafe.Sizeof(record{})) + 8

const (
	firstText   = 2 << 10 // bytes of text in a service's first chunk; doubles up to the full size
	guessedLine = 80      // bytes per line, before a service wrote any
	rateSeconds = 300     // what Rates remembers
	chunkCost   = 256     // a chunk's own fields and its places in lists
)

// record is what a chunk knows of a line beside its bytes. It holds no pointer, so that the garbage collector
// does not look at millions of them.
type record struct {
	seq        uint64
	time       int64 // Unix nanoseconds
	off, size  uint32
	generation uint32
	cut        uint32
	replica    uint16
	stream     Stream
	level      Level
	form       form
}

// less orders lines by time, and lines of one time by arrival.
func (a *record) less(time int64, seq uint64) bool {
	return a.time < time || a.time == time && a.seq < seq
}

// body is the memory of a chunk. It is filled front to back by one writer at a time.
type body struct {
	records []record
	text    []byte
}

func (b *body) line(rec *record) []byte { return b.text[rec.off : rec.off+rec.size] }

func (b *body) cost() int64 {
	return int64(len(b.text)) + int64(len(b.records))*LineOverhead + chunkCost
}

// chunk is a run of lines of one service. It outlives its body: views may know it after it left the ring.
//
// A reader pins it before it reads and unpins it after; who takes the body away fills it again only when no
// pin is left. Both sides write first and look second, so one of them always sees the other.
type chunk struct {
	id    uint64 // grows along the ring
	start int64  // lines of the ring before this chunk
	body  atomic.Pointer[body]
	pins  atomic.Int32
	n     atomic.Int32 // records that may be read
	odd   atomic.Bool  // some line's form is not ascii

	// Written under the ring's lock. A reader may look once it saw that the body is gone, as nobody writes then.
	oldest, newest int64
}

// pin returns the body to read until unpin, or nil when the chunk left the ring (and is then not pinned).
func (c *chunk) pin() *body {
	c.pins.Add(1)
	b := c.body.Load()
	if b == nil {
		c.pins.Add(-1)
	}
	return b
}

func (c *chunk) unpin() { c.pins.Add(-1) }

// ring holds the lines of one service. Readers use the atomic fields only.
type ring struct {
	service string
	list    atomic.Pointer[[]*chunk] // those with a body, by id; replaced, never changed in place
	live    atomic.Int32             // len of list
	bytes   atomic.Int64
	total   atomic.Int64 // lines that ever came in
	step    atomic.Int64 // bytes of the newest chunk, and about those of the next
	dropped atomic.Int64 // lines pushed out
	evicted atomic.Int64 // chunks pushed out

	mu      sync.Mutex
	removed bool
	tail    *chunk
	ids     uint64
	used    int // bytes of tail's text that are filled
	filled  int // records of tail that are filled
	last    map[carrier]carried
	errors  int64
	lastErr int64
	lastAt  int64
	seconds [rateSeconds]second
}

// carrier is a stream of a replica; lines of several come in turns.
type carrier struct {
	replica uint16
	stream  Stream
}

// carried is the level of the last line of a stream, which its continuation lines (stack traces) take over
// within its generation.
type carried struct {
	generation uint32
	level      Level
}

type second struct {
	at            int64 // Unix seconds
	lines, errors uint32
}

func newRing(service string) *ring {
	r := &ring{service: service, last: map[carrier]carried{}, lastErr: math.MinInt64, lastAt: math.MinInt64}
	r.list.Store(&[]*chunk{})
	return r
}

// append puts a line in, and tells whether it took memory for it. The ring is locked.
func (r *ring) append(s *Store, text []byte, carries bool, rec record) (grew bool) {
	b := r.room(len(text))
	if b == nil {
		b, grew = r.grow(s, len(text)), true
	}
	from := carrier{rec.replica, rec.stream}
	if last := r.last[from]; carries && rec.level == LevelUnknown && last.generation == rec.generation {
		rec.level = last.level
	}
	r.last[from] = carried{rec.generation, rec.level}

	rec.off, rec.size = uint32(r.used), uint32(len(text))
	copy(b.text[r.used:], text)
	b.records[r.filled] = rec
	r.used += len(text)
	r.filled++

	c := r.tail
	c.oldest, c.newest = min(c.oldest, rec.time), max(c.newest, rec.time)
	if rec.form != ascii && !c.odd.Load() {
		c.odd.Store(true)
	}
	r.note(&rec)
	r.total.Add(1)
	c.n.Store(int32(r.filled)) // from here on readers see it
	return grew
}

// room returns the tail's body when a line of size bytes fits, else nil.
func (r *ring) room(size int) *body {
	if r.tail == nil {
		return nil
	}
	b := r.tail.body.Load()
	if b == nil || r.filled == len(b.records) || r.used+size > len(b.text) {
		return nil
	}
	return b
}

// grow puts a fresh chunk with room for a line of size bytes at the end, after the oldest ones made place.
func (r *ring) grow(s *Store, size int) *body {
	text, average := firstText, guessedLine
	if r.tail != nil {
		if b := r.tail.body.Load(); b != nil {
			text = 2 * len(b.text)
		}
		average = max(r.used/max(r.filled, 1), 1)
	}
	text = max(min(text, s.chunkText), size)
	// An eighth more records than the last chunk's lines needed: text that no record is left for is lost room.
	records := min(max(text/average*9/8, 8), math.MaxUint16)

	var reuse *body
	cost := int64(text) + int64(records)*LineOverhead + chunkCost
	for r.bytes.Load()+cost > s.serviceBytes {
		b, ok := r.evict(s)
		if !ok {
			break
		}
		if fits(b, text, records) {
			reuse = b
		}
	}
	if reuse == nil && s.bytes.Load()+cost > s.totalBytes {
		if b := s.takeSpare(); fits(b, text, records) {
			reuse = b
		}
	}
	if reuse == nil {
		reuse = &body{records: make([]record, records), text: make([]byte, text)}
	}

	r.ids++
	c := &chunk{id: r.ids, start: r.total.Load(), oldest: math.MaxInt64, newest: math.MinInt64}
	c.body.Store(reuse)
	old := *r.list.Load()
	next := append(make([]*chunk, 0, len(old)+1), old...)
	next = append(next, c)
	r.list.Store(&next)
	r.live.Store(int32(len(next)))
	r.tail, r.used, r.filled = c, 0, 0
	r.step.Store(reuse.cost())
	r.bytes.Add(reuse.cost())
	s.bytes.Add(reuse.cost())
	return reuse
}

// fits tells whether a body that left a ring serves for a new chunk: same text, and about the records wanted.
func fits(b *body, text, records int) bool {
	return b != nil && len(b.text) == text && len(b.records) >= records*3/4 && len(b.records) <= records*3/2
}

// evict pushes out the chunk whose newest line is the oldest, the one being filled excepted. Lines mostly come
// in the order of time, and then that is the first; but older lines of a running container may be loaded
// later, and must not push out the newer ones. b is the body when nobody reads it any more, else nil. The ring
// is locked.
func (r *ring) evict(s *Store) (b *body, ok bool) {
	list := *r.list.Load()
	at := -1
	for i, c := range list {
		if c != r.tail && (at < 0 || c.newest < list[at].newest) {
			at = i
		}
	}
	if at < 0 {
		return nil, false
	}
	c := list[at]
	next := make([]*chunk, 0, len(list))
	next = append(append(next, list[:at]...), list[at+1:]...)
	r.list.Store(&next)
	r.live.Store(int32(len(next)))
	return r.release(s, c), true
}

// release takes a chunk's body away from it.
func (r *ring) release(s *Store, c *chunk) *body {
	b := c.body.Swap(nil)
	r.bytes.Add(-b.cost())
	s.bytes.Add(-b.cost())
	r.dropped.Add(int64(c.n.Load()))
	r.evicted.Add(1)
	if c.pins.Load() != 0 {
		return nil // somebody is reading it: left to the garbage collector
	}
	return b
}

func (r *ring) remove(s *Store) {
	r.removed = true
	for _, c := range *r.list.Load() {
		r.release(s, c)
	}
	r.list.Store(&[]*chunk{})
	r.live.Store(0)
	r.tail = nil
}

// note counts a line for Stats and Rates.
func (r *ring) note(rec *record) {
	bad := rec.level >= Error
	r.lastAt = latest(r.lastAt, rec.time)
	if bad {
		r.errors++
		r.lastErr = latest(r.lastErr, rec.time)
	}
	at := rec.time / int64(time.Second)
	sec := &r.seconds[uint64(at)%rateSeconds]
	if at < sec.at && !ahead(sec.at*int64(time.Second)) {
		return // late by more than we remember
	}
	if at != sec.at {
		*sec = second{at: at}
	}
	sec.lines++
	if bad {
		sec.errors++
	}
}

// clockSkew is how far a line's stamp may be ahead of our clock, in nanoseconds, and still count as a time.
const clockSkew = int64(time.Minute)

// ahead says whether a time, in Unix nanoseconds, is one that has not come: an engine's clock that went
// back has stamped lines with such.
func ahead(at int64) bool { return at > time.Now().UnixNano()+clockSkew }

// latest is the later of two times, in Unix nanoseconds, unless that has not come. The clock is asked only
// after a jump.
func latest(was, at int64) int64 {
	if at <= was || was < at-clockSkew && ahead(at) {
		return was
	}
	return at
}

func (r *ring) stats() ServiceStats {
	r.mu.Lock()
	defer r.mu.Unlock()
	st := ServiceStats{
		Service: r.service,
		Bytes:   r.bytes.Load(),
		Total:   r.total.Load(),
		Dropped: r.dropped.Load(),
		Errors:  r.errors,
	}
	st.Lines = st.Total - st.Dropped
	if r.lastAt != math.MinInt64 {
		st.LastLine = time.Unix(0, r.lastAt)
	}
	if r.lastErr != math.MinInt64 {
		st.LastError = time.Unix(0, r.lastErr)
	}
	return st
}

// rates fills lines and errors, whose last entry is the step seconds up to and with the second now.
func (r *ring) rates(now, step int64, lines, errors []int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.seconds {
		sec := &r.seconds[i]
		back := (now - sec.at) / step
		if sec.lines == 0 || sec.at > now || back >= int64(len(lines)) {
			continue
		}
		lines[len(lines)-1-int(back)] += int(sec.lines)
		errors[len(errors)-1-int(back)] += int(sec.errors)
	}
}
