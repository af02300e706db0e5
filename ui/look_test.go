package ui

import (
	"testing"

	"bulkhead/engine"
)

func TestShowsTheProject(t *testing.T) {
	for _, size := range []struct {
		name string
		w, h int
	}{{"80x24", 80, 24}, {"120x40", 120, 40}, {"200x50", 200, 50}} {
		t.Run(size.name, func(t *testing.T) {
			s := openScreen(t, shop(), size.w, size.h)
			s.wait("gw", "GET /orders 200 15ms")
			s.golden("shop-" + size.name)
			s.quit()
		})
	}
}

func TestHeldWatchAndPlanOfACheckoutAreShown(t *testing.T) {
	b := shop()
	s := openScreen(t, b, 120, 30)
	s.wait("watch auto")
	b.change(func(n *engine.Snapshot) { n.Watch.Held = "git" })
	s.wait("watch held: git")
	b.change(func(n *engine.Snapshot) {
		n.Watch.Held = ""
		n.Records = append(n.Records[:len(n.Records):len(n.Records)],
			engine.Record{Seq: 7, Time: start, Kind: "plan", Text: "27 files: rebuild api, sync web",
				Cause: "git checkout main -> feature"})
	})
	s.keys("3")
	s.wait("watch auto", "27 files: rebuild api, sync web", "git checkout main -> feature")
	s.quit()
}
