package build_test

import (
	"crypto/rand"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"bulkhead/engine/build"
)

// BenchmarkRebuild builds an image again after its one file has changed throughout, as a compiled
// program does.
func BenchmarkRebuild(b *testing.B) {
	b.Run("file=12MB", func(b *testing.B) {
		bld := newBuilder(b)
		dir := write(b, b.TempDir(), "Dockerfile", "FROM scratch\nCOPY app /app\nENTRYPOINT [\"/app\"]\n")
		data := make([]byte, 12<<20)
		r := build.Request{Service: "web", Context: dir, Tags: []string{prefix + "bench"}}
		change := func() {
			rand.Read(data)
			if err := os.WriteFile(filepath.Join(dir, "app"), data, 0o755); err != nil {
				b.Fatal(err)
			}
		}
		change()
		mustBuild(b, bld, r)
		var took []time.Duration
		b.ReportAllocs()
		for b.Loop() {
			b.StopTimer()
			change()
			b.StartTimer()
			res := mustBuild(b, bld, r)
			took = append(took, res.Took)
			if testing.Verbose() {
				for _, s := range res.Steps {
					b.Logf("%v %-60s %v", s.Started.Format("05.000"), s.Name, s.Ended.Sub(s.Started))
				}
				b.Logf("took %v", res.Took)
			}
		}
		slices.Sort(took)
		b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "median-ms")
	})
}
