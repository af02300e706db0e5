package build_test

import (
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"bulkhead/engine/container"
)

// BenchmarkRebuild builds an image again after a change of its context: one file that has changed
// throughout, as a compiled program does, or one of many.
func BenchmarkRebuild(b *testing.B) {
	b.Run("file=12MB", func(b *testing.B) {
		dir := write(b, b.TempDir(), "Dockerfile", "FROM scratch\nCOPY app /app\n")
		rebuild(b, dir, filepath.Join(dir, "app"), 12<<20)
	})
	b.Run("files=500x24kB/changed=1", func(b *testing.B) {
		dir := write(b, b.TempDir(), "Dockerfile", "FROM scratch\nCOPY . /\n")
		for i := range 500 {
			write(b, dir, fmt.Sprintf("src/%d/%d.js", i/20, i), strings.Repeat(rand.Text(), 1000))
		}
		rebuild(b, dir, filepath.Join(dir, "src/0/0.js"), 24<<10)
	})
}

func rebuild(b *testing.B, dir, file string, size int) {
	bld := newBuilder(b)
	data := make([]byte, size)
	r := container.BuildRequest{Service: "web", Context: dir, Tags: []string{prefix + "bench"}}
	change := func() {
		rand.Read(data) // never fails
		if err := os.WriteFile(file, data, 0o755); err != nil {
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
		took = append(took, mustBuild(b, bld, r).Took)
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "median-ms")
	b.ReportMetric(float64(took[0].Microseconds())/1000, "min-ms")
}
