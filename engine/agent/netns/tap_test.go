package netns

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"bulkhead/engine/agent"
)

func nobody() bool { return false }

func TestTapTellsEachRequestOnce(t *testing.T) {
	tap := newTapped("edge")
	c := tap.open(nobody)
	now := time.Unix(1000, 0)
	asked, failed, routes := 0, 0, map[string]int{}
	tell := func() {
		seen, some := tap.tell(now)
		if !some {
			t.Error("nothing is told")
		}
		for _, s := range seen.Slices {
			asked, failed = asked+s.Asked, failed+s.Failed
			if s.Age < 0 || s.Age > 2*time.Second {
				t.Errorf("a slice began %v ago", s.Age)
			}
		}
		for _, r := range seen.Routes {
			routes[r.Path] += r.Asked
		}
		if len(seen.Bad) > agent.MaxBad {
			t.Errorf("%d failures are told one by one", len(seen.Bad))
		}
	}
	for i := range 300 {
		status := 200
		if i%3 == 0 {
			status = 500
		}
		c.passed(0, fmt.Appendf(nil, "GET /%c%c HTTP/1.1\r\n\r\n", 'a'+i%20, 'a'+i/20), now)
		now = now.Add(5 * time.Millisecond)
		c.passed(1, fmt.Appendf(nil, "HTTP/1.1 %d x\r\nContent-Length: 0\r\n\r\n", status), now)
		if i == 150 {
			tell()
		}
	}
	tell()
	if asked != 300 || failed != 100 {
		t.Errorf("%d requests and %d failures were told, of 300 and 100", asked, failed)
	}
	if len(routes) != agent.MaxRoutes+1 || routes[agent.OtherRoutes] != 200 {
		t.Errorf("%d routes, the others %d", len(routes), routes[agent.OtherRoutes])
	}
	if _, some := tap.tell(now); some {
		t.Error("told again without anything new")
	}
}

func TestTapTellsWhoEndedWhatWasNotAnswered(t *testing.T) {
	const sent = "GET / HTTP/1.1\r\n\r\n"
	for name, c := range map[string]struct {
		ends func(*tapConn, time.Time)
		want int
		why  string
		held bool // the caller's program has its end open
	}{
		"the callee": {func(c *tapConn, now time.Time) {
			c.ended(1, false, now)
		}, 1, "the connection was closed without an answer", true},
		"the callee, and the caller waits for it": {func(c *tapConn, now time.Time) {
			c.ended(0, false, now)
			c.abandoned()
			c.ended(1, false, now)
		}, 1, "the connection was closed without an answer", true},
		"the caller": {func(c *tapConn, now time.Time) {
			c.ended(0, false, now)
			c.ended(1, false, now)
		}, 1, "no answer in 1.5s; the caller gave up", false},
		"we": {func(c *tapConn, now time.Time) { c.ended(0, true, now); c.ended(1, true, now) }, 0, "", true},
		"a caller waits, and gets it": {func(c *tapConn, now time.Time) {
			c.ended(0, false, now)
			c.passed(1, []byte("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), now)
			c.abandoned()
		}, 0, "", true},
		"a caller waits longer, and gets it": {func(c *tapConn, now time.Time) {
			c.ended(0, false, now)
			c.abandoned()
			c.passed(1, []byte("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), now)
			c.ended(1, false, now)
		}, 0, "", true},
		"a caller is gone": {func(c *tapConn, now time.Time) {
			c.ended(0, false, now)
			c.abandoned()
		}, 1, "no answer in 1.5s; the caller gave up", false},
		"a caller waits": {func(c *tapConn, now time.Time) {
			c.ended(0, false, now)
			c.abandoned()
		}, 0, "", true},
		"nobody any more": {func(c *tapConn, now time.Time) {
			c.detach()
			c.ended(1, false, now)
		}, 0, "", true},
		"refused, another": {func(c *tapConn, now time.Time) {
			c.of.refused(now, now, errors.New("refused"))
		}, 1, "refused", true},
	} {
		tap := newTapped("edge")
		conn := tap.open(func() bool { return c.held })
		now := time.Unix(1000, 0)
		conn.passed(0, []byte(sent), now)
		c.ends(conn, now.Add(1500*time.Millisecond))
		seen, _ := tap.tell(now.Add(2 * time.Second))
		if len(seen.Bad) != c.want || c.want > 0 && seen.Bad[0].Why != c.why {
			t.Errorf("%s: %+v", name, seen.Bad)
		}
	}
}

func TestSpreadHasQuantilesWithinTenPercent(t *testing.T) {
	var s agent.Spread
	for i := 1; i <= 1000; i++ {
		s = s.Add(time.Duration(i) * time.Millisecond)
	}
	for q, want := range map[float64]time.Duration{0.5: 500 * time.Millisecond,
		0.95: 950 * time.Millisecond, 1: time.Second} {
		if got := s.Quantile(q); got < want*9/10 || got > want*11/10 {
			t.Errorf("%g: %v, want about %v", q, got, want)
		}
	}
	if got := agent.Spread(nil).Quantile(0.5); got != 0 {
		t.Errorf("of nothing: %v", got)
	}
}
