package netns

import (
	"fmt"
	"sync"
	"time"

	"bulkhead/engine/agent"
)

// keptSlices bounds the slices between two beats: requests that are answered late belong to old ones.
const keptSlices = 600

// tapped counts what goes over one edge, until it is reported.
type tapped struct {
	id string

	mu     sync.Mutex
	seen   agent.Seen
	slices map[int64]*agent.Slice // by the number of their span since the epoch
	routes map[route]*agent.Route
	known  map[route]bool // all that were ever told
}

type route struct{ method, path string }

func newTapped(id string) *tapped {
	return &tapped{id: id, slices: map[int64]*agent.Slice{}, routes: map[route]*agent.Route{},
		known: map[route]bool{}}
}

// slice is that of a moment. Callers hold mu.
func (t *tapped) slice(at time.Time) *agent.Slice {
	n := at.UnixNano() / int64(agent.SliceLength)
	s := t.slices[n]
	if s == nil {
		s = &agent.Slice{}
		if len(t.slices) < keptSlices {
			t.slices[n] = s
		}
	}
	return s
}

// routeOf is where requests of one kind are counted. Callers hold mu.
func (t *tapped) routeOf(method, path string) *agent.Route {
	k := route{method, path}
	if !t.known[k] && len(t.known) >= agent.MaxRoutes {
		k.path = agent.OtherRoutes
	}
	t.known[k] = true
	r := t.routes[k]
	if r == nil {
		r = &agent.Route{Method: k.method, Path: k.path, Statuses: map[int]int{}}
		t.routes[k] = r
	}
	return r
}

// finished counts a request that is answered, or will not be.
func (t *tapped) finished(x exchange) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s, r := t.slice(x.sent), t.routeOf(x.method, x.path)
	s.Asked++
	r.Asked++
	r.Statuses[x.status]++
	s.Took, r.Took = s.Took.Add(x.took), r.Took.Add(x.took)
	if !x.failed() {
		return
	}
	s.Failed++
	r.Failed++
	if len(t.seen.Bad) < agent.MaxBad {
		// Until it is reported its Age is the moment it was sent.
		t.seen.Bad = append(t.seen.Bad, agent.Bad{Age: time.Duration(x.sent.UnixNano()), Took: x.took,
			Method: x.method, Path: x.path, Status: x.status, Why: x.why})
	}
}

// refused counts a connection that the callee did not take.
func (t *tapped) refused(began, now time.Time, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.seen.Conns++
	t.seen.Refused++
	t.slice(began).Refused++
	if len(t.seen.Bad) < agent.MaxBad {
		t.seen.Bad = append(t.seen.Bad, agent.Bad{Age: time.Duration(began.UnixNano()),
			Took: now.Sub(began), Why: err.Error()})
	}
}

// tell returns what was counted since it was reported last; some says whether there is anything.
func (t *tapped) tell(now time.Time) (out agent.Seen, some bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	out = t.seen
	out.ID = t.id
	for n, s := range t.slices {
		s.Age = now.Sub(time.Unix(0, n*int64(agent.SliceLength)))
		out.Slices = append(out.Slices, *s)
	}
	for _, r := range t.routes {
		out.Routes = append(out.Routes, *r)
	}
	for i := range out.Bad {
		out.Bad[i].Age = now.Sub(time.Unix(0, int64(out.Bad[i].Age)))
	}
	t.seen = agent.Seen{}
	clear(t.slices)
	clear(t.routes)
	return out, out.Conns > 0 || out.Sent > 0 || out.Received > 0 || len(out.Slices) > 0
}

// tapConn is one connection over a tapped edge. Its methods may be called on nil, which is not tapped.
type tapConn struct {
	of *tapped

	mu       sync.Mutex
	http     *httpConn
	gaveUp   time.Time   // when the caller had sent all; zero: it may still send
	held     func() bool // whether the caller's program has its end open, be it only to read
	detached bool        // nobody wants to know any more
	left     bool        // it ends here: nothing goes through it any more
}

// halfClosed is how long after the end of what a caller sends, and how often from then on, it is looked whether
// anybody still waits for an answer: most programs that send nothing any more have closed both halves.
const halfClosed = 500 * time.Millisecond

// open begins to follow a connection; held says whether its caller's program has its end open.
func (t *tapped) open(held func() bool) *tapConn {
	t.mu.Lock()
	t.seen.Conns++
	t.mu.Unlock()
	return &tapConn{of: t, http: newHTTPConn(t.finished), held: held}
}

// passed takes bytes that go by, and says whether they may; direction 0 is to the callee, 1 back.
func (c *tapConn) passed(direction int, data []byte, now time.Time) bool {
	if c == nil {
		return true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.left {
		return false
	}
	if c.detached {
		c.follow(direction, data, now)
		return true
	}
	c.of.mu.Lock()
	if direction == 0 {
		c.of.seen.Sent += int64(len(data))
	} else {
		c.of.seen.Received += int64(len(data))
	}
	c.of.mu.Unlock()
	c.follow(direction, data, now)
	return true
}

func (c *tapConn) follow(direction int, data []byte, now time.Time) {
	if direction == 0 {
		c.http.asked(data, now)
	} else {
		c.http.answered(data, now)
	}
}

// ended takes the end of one direction. cut says that we ended it.
func (c *tapConn) ended(direction int, cut bool, now time.Time) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case cut:
		c.http.giveUp()
	case direction == 0:
		// It may have sent all and still wait for the answer.
		c.gaveUp = now
		time.AfterFunc(halfClosed, c.abandoned)
	case !c.gaveUp.IsZero() && !c.held():
		c.abandonedLocked()
	default:
		c.http.broken("the connection was closed without an answer", now)
	}
}

// abandoned tells of the requests whose caller has gone, or looks again while it waits.
func (c *tapConn) abandoned() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, waits := c.http.oldest(); waits && c.held() {
		time.AfterFunc(halfClosed, c.abandoned)
		return
	}
	c.abandonedLocked()
}

func (c *tapConn) abandonedLocked() {
	if sent, waits := c.http.oldest(); waits {
		c.http.broken(fmt.Sprintf("no answer in %s; the caller gave up",
			c.gaveUp.Sub(sent).Round(10*time.Millisecond)), c.gaveUp)
	}
}

// detach stops counting; what goes by is still followed, to know when nobody waits for anything.
func (c *tapConn) detach() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.detached = true
	c.http.done = func(exchange) {}
}

// farewell returns what asks the caller to go, "" for nothing at this moment.
func (c *tapConn) farewell() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.http.farewell()
}

// leave ends the connection where nobody waits for anything on it, and says whether it did. A request
// that comes later is not let through: its caller finds the connection closed, and knows that the
// callee never had it.
func (c *tapConn) leave() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.left = c.http.idle()
	return c.left
}
