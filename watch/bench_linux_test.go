package watch

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// makeTree makes folders with ten files each.
func makeTree(b *testing.B, folders int) string {
	root := b.TempDir()
	for i := range folders {
		dir := mustMkdir(b, root, strconv.Itoa(i%100), strconv.Itoa(i))
		for j := range 10 {
			if err := os.WriteFile(filepath.Join(dir, strconv.Itoa(j)), nil, 0o644); err != nil {
				b.Fatal(err)
			}
		}
	}
	return root
}

// BenchmarkReady is from Run to Ready with nothing ignored.
func BenchmarkReady(b *testing.B) {
	for _, files := range []int{1000, 10_000, 100_000} {
		b.Run("files="+strconv.Itoa(files), func(b *testing.B) {
			root := makeTree(b, files/10)
			b.ReportAllocs()
			for b.Loop() {
				w, err := New(Options{})
				if err != nil {
					b.Fatal(err)
				}
				ctx, cancel := context.WithCancel(b.Context())
				ended := make(chan error, 1)
				go func() { ended <- w.Run(ctx) }()
				w.SetRoots([]Root{{Path: root}})
				<-w.Ready()
				b.StopTimer() // closing costs the kernel more than watching
				cancel()
				if err := <-ended; err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
		})
	}
}

// BenchmarkReadyIgnored is from Run to Ready with so many files in an ignored
// folder, beside a hundred that are watched; it reports the kernel's watches.
func BenchmarkReadyIgnored(b *testing.B) {
	for _, files := range []int{10_000, 100_000} {
		b.Run("files="+strconv.Itoa(files), func(b *testing.B) {
			top := b.TempDir()
			mustMkdir(b, top, "src")
			if err := os.Rename(makeTree(b, files/10), filepath.Join(top, "node_modules")); err != nil {
				b.Fatal(err)
			}
			if err := os.Rename(makeTree(b, 10), filepath.Join(top, "src/app")); err != nil {
				b.Fatal(err)
			}
			ig, err := NewIgnore(top, []string{"**/node_modules"})
			if err != nil {
				b.Fatal(err)
			}
			before, watches := inotifyWatches(b), 0
			for b.Loop() {
				w, err := New(Options{})
				if err != nil {
					b.Fatal(err)
				}
				ctx, cancel := context.WithCancel(b.Context())
				ended := make(chan error, 1)
				go func() { ended <- w.Run(ctx) }()
				w.SetRoots([]Root{{Path: top, Ignore: ig.Match}})
				<-w.Ready()
				b.StopTimer()
				watches = inotifyWatches(b) - before
				cancel()
				if err := <-ended; err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
			b.ReportMetric(float64(watches), "watches")
		})
	}
}

// BenchmarkCheckoutToBatch is from the end of a git checkout that changes 600
// files to its batch; the quiet period is in it.
func BenchmarkCheckoutToBatch(b *testing.B) {
	k := newWorkOf(b, 600)
	k.watch(Options{})
	branch, other := "feature", "main"
	var late time.Duration
	n := 0
	for b.Loop() {
		k.git("checkout", "-q", branch)
		ended := time.Now()
		if batch := k.batch(); len(batch.Paths) != 600 {
			b.Fatalf("%d paths in the batch, want 600", len(batch.Paths))
		}
		late += time.Since(ended)
		n++
		branch, other = other, branch
	}
	b.ReportMetric(float64(late.Microseconds())/1000/float64(n), "ms-after-git")
}

// BenchmarkSaveToBatch is from the save of a file to its batch; Quiet is in it.
func BenchmarkSaveToBatch(b *testing.B) {
	root := makeTree(b, 1000)
	w := started(b, Options{}, Root{Path: root})
	for b.Loop() {
		wantPaths(b, w, mustWrite(b, root, "7/107/3"))
		time.Sleep(time.Millisecond)
	}
}

// BenchmarkPollLook is one look at all files by the poller.
func BenchmarkPollLook(b *testing.B) {
	root := makeTree(b, 1000)
	p := newPoller(time.Hour, newInbox())
	for i := range 1000 {
		dir := filepath.Join(root, strconv.Itoa(i%100), strconv.Itoa(i))
		entries, err := list(dir)
		if err != nil {
			b.Fatal(err)
		}
		p.add(dir, stampsOf(entries))
	}
	b.ReportAllocs()
	for b.Loop() {
		p.look(b.Context())
	}
}
