package ui

import (
	"fmt"
	"path/filepath"
	"slices"
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
				s.wait("GET /orders 200 15ms", "exited 137", "worker died")
				s.keys("G")
				s.wait("> ✗ worker")
				s.compare(filepath.Join("..", "examples", "screens", name+".svg"), func() string {
					return picture.Draw(s.cells(), theme)
				})
			})
		}
	}
}

// busyShop is the shop three seconds after its worker was killed, with the lines of half a minute.
func busyShop() *fake {
	b := shopBeforeItsEnd()
	killed := start.Add(-3 * time.Second)
	worker := &b.snap.Services[6]
	worker.ExitCode, worker.ByHand, worker.Replicas[0].ExitCode = 137, true, 137
	worker.Last = &engine.Change{Service: "worker", Action: "kill", Cause: "you pressed K",
		Began: killed, Ended: killed}
	b.snap.Ledgers = []engine.Ledger{fakeLedger(&b.snap, "worker", killed)}
	worker.Ready = false
	for i := range b.snap.Records {
		switch r := &b.snap.Records[i]; {
		case r.Service == "worker":
			r.ExitCode, r.Cause = 137, "you pressed K"
		case r.Likely != nil:
			r.Likely.What = "was killed"
		}
	}
	b.snap.Records = slices.Insert(b.snap.Records, 0,
		engine.Record{Time: start.Add(-290 * time.Second), Kind: "service",
			Service: "worker", State: engine.StateRunning, Health: engine.Healthy, Cause: "up"})
	end := slices.IndexFunc(b.snap.Records, func(r engine.Record) bool {
		return r.Service == "worker" && r.HasExit
	})
	b.snap.Records = slices.Insert(b.snap.Records, end, engine.Record{Time: killed, Kind: "fault",
		Service: "worker",
		Action:  "kill", Cause: "you pressed K", What: "SIGKILL", Text: "worker: SIGKILL (you pressed K)"})
	b.store.Separator("worker", 1, 3, killed,
		"run 3 ended: exit code 137 (signal SIGKILL), you pressed K, was up 14m02s")
	lines := []struct{ service, text string }{
		{"api", "INFO  GET /orders 200 14ms"}, {"web", "INFO  GET / 200 6ms"},
		{"api", "INFO  POST /orders 201 31ms"},
		{"db", "LOG   checkpoint starting: time"}, {"web", "INFO  rendered /cart in 21ms"},
		{"api", "INFO  GET /items 200 4ms"},
	}
	for i := range 36 {
		l := lines[i%len(lines)]
		b.store.Append(l.service, 1, 3, logs.Stdout,
			start.Add(time.Duration(i-38)*400*time.Millisecond), []byte(l.text))
	}
	return b
}
