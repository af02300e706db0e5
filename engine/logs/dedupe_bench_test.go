package logs

import (
	"testing"
	"time"
)

// BenchmarkDedupe is what every line that is followed costs.
func BenchmarkDedupe(b *testing.B) {
	var d Dedupe
	line := Line{Stream: Stdout, Time: day,
		Text: []byte(`{"level":"info","msg":"GET /orders/17 200","took":"12ms","request":"8a2f"}`)}
	b.ReportAllocs()
	for b.Loop() {
		line.Time = line.Time.Add(10 * time.Microsecond)
		d.Fresh(line)
	}
}
