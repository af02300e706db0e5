package ui

import (
	"testing"

	"bulkhead/engine"
	"bulkhead/engine/drill"
	"bulkhead/engine/fault"
)

// The tour goes on with what was done, step by step, from the first kill to the proof.
func TestTourGoesOnWithWhatIsDone(t *testing.T) {
	b := shop()
	b.change(func(n *engine.Snapshot) {
		n.Ready = true
		for i := range n.Services { // the names of the shop that the tour is of
			switch s := &n.Services[i]; s.Name {
			case "api":
				s.Name = "orders"
			case "gw":
				s.Name = "gateway"
			case "cache":
				s.ByHand = false
			}
		}
	})
	s := openScreen(t, b, 80, 24, func(o *Options) { o.Tour = true })
	s.wait("tour 1/9")
	set := func(change func(n *engine.Snapshot)) { t.Helper(); b.change(change) }
	orders := func(n *engine.Snapshot) *engine.Service {
		for i := range n.Services {
			if n.Services[i].Name == "orders" {
				return &n.Services[i]
			}
		}
		return nil
	}
	set(func(n *engine.Snapshot) {
		o := orders(n)
		o.State, o.ByHand = engine.StateExited, true
		n.Ledgers = append(n.Ledgers, fakeLedger(n, "orders", start))
	})
	s.wait("tour 2/9")
	set(func(n *engine.Snapshot) { o := orders(n); o.State, o.ByHand = engine.StateRunning, false })
	s.wait("tour 3/9")
	set(func(n *engine.Snapshot) {
		n.Faults = []fault.Active{{Fault: fault.Fault{Kind: "latency", With: "500ms",
			Service: "catalog"}, Until: start.Add(fault.DefaultFor)}}
	})
	s.wait("tour 4/9")
	set(func(n *engine.Snapshot) { n.Faults = nil })
	s.wait("tour 5/9")
	set(func(n *engine.Snapshot) { n.Drilling, n.Drill = true, drilled(2) })
	s.wait("tour 6/9")
	set(func(n *engine.Snapshot) { n.Drilling, n.Drill = false, drilled(7) })
	s.wait("tour 7/9", "gateway/patience.go")
	s.keys(".")
	s.wait("tour 8/9")
	set(func(n *engine.Snapshot) {
		n.Drill = drilled(7)
		for i := range n.Drill.Rows {
			n.Drill.Rows[i].Verdict = drill.Isolated
		}
	})
	s.wait("tour 9/9", "no leak any more")
}
