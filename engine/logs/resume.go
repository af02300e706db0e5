package logs

import (
	"hash/maphash"
	"math"
	"time"
)

// Resume joins the parts of one log stream that was cut (the engine restarted, the network broke), so that
// nothing is lost and nothing doubled. Who reads a stream passes every line through Fresh; to open the stream
// again it asks Since, tells Reopened, and leaves out the lines that are not fresh. Engines stamp lines before
// they write them, so the last stamps may be out of order and one stamp may stand on several lines: lines are
// told apart by stamp, stream and text, over the last seconds. The zero value is ready; not safe for concurrent
// use.
type Resume struct {
	seed   maphash.Seed
	window []mark // a ring of the lines of the last resumeWindow
	start  int
	newest int64
	floor  int64 // lines up to here were seen and are forgotten; 0: none
	old    map[mark]int
	until  int64 // with old: the newest before the cut
}

// mark stands for a line.
type mark struct {
	time int64
	hash uint64
}

const (
	resumeWindow = 2 * time.Second
	resumeMarks  = 8 << 10 // lines remembered at most: 128 KiB for a stream
)

// Since is the moment from which the stream must be read again; zero when no line was seen.
func (r *Resume) Since() time.Time {
	if len(r.window) == 0 {
		return time.Time{}
	}
	since := int64(math.MaxInt64)
	for _, m := range r.window {
		since = min(since, m.time)
	}
	if r.floor != 0 {
		since = max(since, r.floor+1)
	}
	return time.Unix(0, since)
}

// Reopened says that the next lines are those from Since on.
func (r *Resume) Reopened() {
	r.old = make(map[mark]int, len(r.window))
	for _, m := range r.window {
		r.old[m]++
	}
	r.until = r.newest
}

// Fresh tells whether a line has not been seen before the stream was cut, and remembers it. t is the engine's
// stamp.
func (r *Resume) Fresh(t time.Time, stream Stream, text []byte) bool {
	if r.seed == (maphash.Seed{}) {
		r.seed = maphash.MakeSeed()
	}
	m := mark{t.UnixNano(), maphash.Bytes(r.seed, text) + uint64(stream)}
	if r.old != nil {
		if m.time <= r.floor && m.time <= r.until {
			return false
		}
		if n := r.old[m]; n > 0 {
			r.old[m] = n - 1
			return false
		}
		if m.time > r.until+int64(resumeWindow) {
			r.old = nil
		}
	}
	r.newest = max(r.newest, m.time)
	switch {
	case len(r.window) < resumeMarks && (len(r.window) == 0 || r.window[r.start].time >= r.newest-int64(resumeWindow)):
		// Grown only while all of it is recent: a quiet stream keeps few marks.
		if r.start != 0 {
			r.window = append(append([]mark(nil), r.window[r.start:]...), r.window[:r.start]...)
			r.start = 0
		}
		r.window = append(r.window, m)
	default:
		r.floor = max(r.floor, r.window[r.start].time)
		r.window[r.start] = m
		r.start = (r.start + 1) % len(r.window)
	}
	return true
}
