package agent

import (
	"math"
	"time"
)

// Seen is what went over one tapped edge since it was last reported.
type Seen struct {
	ID       string  `json:"id"` // of the rule
	Conns    int     `json:"conns,omitempty"`
	Refused  int     `json:"refused,omitempty"` // of them: the callee did not take the connection
	Sent     int64   `json:"sent,omitempty"`    // bytes to the callee
	Received int64   `json:"received,omitempty"`
	Slices   []Slice `json:"slices,omitempty"`
	Routes   []Route `json:"routes,omitempty"`
	Bad      []Bad   `json:"bad,omitempty"` // at most MaxBad
}

// MaxBad is how many failed requests of an edge are reported one by one, each second.
const MaxBad = 20

// MaxRoutes is how many routes of an edge are counted apart; what comes after them is OtherRoutes.
const MaxRoutes = 100

// OtherRoutes is the path of the routes beyond MaxRoutes.
const OtherRoutes = "(others)"

// SliceLength is the time that one Slice is about.
const SliceLength = 200 * time.Millisecond

// Slice counts the requests of an edge that were sent within one SliceLength.
type Slice struct {
	Age     time.Duration `json:"age"` // of its beginning, when it was reported: clocks may differ
	Asked   int           `json:"asked,omitempty"`
	Failed  int           `json:"failed,omitempty"`  // of Asked
	Refused int           `json:"refused,omitempty"` // connections, not requests
	Took    Spread        `json:"took,omitempty"`    // of Asked
}

// Route counts requests of one kind.
type Route struct {
	Method   string      `json:"method"`
	Path     string      `json:"path"` // a template: what varies is {}
	Asked    int         `json:"asked"`
	Failed   int         `json:"failed,omitempty"`
	Statuses map[int]int `json:"statuses,omitempty"` // 0: there was no answer
	Took     Spread      `json:"took,omitempty"`
}

// Bad is one request that failed, or a connection that was refused.
type Bad struct {
	Age    time.Duration `json:"age"` // since it was sent, when it was told
	Took   time.Duration `json:"took"`
	Method string        `json:"method,omitempty"` // "" for a connection
	Path   string        `json:"path,omitempty"`
	Status int           `json:"status,omitempty"` // 0: there was no answer
	Why    string        `json:"why,omitempty"`    // where there was no answer
}

// Spread counts durations by size: within one bucket they differ by less than ten percent. The zero
// value is empty.
type Spread map[int]int

// perDoubling is how many buckets there are for each doubling of a duration.
const perDoubling = 8

// Add counts a duration. It returns the spread, which is made where there was none.
func (s Spread) Add(d time.Duration) Spread {
	if s == nil {
		s = Spread{}
	}
	s[bucketOf(d)]++
	return s
}

// Merge counts all that another spread counted.
func (s Spread) Merge(o Spread) Spread {
	if s == nil {
		s = Spread{}
	}
	for b, n := range o {
		s[b] += n
	}
	return s
}

func bucketOf(d time.Duration) int {
	us := d.Microseconds()
	if us <= 1 {
		return 0
	}
	return int(math.Log2(float64(us)) * perDoubling)
}

// Of is the duration in the middle of a bucket.
func (Spread) Of(bucket int) time.Duration {
	return time.Duration(math.Exp2((float64(bucket)+0.5)/perDoubling) * float64(time.Microsecond))
}

// Quantile is the duration that a share q of all does not exceed; 0 without any.
func (s Spread) Quantile(q float64) time.Duration {
	total, most := 0, 0
	for b, n := range s {
		total += n
		most = max(most, b)
	}
	if total == 0 {
		return 0
	}
	rank := max(int(math.Ceil(q*float64(total))), 1)
	for b := 0; b <= most; b++ {
		if rank -= s[b]; rank <= 0 {
			return s.Of(b)
		}
	}
	return s.Of(most)
}
