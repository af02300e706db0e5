//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// step presses keys, waits for what they bring, and films that.
type step struct {
	keys    []string
	pause   time.Duration // between two keys, for the film; default none
	wait    []string      // what the screen has to show then
	limit   time.Duration // default a minute
	caption string        // of the picture; default the one before
	lasts   time.Duration // of the picture, in the film; 0 takes none
}

const (
	down  = "j"
	enter = "\r"
)

func demonstrate(ctx context.Context, t *terminal) error {
	began := time.Now()
	if err := play(ctx, t,
		step{wait: []string{"tour 1/9"}, limit: 10 * time.Minute,
			caption: "bulkhead demo: seven services, each in its own container", lasts: 4 * time.Second},
		step{keys: []string{down, down, down, down}, wait: []string{"> ● orders"},
			caption: "select orders", lasts: time.Second},
		step{keys: []string{"K"}, wait: []string{"tour 2/9", "exited 137", "5 untouched"},
			caption: "K kills it: the gateway degrades, five others were not touched", lasts: 5 * time.Second},
		step{keys: []string{"5"}, wait: []string{"5 LEDGER"},
			caption: "5, the proof: same container, same start time, same restart count",
			lasts:   6 * time.Second},
		step{keys: []string{"2", "1", "u"}, wait: []string{"tour 3/9", "orders is back in"},
			caption: "u brings it back", lasts: 4 * time.Second},
		step{keys: []string{"k", "k", "k"}, wait: []string{"> ● catalog"}, caption: "select catalog"},
		step{keys: []string{"F"}, wait: []string{"Fault on catalog"},
			caption: "F has faults: what the network, the machine or a bug would do", lasts: 4 * time.Second},
		step{keys: []string{"l"}, wait: []string{"latency on catalog"},
			caption: "latency: how much, whose calls, how long", lasts: 3 * time.Second},
		step{keys: []string{enter}, wait: []string{"tour 4/9", "fault: latency=500ms catalog"},
			caption: "slow now, until it is healed or its time is over", lasts: 4 * time.Second},
		step{keys: []string{"H"}, wait: []string{"tour 5/9"}, caption: "H heals", lasts: 2 * time.Second},
		step{keys: []string{"I"}, wait: []string{"Isolation drill"}},
		step{keys: []string{"t", "e", "v"}, pause: time.Second,
			wait:    []string{"pause", "enter starts it"},
			caption: "I, the drill: every service hangs in turn, and all others are watched",
			lasts:   4 * time.Second},
		step{keys: []string{enter}, wait: []string{"tour 6/9", "0/7"}, lasts: 2 * time.Second},
		step{wait: []string{"2/7"}, limit: 5 * time.Minute, lasts: 2 * time.Second},
		step{wait: []string{"4/7"}, limit: 5 * time.Minute, lasts: 2 * time.Second},
		step{wait: []string{"tour 7/9", "LEAK"}, limit: 10 * time.Minute,
			caption: "a leak: one that hangs takes the gateway with it, which waits without end",
			lasts:   6 * time.Second},
	); err != nil {
		return err
	}
	t.note("the first drill had found the leak", began)
	if err := mend(filepath.Join(t.folder, "gateway", "patience.go")); err != nil {
		return err
	}
	if err := play(ctx, t,
		step{wait: []string{"tour 8/9"}, limit: 3 * time.Minute,
			caption: "one line is edited and saved: only the gateway is built and replaced",
			lasts:   5 * time.Second},
		step{keys: []string{"I", "n"}, pause: time.Second, wait: []string{"enter starts it"},
			caption: "the same drill again", lasts: 2 * time.Second},
		step{keys: []string{enter}, wait: []string{"0/7"}, lasts: time.Second},
		step{wait: []string{"3/7"}, limit: 5 * time.Minute, lasts: 2 * time.Second},
		step{wait: []string{"tour 9/9"}, limit: 10 * time.Minute,
			caption: "proved: one hangs, the others live", lasts: 8 * time.Second},
	); err != nil {
		return err
	}
	t.note("the second drill had proved that it is gone", began)
	if err := t.press("q"); err != nil {
		return err
	}
	if err := t.wait(ctx, time.Minute, "stop them"); err != nil { // the question what is to become of what runs
		return err
	}
	if err := t.press("s"); err != nil {
		return err
	}
	select {
	case <-t.ended:
		return nil
	case <-time.After(time.Minute):
		return errors.New("the demo did not end in a minute after q")
	}
}

// note says on stderr how far the demonstration has come.
func (t *terminal) note(what string, began time.Time) {
	fmt.Fprintf(os.Stderr, "record: %v after the start %s\n", time.Since(began).Round(time.Second), what)
}

func play(ctx context.Context, t *terminal, steps ...step) error {
	caption := ""
	for _, s := range steps {
		if s.limit == 0 {
			s.limit = time.Minute
		}
		if s.caption == "" {
			s.caption = caption
		}
		caption = s.caption
		for _, k := range s.keys {
			if err := t.press(k); err != nil {
				return fmt.Errorf("%s: press %q: %w", caption, k, err)
			}
			select {
			case <-time.After(s.pause):
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if err := t.wait(ctx, s.limit, s.wait...); err != nil {
			return fmt.Errorf("%s: %w", caption, err)
		}
		if s.lasts > 0 {
			t.shoot(caption, s.lasts)
		}
	}
	return nil
}

// mend makes the edit of the tour: the gateway waits no longer without end.
func mend(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	const weak = "return 0"
	if n := bytes.Count(text, []byte(weak)); n != 1 {
		return fmt.Errorf("%s has %q %d times, and once is expected", path, weak, n)
	}
	return os.WriteFile(path, bytes.Replace(text, []byte(weak), []byte("return service.Middle"), 1), 0o644)
}
