package cli

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"bulkhead/engine"
	"bulkhead/engine/container"
)

// recorded is a runtime whose one container has a log that grows between the readings of it.
type recorded struct {
	neighbour
	parts    [][]engine.Line // what is there at each reading, beside what was there before
	disk     []engine.Line
	followed func() // called when all of it was followed
}

func (d *recorded) Logs(_ context.Context, _ string, o engine.LogOptions, emit func(engine.Line)) error {
	if len(d.parts) > 0 {
		d.disk, d.parts = append(d.disk, d.parts[0]...), d.parts[1:]
	}
	from := 0
	if o.Tail >= 0 {
		from = max(len(d.disk)-o.Tail, 0)
	}
	for _, l := range d.disk[from:] {
		if !l.Time.Before(o.Since) {
			emit(l)
		}
	}
	if o.Follow {
		d.followed()
	}
	return nil
}

func (d *recorded) Events(ctx context.Context, _ string, _ time.Time, _ func(engine.Event)) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestFollowedLogHasLinesOfEqualTimeOnce(t *testing.T) {
	at := time.Unix(1_700_000_000, 0)
	lines := func(texts ...string) (out []engine.Line) {
		for _, text := range texts {
			out = append(out, engine.Line{Time: at, Stream: container.Stdout, Text: []byte(text)})
		}
		return out
	}
	for args, want := range map[string]string{
		"":       "one two two three two four",
		"-n 2":   "two two three two four",
		"-n 0":   "three two four",
		"-n all": "one two two three two four",
	} {
		t.Run(fmt.Sprintf("%q", args), func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			d := &recorded{parts: [][]engine.Line{lines("one", "two", "two"),
				lines("three", "two", "four")}, followed: cancel}
			d.in = engine.Instance{Identity: engine.Identity{ID: "id"}, Service: "a", Replica: 1,
				State: engine.StateRunning}
			tail, _ := strings.CutPrefix(args, "-n ")
			r, err := (&logFlags{tail: tail}).reading(time.Now(), nil)
			if err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			r.rt, r.out = d, newPrinter(&out)
			if err := r.run(ctx, true); err != nil && ctx.Err() == nil {
				t.Fatal(err)
			}
			var got []string
			for line := range strings.Lines(out.String()) {
				got = append(got, line[strings.LastIndexAny(strings.TrimSpace(line), " |")+1:len(line)-1])
			}
			if !slices.Equal(got, strings.Fields(want)) {
				t.Errorf("%q, want %s", got, want)
			}
		})
	}
}
