package logs

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Options bound a Store. A zero field means its default.
type Options struct {
	ServiceBytes int64 // held per service; default 16 MiB
	// held in all; default 16 times ServiceBytes; over it, the service that holds most loses its
	// oldest lines
	TotalBytes int64
	MaxLine    int // bytes kept of one line; default 1 MiB; at most a quarter of ServiceBytes
}

const (
	defaultServiceBytes = 16 << 20
	defaultServices     = 16 // that may be full at the same time
	defaultMaxLine      = 1 << 20
	minMaxLine          = 64
	// spareBodies is how many chunks pushed out of one ring may wait to be filled by another.
	spareBodies = 4
)

// Store keeps the lines of all services. All methods are safe for concurrent use.
type Store struct {
	serviceBytes, totalBytes int64
	maxLine                  int
	chunkText                int // bytes of text in a full-sized chunk

	seq     atomic.Uint64
	changed atomic.Uint64 // grows after a line can be seen, never before
	bytes   atomic.Int64
	rings   atomic.Pointer[map[string]*ring] // replaced, never changed in place

	waiting atomic.Bool // somebody sits in Wait; keeps the append path off wakeMu
	wakeMu  sync.Mutex
	wake    chan struct{} // closed at the next append; nil when nobody waits

	mu    sync.Mutex // taken before any ring's lock
	spare []*body
}

// New makes an empty store.
func New(o Options) *Store {
	if o.ServiceBytes <= 0 {
		o.ServiceBytes = defaultServiceBytes
	}
	if o.TotalBytes <= 0 {
		o.TotalBytes = defaultServices * o.ServiceBytes
	}
	if o.MaxLine <= 0 {
		o.MaxLine = defaultMaxLine
	}
	o.ServiceBytes = min(max(o.ServiceBytes, 8<<10), o.TotalBytes)
	o.MaxLine = max(min(o.MaxLine, int(o.ServiceBytes/4)), minMaxLine)
	s := &Store{
		serviceBytes: o.ServiceBytes,
		totalBytes:   o.TotalBytes,
		maxLine:      o.MaxLine,
		// Small enough that dropping one is no gap worth speaking of, large enough that the list of them stays short.
		chunkText: int(min(max(o.ServiceBytes/64, 1<<10), 128<<10)),
	}
	s.rings.Store(&map[string]*ring{})
	return s
}

// Append takes in one line without its line end. It copies text, recognises the level, and cuts what is over
// MaxLine. The zero time stands for now. Lines may come in any order of time.
func (s *Store) Append(service string, replica, generation int, stream Stream, t time.Time, text []byte) {
	s.AppendCut(service, replica, generation, stream, t, text, 0)
}

// AppendCut is Append for a line that lost cut bytes before it came here (see Splitter.Cut).
func (s *Store) AppendCut(
	service string, replica, generation int, stream Stream, t time.Time, text []byte, cut int,
) {
	if len(text) > s.maxLine {
		keep := cutAt(text, s.maxLine)
		cut += len(text) - keep
		text = text[:keep]
	}
	level, carries := LevelUnknown, false
	if stream != System {
		level, carries = recognise(text)
	}
	s.put(service, text, carries, record{
		time:       nanos(t),
		generation: clampUint32(generation),
		cut:        clampUint32(cut),
		replica:    uint16(min(max(replica, 0), 1<<16-1)),
		stream:     stream,
		level:      level,
		form:       formOf(text),
	})
}

// Separator writes a System line between two generations of a service, such as
// "run 3 ended: SIGKILL by you, was up 14m02s".
func (s *Store) Separator(service string, replica, generation int, t time.Time, text string) {
	s.Append(service, replica, generation, System, t, []byte(text))
}

func (s *Store) put(service string, text []byte, carries bool, rec record) {
	var grew bool
	for {
		r := s.ring(service)
		r.mu.Lock()
		if r.removed { // Remove came between: the next look finds no ring and makes one
			r.mu.Unlock()
			continue
		}
		rec.seq = s.seq.Add(1)
		grew = r.append(s, text, carries, rec)
		r.mu.Unlock()
		break
	}
	if grew && s.bytes.Load() > s.totalBytes {
		s.shrink()
	}
	s.announce()
}

func (s *Store) announce() {
	s.changed.Add(1)
	if !s.waiting.Load() {
		return
	}
	s.wakeMu.Lock()
	if s.wake != nil {
		close(s.wake)
		s.wake = nil
	}
	s.waiting.Store(false)
	s.wakeMu.Unlock()
}

// Changed grows with every line that came in and every service removed. It costs one atomic load.
func (s *Store) Changed() uint64 { return s.changed.Load() }

// Wait blocks until Changed() > since, or until ctx ends, whose error it then returns. One wake-up may stand for
// many lines.
func (s *Store) Wait(ctx context.Context, since uint64) error {
	for s.Changed() <= since {
		s.wakeMu.Lock()
		if s.wake == nil {
			s.wake = make(chan struct{})
		}
		wake := s.wake
		s.waiting.Store(true)
		s.wakeMu.Unlock()
		// A line that came in before waiting was set did not see us: look once more before sleeping.
		if s.Changed() > since {
			return nil
		}
		select {
		case <-wake:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// ring finds or makes the ring of a service.
func (s *Store) ring(service string) *ring {
	if r := (*s.rings.Load())[service]; r != nil {
		return r
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	rings := *s.rings.Load()
	if r := rings[service]; r != nil {
		return r
	}
	// The name may be a slice of a longer string of the caller's; the ring outlives it.
	r := newRing(strings.Clone(service))
	next := maps.Clone(rings)
	next[r.service] = r
	s.rings.Store(&next)
	return r
}

// shrink makes the rings that hold most give up chunks until the total is within its bound. Called with no
// ring locked.
func (s *Store) shrink() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.bytes.Load() > s.totalBytes {
		var most *ring
		for _, r := range *s.rings.Load() {
			if r.live.Load() > 1 && (most == nil || r.bytes.Load() > most.bytes.Load()) {
				most = r
			}
		}
		if most == nil {
			return // one chunk each, being filled: nothing that can go
		}
		most.mu.Lock()
		b, ok := most.evict(s)
		most.mu.Unlock()
		if !ok {
			return
		}
		if b != nil && len(b.text) == s.chunkText && len(s.spare) < spareBodies {
			s.spare = append(s.spare, b)
		}
	}
}

// takeSpare returns a chunk body that another ring gave up, or nil. Called with a ring locked, so it must not
// wait for s.mu, which is taken before ring locks.
func (s *Store) takeSpare() *body {
	if !s.mu.TryLock() {
		return nil
	}
	defer s.mu.Unlock()
	if len(s.spare) == 0 {
		return nil
	}
	b := s.spare[len(s.spare)-1]
	s.spare = s.spare[:len(s.spare)-1]
	return b
}

// Remove forgets a service and all its lines. Lines that come in for it later start from nothing.
func (s *Store) Remove(service string) {
	s.mu.Lock()
	rings := *s.rings.Load()
	r := rings[service]
	if r != nil {
		next := maps.Clone(rings)
		delete(next, service)
		s.rings.Store(&next)
	}
	s.mu.Unlock()
	if r == nil {
		return
	}
	r.mu.Lock()
	r.remove(s)
	r.mu.Unlock()
	s.announce()
}

// Dropped is how many lines of a service were pushed out of its ring.
func (s *Store) Dropped(service string) int64 {
	if r := (*s.rings.Load())[service]; r != nil {
		return r.dropped.Load()
	}
	return 0
}

// Room is how many bytes (text and overhead) a service can still take in before its oldest lines drop. Who
// loads older lines of a running container asks it first: lines older than all others are the first to drop.
func (s *Store) Room(service string) int64 {
	room := s.totalBytes - s.bytes.Load()
	own, step := s.serviceBytes, int64(s.chunkText)
	if r := (*s.rings.Load())[service]; r != nil {
		own -= r.bytes.Load()
		step = max(step, r.step.Load())
	}
	return max(min(room, own)-step, 0) // the last chunk may not fit
}

// ServiceStats says what a store holds of one service.
type ServiceStats struct {
	Service   string
	Lines     int64 // held now
	Bytes     int64 // memory held now: text and overhead, as allocated
	Total     int64 // lines that ever came in
	Dropped   int64 // of Total, pushed out of the ring
	Errors    int64 // of Total, of level Error or Fatal
	LastLine  time.Time
	LastError time.Time // zero: there was none
}

// Bytes is the memory that all lines take now, counted as for the bounds.
func (s *Store) Bytes() int64 { return s.bytes.Load() }

// Stats returns one entry per service, sorted by name.
func (s *Store) Stats() []ServiceStats {
	rings := *s.rings.Load()
	out := make([]ServiceStats, 0, len(rings))
	for _, name := range slices.Sorted(maps.Keys(rings)) {
		out = append(out, rings[name].stats())
	}
	return out
}

// Rates counts the lines, and of them the error lines, that a service wrote in each of the n steps that end at
// now, oldest first. The store remembers five minutes, by the second: a step is rounded up to whole seconds.
func (s *Store) Rates(service string, now time.Time, step time.Duration, n int) (lines, errors []int) {
	n = max(n, 0)
	lines, errors = make([]int, n), make([]int, n)
	if r := (*s.rings.Load())[service]; r != nil {
		r.rates(now.Unix(), max(int64((step+time.Second-1)/time.Second), 1), lines, errors)
	}
	return lines, errors
}

// cutAt is the longest length up to limit that splits no UTF-8 character of text, which is longer than limit.
func cutAt(text []byte, limit int) int {
	for i := limit; i > limit-4 && i > 0; i-- {
		if text[i]&0xc0 != 0x80 {
			return i
		}
	}
	return limit // not UTF-8
}

func nanos(t time.Time) int64 {
	if t.IsZero() {
		t = time.Now()
	}
	return t.UnixNano()
}

func clampUint32(n int) uint32 { return uint32(min(max(n, 0), 1<<32-1)) }
