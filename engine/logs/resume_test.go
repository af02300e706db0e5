package logs

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

func TestCutStreamIsResumedWithNothingLostOrDoubled(t *testing.T) {
	type line struct {
		at     time.Time
		stream Stream
		text   string
	}
	for seed := range uint64(20) {
		rnd := rand.New(rand.NewPCG(seed, 3))
		// What the engine has on disk: stamps slightly out of order, some the same, texts that repeat.
		var disk []line
		now := day
		for range 30_000 {
			now = now.Add(time.Duration(rnd.IntN(4)) * time.Duration(rnd.IntN(2000)) * time.Microsecond)
			disk = append(disk, line{now.Add(-time.Duration(rnd.IntN(3)) * time.Microsecond), Stdout + Stream(rnd.IntN(2)), fmt.Sprint("line ", rnd.IntN(3))})
		}
		var r Resume
		given := 0 // lines of the disk that were read, without a gap
		for given < len(disk) {
			since := r.Since()
			if !since.IsZero() {
				r.Reopened()
			}
			// The cut comes anywhere in what is there at or after since.
			stop := given + 1 + rnd.IntN(6000)
			for i, l := range disk {
				if l.at.Before(since) {
					if i >= given {
						t.Fatalf("line %d was never read and is before %v", i, since)
					}
					continue
				}
				if fresh := r.Fresh(l.at, l.stream, []byte(l.text)); fresh != (i >= given) {
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
