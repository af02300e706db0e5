package ui

import (
	"testing"
	"time"

	"bulkhead/engine"
	"bulkhead/engine/container"
	"bulkhead/engine/edge"
	"bulkhead/engine/fault"
)

// tapped is a project whose calls are looked at.
func tapped(n *engine.Snapshot) {
	n.Tapping = []fault.Edge{{}}
	n.Edges = []edge.Edge{
		{From: "api", To: "db", Tapped: true, Declared: []string{"depends_on"}, Conns: 4,
			Sent: 12_000, Received: 80_000},
		{From: "gw", To: "api", Tapped: true, Declared: []string{"depends_on", "calls"}, Conns: 60,
			Requests: 1200, Failed: 12, PerSecond: 40, Errors: .01,
			P50: 4 * time.Millisecond, P95: 21 * time.Millisecond,
			Routes: []edge.Route{{Method: "GET", Path: "/orders/{}", Requests: 1200, Failed: 12,
				Statuses: map[int]int{200: 1188, 502: 10, 0: 2}, P50: 4 * time.Millisecond,
				P95: 21 * time.Millisecond}}},
		{From: "gw", To: "web", Tapped: true, Declared: []string{"depends_on"}, Finding: edge.Unused},
		{From: "worker", To: "cache", Tapped: true, Conns: 3, Requests: 9, PerSecond: .3,
			P50: time.Millisecond, P95: 2 * time.Second, Finding: edge.Undeclared},
	}
}

func TestGraphTapsTheCallsAndEndsIt(t *testing.T) {
	b := shop()
	b.snap.Caps = container.Caps{Agent: true}
	s := openScreen(t, b, 80, 24)
	s.keys("c")
	s.wait("t tap the calls")
	s.keys("t")
	s.heard("tap  (you pressed t)")
	b.change(tapped)
	s.wait("t end the tap")
	s.keys("t")
	s.heard("untap  (you pressed t)")
	s.keys("esc")
	s.quit()
}
