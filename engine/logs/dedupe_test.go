package logs

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"
)

func TestCutStreamIsResumedWithNothingLostOrDoubled(t *testing.T) {
	for seed := range uint64(20) {
		rnd := rand.New(rand.NewPCG(seed, 3))
		// What the engine has on disk: stamps slightly out of order, some the same, texts that repeat.
		var disk []Line
		now := day
		for range 30_000 {
			now = now.Add(time.Duration(rnd.IntN(4)) * time.Duration(rnd.IntN(2000)) * time.Microsecond)
			disk = append(disk, Line{Time: now.Add(-time.Duration(rnd.IntN(3)) * time.Microsecond),
				Stream: Stdout + Stream(rnd.IntN(2)), Text: fmt.Append(nil, "line ", rnd.IntN(3))})
		}
		var r Dedupe
		given := 0 // lines of the disk that were read, without a gap
		for given < len(disk) {
			since := r.Since()
			if !since.IsZero() {
				r.Reopened()
			}
			// The cut comes anywhere in what is there at or after since.
			stop := given + 1 + rnd.IntN(6000)
			for i, l := range disk {
				if l.Time.Before(since) {
					if i >= given {
						t.Fatalf("line %d was never read and is before %v", i, since)
					}
					continue
				}
				if fresh := r.Fresh(l); fresh != (i >= given) {
					t.Fatalf("seed %d: line %d of %d read is fresh: %v", seed, i, given, fresh)
				} else if fresh {
					given = i + 1
				}
				if i == stop {
					break
				}
			}
			if len(r.window) > resumeMarks {
				t.Fatalf("%d lines are remembered", len(r.window))
			}
		}
	}
}

// One stamp stands on several lines of the same text, on both sides of the cut.
func TestLinesOfEqualTimeAreNeitherLostNorDoubled(t *testing.T) {
	at := day
	same := func(text string) Line { return Line{Time: at, Stream: Stdout, Text: []byte(text)} }
	disk := []Line{same("a"), same("b"), same("a"), same("a"), same("c"), {Time: at, Stream: Stderr,
		Text: []byte("a")}}
	for cut := range disk {
		var d Dedupe
		var got []Line
		for _, l := range disk[:cut] {
			if d.Fresh(l) {
				got = append(got, l)
			}
		}
		if since := d.Since(); cut > 0 && !since.Equal(at) {
			t.Fatalf("after %d lines it is read again from %v, want %v", cut, since, at)
		}
		d.Reopened()
		for _, l := range disk {
			if d.Fresh(l) {
				got = append(got, l)
			}
		}
		if !reflect.DeepEqual(got, disk) {
			t.Errorf("cut after %d lines: %v, want %v", cut, got, disk)
		}
	}
}

// sorted lists lines as text.
func sorted(lines []Line) []string {
	var out []string
	for _, l := range lines {
		out = append(out, fmt.Sprint(l.Time, l.Stream, string(l.Text)))
	}
	slices.Sort(out)
	return out
}

func TestOlderLinesOfEqualTimeAreNeitherLostNorDoubled(t *testing.T) {
	for seed := range uint64(20) {
		rnd := rand.New(rand.NewPCG(seed, 7))
		var disk []Line
		now := day
		for range 2000 {
			now = now.Add(time.Duration(rnd.IntN(2)*rnd.IntN(2000)) * time.Microsecond)
			disk = append(disk, Line{Time: now.Add(-time.Duration(rnd.IntN(3)) * time.Millisecond),
				Stream: Stdout + Stream(rnd.IntN(2)), Text: fmt.Append(nil, "line ", rnd.IntN(2))})
		}
		var d Dedupe
		if _, ok := d.Oldest(); ok {
			t.Fatal("something is oldest, and nothing was seen")
		}
		at := 1800 // lines from here on were read
		for _, l := range disk[at:] {
			d.Fresh(l)
		}
		for at > 0 {
			// A longer tail, up to what was seen: what comes of it last is the next page.
			oldest, _ := d.Oldest()
			until, older := oldest.Add(StampJitter), d.Older()
			var page []Line
			for _, l := range disk[max(at-300, 0):] {
				if l.Time.Before(until) && older(l) {
					page = append(page, l)
				}
			}
			// Which of two lines that are alike was seen before nobody can tell, and nobody needs to.
			if want := disk[max(at-300, 0):at]; !slices.Equal(sorted(page), sorted(want)) {
				t.Fatalf("seed %d: before line %d there are %d lines, want %d", seed, at, len(page), len(want))
			}
			for _, l := range page {
				d.AddOlder(l)
			}
			at = max(at-300, 0)
		}
	}
}
