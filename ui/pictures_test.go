package ui

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"bulkhead/engine"
	"bulkhead/engine/logs"
	"bulkhead/testdata/picture"
)

// TestPicturesShowTheScreen holds that the pictures in examples/screens are the screen as it is;
//
//	go test ./ui -run TestPicturesShowTheScreen -update
//
// draws them again.
func TestPicturesShowTheScreen(t *testing.T) {
	for _, theme := range []string{"dark", "light"} {
		for _, size := range [][2]int{{80, 24}, {120, 40}, {200, 50}} {
			name := fmt.Sprintf("%dx%d-%s", size[0], size[1], theme)
			t.Run(name, func(t *testing.T) {
				s := openScreen(t, busyShop(), size[0], size[1], func(o *Options) { o.Config.Theme = theme })
				s.wait("GET /orders 200 15ms")
				s.keys("G", "K")
				s.wait("exited 137", "worker died")
				s.compare(filepath.Join("..", "examples", "screens", name+".svg"), func() string { return picture.Draw(s.cells(), theme) })
			})
		}
	}
}

// busyShop is the shop with the lines of half a minute.
func busyShop() *fake {
	b := shop()
	b.snap.Services[6].State, b.snap.Services[6].ByHand = engine.StateRunning, false
	lines := []struct{ service, text string }{
		{"api", "INFO  GET /orders 200 14ms"}, {"web", "INFO  GET / 200 6ms"}, {"api", "INFO  POST /orders 201 31ms"},
		{"db", "LOG   checkpoint starting: time"}, {"web", "INFO  rendered /cart in 21ms"}, {"api", "INFO  GET /items 200 4ms"},
	}
	for i := range 36 {
		l := lines[i%len(lines)]
		b.store.Append(l.service, 1, 3, logs.Stdout, start.Add(time.Duration(i-38)*400*time.Millisecond), []byte(l.text))
	}
	return b
}
