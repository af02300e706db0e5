package drill

import (
	"strings"
	"testing"
	"time"
)

// calls adds ten calls a second of a service between two moments; fails says how many of the ten do.
func (w *scribe) calls(caller string, from, to float64, fails func(when float64) int) {
	for t := from; t < to; t += .2 {
		in := Tapped{From: caller, To: w.service, At: at(t + 1),
			Slices: []TappedSlice{{At: at(t), Asked: 2, Took: []Took{{10 * time.Millisecond, 2}}}}}
		if n := fails(t); n > 0 {
			in.Slices[0].Failed = min(n, 2)
			in.Bad = []TappedBad{{Sent: at(t), Done: at(t + .01), Text: "GET /: it answered 502"}}
		}
		w.book.addTapped(in)
	}
}

func TestTappedCallsAreEvidence(t *testing.T) {
	none := func(float64) int { return 0 }
	duringHold := func(when float64) int {
		if when >= 10 {
			return 2
		}
		return 0
	}
	for name, c := range map[string]struct {
		play func(w *scribe)
		want Outcome
		text string // part of some evidence
	}{
		"well": {func(w *scribe) {
			w.calls("a", 0, 20, none)
		}, Untouched, "100 of 100 answered, p95 10ms"},
		"they fail": {func(w *scribe) {
			w.calls("a", 0, 20, duringHold)
		}, Errors, "GET /: it answered 502 (100 of 100 failed; 0 of 10"},
		"not looked at in the baseline": {func(w *scribe) { w.calls("a", 10, 20, duringHold) }, Blind, ""},
		"of who is broken":              {func(w *scribe) { w.calls("hit", 0, 20, duringHold) }, Blind, ""},
		"probes hide nothing": {func(w *scribe) {
			w.asks(0, 20, well)
			w.calls("a", 0, 20, duringHold)
		}, Errors, "50 of 50 answered"},
		"calls hide no probes": {func(w *scribe) {
			w.calls("a", 0, 20, none)
			w.asks(0, 20, badFrom(10))
		}, Errors, "it answers 500 (5"},
		"as many as ever": {func(w *scribe) {
			w.calls("a", 0, 20, func(float64) int { return 1 })
		}, Untouched, "may fail by chance"},
		"fewer than five, and no probe": {func(w *scribe) { w.calls("a", 0, 10.3, none) }, Blind, ""},
		"nobody calls any more, it works": {func(w *scribe) {
			w.calls("a", 0, 10, none)
			w.asks(0, 20, well)
		}, Untouched, ""},
	} {
		w := newScribe()
		c.play(w)
		cell := w.cell(func(f *facts) {
			f.base = w.book.tally("s", "hit", span{at(0), at(10)})
			f.hold = w.book.tally("s", "hit", span{at(10), at(20)})
		})
		var all []string
		for _, e := range cell.Evidence {
			all = append(all, e.String())
		}
		if cell.Outcome != c.want || !strings.Contains(strings.Join(all, "\n"), c.text) {
			t.Errorf("%s: %s, want %s; %q", name, cell.Outcome, c.want, all)
		}
	}
}

// Whom nobody asks suffers where the calls fail that it makes; that they do not proves nothing.
func TestCallsThatAServiceMakesAreEvidence(t *testing.T) {
	for name, c := range map[string]struct {
		from   float64 // the first call
		fails  bool    // during the hold
		probed bool
		want   Outcome
	}{
		"they fail":                        {0, true, false, Errors},
		"they are answered":                {0, false, false, Blind},
		"they fail, and it answers itself": {0, true, true, Untouched},
		"not looked at in the baseline":    {10, true, false, Blind},
	} {
		w := newScribe()
		w.service = "db"
		w.calls("s", c.from, 20, func(when float64) int {
			if c.fails && when >= 10 {
				return 2
			}
			return 0
		})
		w.service = "s"
		if c.probed {
			w.asks(0, 20, well)
		}
		cell := w.cell(func(f *facts) { f.hit, f.tapped = "db", true })
		if cell.Outcome != c.want || strings.Contains(cell.Why, "--tap") {
			t.Errorf("%s: %s %q, want %s: %v", name, cell.Outcome, cell.Why, c.want, cell.Evidence)
		}
	}
}

func badFrom(from float64) func(float64) string {
	return func(when float64) string {
		if when >= from {
			return "it answers 500"
		}
		return ""
	}
}

func TestBookIsWholeOnceTheTapHasTold(t *testing.T) {
	w := newScribe()
	if !w.book.whole(at(5)) {
		t.Error("nothing is tapped, and it waits")
	}
	w.book.addTapped(Tapped{At: at(5.5)})
	if w.book.whole(at(5)) {
		t.Error("the tap tells once a second, and has not told of the last moment")
	}
	w.book.addTapped(Tapped{At: at(6.5)})
	if !w.book.whole(at(5)) {
		t.Error("it waits, and all is told")
	}
}
