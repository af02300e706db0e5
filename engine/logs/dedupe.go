package logs

import (
	"hash/maphash"
	"maps"
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// Dedupe joins several readings of one container's log, so that no line is lost
// and none comes twice: a stream that was cut and is opened again, what is read
// after a followed log ended, older pages in front of what was read. Engines
// stamp lines before they write them, each stream by itself, so stamps may be
// slightly out of order, and one stamp may stand on several lines: lines are
// distinguished by stamp, stream and text, at both ends of what was read.
//
// The reader of a stream passes every line through Fresh; to open the stream
// again it asks Since, calls Reopened, and leaves out the lines that are not
// fresh. These three belong to one goroutine at a time; the others, which are
// about older lines, may be called from any. The zero value is ready.
type Dedupe struct {
	window []mark // a ring of the lines of the last resumeWindow
	start  int
	newest int64
	floor  int64 // lines up to here were seen and are forgotten; 0: none
	old    map[mark]int
	until  int64 // with old: the newest before the cut

	some   atomic.Bool  // a line was seen
	oldest atomic.Int64 // with some: time of the oldest line, in Unix nanoseconds

	mu    sync.Mutex
	first map[mark]int // lines that were seen, of the StampJitter from the oldest on
}

// mark stands for a line.
type mark struct {
	time int64
	hash uint64
}

// seed is one for all, so that marks can be compared.
var seed = maphash.MakeSeed()

func markOf(l Line) mark {
	return mark{l.Time.UnixNano(), maphash.Bytes(seed, l.Text) + uint64(l.Stream)}
}

const (
	resumeWindow = 2 * time.Second
	resumeMarks  = 8 << 10 // lines remembered at most: 128 KiB for a stream
	// StampJitter is by how much the stamps of a log may be out of order.
	StampJitter = 20 * time.Millisecond
)

// Since is the moment from which the stream must be read again; zero when no line
// was seen.
func (d *Dedupe) Since() time.Time {
	if len(d.window) == 0 {
		return time.Time{}
	}
	since := int64(math.MaxInt64)
	for _, m := range d.window {
		since = min(since, m.time)
	}
	if d.floor != 0 {
		since = max(since, d.floor+1)
	}
	return time.Unix(0, since)
}

// Reopened says that the next lines are those from Since on.
func (d *Dedupe) Reopened() {
	d.old = make(map[mark]int, len(d.window))
	for _, m := range d.window {
		d.old[m]++
	}
	d.until = d.newest
}

// Fresh says whether a line was not seen before the stream was cut, and remembers it.
func (d *Dedupe) Fresh(l Line) bool {
	m := markOf(l)
	if d.old != nil {
		if m.time <= d.floor && m.time <= d.until {
			return false
		}
		if n := d.old[m]; n > 0 {
			d.old[m] = n - 1
			return false
		}
		if m.time > d.until+int64(resumeWindow) {
			d.old = nil
		}
	}
	d.newest = max(d.newest, m.time)
	switch {
	case len(d.window) < resumeMarks &&
		(len(d.window) == 0 || d.window[d.start].time >= d.newest-int64(resumeWindow)):
		// Grown only while all of it is recent: a quiet stream keeps few marks.
		if d.start != 0 {
			d.window = append(append([]mark(nil), d.window[d.start:]...), d.window[:d.start]...)
			d.start = 0
		}
		d.window = append(d.window, m)
	default:
		d.floor = max(d.floor, d.window[d.start].time)
		d.window[d.start] = m
		d.start = (d.start + 1) % len(d.window)
	}
	d.addFirst(m)
	return true
}

// Oldest is the time of the oldest line that was seen; ok is false when none was.
func (d *Dedupe) Oldest() (t time.Time, ok bool) {
	if !d.some.Load() {
		return time.Time{}, false
	}
	return time.Unix(0, d.oldest.Load()), true
}

// AddOlder remembers a line that was read from before what was seen.
func (d *Dedupe) AddOlder(l Line) { d.addFirst(markOf(l)) }

func (d *Dedupe) addFirst(m mark) {
	if d.some.Load() && m.time > d.oldest.Load()+int64(StampJitter) {
		return // the usual case
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.first == nil {
		d.first = map[mark]int{}
	}
	d.first[m]++
	if d.some.Load() && m.time >= d.oldest.Load() {
		return
	}
	d.oldest.Store(m.time)
	d.some.Store(true)
	for k := range d.first {
		if k.time > m.time+int64(StampJitter) {
			delete(d.first, k)
		}
	}
}

// Older returns a function that says of each line of a log that is read again, up
// to StampJitter after Oldest, whether it was not seen yet.
func (d *Dedupe) Older() func(Line) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	some, oldest, left := d.some.Load(), d.oldest.Load(), maps.Clone(d.first)
	return func(l Line) bool {
		m := markOf(l)
		if !some || m.time < oldest || left[m] == 0 {
			return true
		}
		left[m]--
		return false
	}
}
