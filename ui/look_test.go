package ui

import "testing"

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
