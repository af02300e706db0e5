package drill

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"bulkhead/engine/logs"
	"bulkhead/engine/project"
)

var begin = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func at(seconds float64) time.Time { return begin.Add(time.Duration(seconds * float64(time.Second))) }

// scribe writes what a service does into a book.
type scribe struct {
	book    *book
	service string
}

func newScribe() *scribe { return &scribe{book: &book{all: map[string]*series{}}, service: "s"} }

func (w *scribe) log(when float64, level logs.Level, text string) {
	w.book.addLine(w.service, line{at: at(when), level: level, template: logs.Template(text), text: text})
}

// asks adds five answers a second between two moments; fails says which are bad.
func (w *scribe) asks(from, to float64, fails func(when float64) string) {
	for t := from; t < to; t += .2 {
		w.book.addAnswer(w.service, answer{sent: at(t), done: at(t + .01), err: fails(t)})
	}
}

func well(float64) string { return "" }

// cell judges a hold from second 10 to 20 by the ten seconds before.
func (w *scribe) cell(change ...func(*facts)) Cell {
	f := &facts{service: w.service, injected: at(10), base: w.book.tally(w.service, "",
		span{at(0), at(10)}), hold: w.book.tally(w.service, "", span{at(10), at(20)})}
	for _, c := range change {
		c(f)
	}
	return f.judge()
}

// A service that logs errors and fails probes at random all day is no worse while another one is down.
func TestNoisyServiceStaysUntouched(t *testing.T) {
	for seed := range uint64(20) {
		// lines a second; rare ones need a longer look than ten seconds
		for rate, from := range map[float64]float64{.5: -50, 2: 0, 20: 0} {
			r := rand.New(rand.NewPCG(seed, uint64(rate*10)))
			w := newScribe()
			for when := from; when < 20; when += r.ExpFloat64() / rate {
				level := []logs.Level{logs.Warn, logs.Error, logs.Error, logs.Fatal}[r.IntN(4)]
				w.log(when, level, fmt.Sprintf("request %d of %s failed: %s", r.IntN(1000),
					[]string{"cart", "home"}[r.IntN(2)], []string{"timeout", "reset", "no route"}[r.IntN(3)]))
			}
			w.asks(from, 20, func(float64) string {
				if r.Float64() < .1 {
					return "it answers 500"
				}
				return ""
			})
			c := w.cell(func(f *facts) { f.base = w.book.tally("s", "", span{at(from), at(10)}) })
			if c.Outcome != Untouched {
				t.Errorf("seed %d, %g lines a second: %s, %v", seed, rate, c.Outcome, c.Evidence)
			}
		}
	}
}

// What a service that has nothing to do with who was hit wrote now and then before the drill is no sign, though the
// baseline of ten seconds has none of it. Of one that needs who was hit it is, and so is more of it.
func TestHabitsOfAStrangerAreNoSign(t *testing.T) {
	for name, c := range map[string]struct {
		stranger bool
		lines    int
		want     Outcome
	}{
		"a stranger, as ever":       {true, 1, Untouched},
		"a stranger, much more":     {true, 40, Errors},
		"one that needs who is hit": {false, 1, Errors},
	} {
		w := newScribe()
		for range 12 {
			w.book.addHabit("s", logs.Template("ERROR job 7 failed"))
		}
		w.book.lived("s", 10*time.Minute)
		w.asks(0, 20, well)
		for i := range c.lines {
			w.log(12+float64(i)/10, logs.Error, fmt.Sprintf("ERROR job %d failed", i))
		}
		cell := w.cell(func(f *facts) { f.stranger, f.habits = c.stranger, w.book.habitsOf("s") })
		if cell.Outcome != c.want {
			t.Errorf("%s: %s, want %s: %v", name, cell.Outcome, c.want, cell.Evidence)
		}
	}
	w := newScribe()
	w.asks(0, 20, well)
	w.log(12, logs.Error, "ERROR job 1 failed")
	if cell := w.cell(func(f *facts) {
		f.stranger, f.habits = true, w.book.habitsOf("s")
	}); cell.Outcome != Errors {
		t.Errorf("a stranger that never wrote it before: %s", cell.Outcome)
	}
}

func TestTroubleIsSeen(t *testing.T) {
	quiet := func(w *scribe) { w.asks(0, 20, well) }
	slower := func(seconds float64) func(*scribe) {
		return func(w *scribe) {
			w.asks(0, 10, well)
			for t := 10.0; t < 20; t += .4 {
				w.book.addAnswer("s", answer{sent: at(t), done: at(t + seconds)})
			}
		}
	}
	for name, c := range map[string]struct {
		play  func(w *scribe)
		facts func(f *facts)
		want  string
	}{
		"nothing asks it": {play: func(*scribe) {}, want: "blind +0 false nothing asks it"},
		"all well":        {play: quiet, want: "untouched +0 false"},
		"too few answers": {play: func(w *scribe) {
			w.asks(0, 10.7, well)
		}, want: "blind +0 false only 3 answers"},
		"healthy, answers errors": {play: func(w *scribe) {
			w.asks(0, 12, well)
			w.asks(12, 20, func(float64) string { return "it answers 503" })
		}, want: "errors +2010 false"},
		"hangs": {play: func(w *scribe) {
			w.asks(0, 10, well)
			for t := 10.0; t < 20; t += .4 {
				w.book.addAnswer("s", answer{sent: at(t), done: at(t + 3), err: "no answer in 3s"})
			}
		}, want: "errors +3000 false"},
		"a new kind of line": {play: func(w *scribe) {
			quiet(w)
			w.log(11.1, logs.Warn, "queue worker: connection refused, retry 1")
		}, want: "errors +1100 false"},
		"a kind of line that the baseline has": {play: func(w *scribe) {
			quiet(w)
			for t := .5; t < 20; t += 2 {
				w.log(t, logs.Error, fmt.Sprintf("poll %g failed", t))
			}
		}, want: "untouched +0 false"},
		"many more of a kind that the baseline has": {play: func(w *scribe) {
			quiet(w)
			w.log(5, logs.Error, "poll 1 failed")
			for t := 12.0; t < 20; t += .1 {
				w.log(t, logs.Error, fmt.Sprintf("poll %g failed", t))
			}
		}, want: "errors +2000 false"},
		"a line before the fault": {play: func(w *scribe) {
			quiet(w)
			w.log(9.9, logs.Error, "odd")
		}, want: "untouched +0 false"},
		"died": {play: quiet, facts: func(f *facts) {
			f.signs = []sign{{at: at(11), outcome: Died, kind: kindIdentity, text: "exited with code 1"}}
		}, want: "died +1000 false"},
		"unhealthy, and errors before": {play: func(w *scribe) {
			quiet(w)
			w.log(10.5, logs.Error, "odd")
		}, facts: func(f *facts) {
			f.signs = []sign{{at: at(12.3), outcome: Unhealthy, kind: kindHealth, text: "healthy -> unhealthy"}}
		}, want: "unhealthy +2300 false"},
		"a check that timed out on a busy machine": {play: func(*scribe) {}, facts: func(f *facts) {
			f.signs = []sign{{at: at(12.3), outcome: Untouched, kind: kindMachine,
				text: "the machine had no CPU left"}}
		}, want: "blind +0 false the machine had no CPU left"},
		"a moment of trouble on a busy machine": {play: func(w *scribe) {
			quiet(w)
			w.log(14.2, logs.Warn, "payments is down")
			w.log(14.3, logs.Warn, "cart is down")
		},
			facts: func(f *facts) { f.starved = true }, want: "untouched +0 false"},
		"a line that sums up an interval, on a busy machine": {play: func(w *scribe) {
			quiet(w)
			w.log(14.2, logs.Warn, "WARN traffic sent=20 failed=3 slowest=1.5s")
		}, facts: func(f *facts) {
			f.starved = true
			f.regular = map[string]bool{logs.Template("WARN traffic sent=1 failed=1 slowest=1s"): true}
		}, want: "errors +4200 false"},
		"trouble that goes on, on a busy machine": {play: func(w *scribe) {
			quiet(w)
			w.log(11, logs.Warn, "payments is down")
			w.log(16, logs.Warn, "payments is down")
		},
			facts: func(f *facts) { f.starved = true }, want: "errors +1000 false"},
		"crashes as it did in the baseline": {play: func(w *scribe) {
			quiet(w)
			w.book.addCrash("s", at(4))
			w.book.addCrash("s", at(14.1))
		}, facts: func(f *facts) {
			f.signs = []sign{{at: at(14), outcome: Died, kind: kindIdentity, text: "restarted", crash: true}}
		}, want: "untouched +0 false"},
		"crashes far more than in the baseline": {play: func(w *scribe) {
			quiet(w)
			w.book.addCrash("s", at(4))
			for when := 11.; when < 20; when += .5 {
				w.book.addCrash("s", at(when))
			}
		}, facts: func(f *facts) {
			f.signs = []sign{{at: at(11), outcome: Died, kind: kindIdentity, text: "restarted", crash: true}}
		}, want: "died +1000 false"},
		"is recreated, and crashed in the baseline": {play: func(w *scribe) {
			quiet(w)
			w.book.addCrash("s", at(4))
		}, facts: func(f *facts) {
			f.signs = []sign{{at: at(11), outcome: Died, kind: kindIdentity, text: "recreated"}}
		}, want: "died +1000 false"},
		"dies after the heal, well until then": {play: quiet, facts: func(f *facts) {
			f.healed = at(20)
			f.signs = []sign{{at: at(25), outcome: Died, kind: kindIdentity, text: "restarted", crash: true}}
		}, want: "untouched +0 false"},
		"dies after the heal, with errors before": {play: func(w *scribe) {
			w.asks(0, 12, well)
			w.asks(12, 20, badFrom(12))
		}, facts: func(f *facts) {
			f.healed = at(20)
			f.signs = []sign{{at: at(25), outcome: Died, kind: kindIdentity, text: "restarted", crash: true}}
		}, want: "died +15000 false"},
		"connections from before go on": {play: quiet, facts: func(f *facts) {
			f.kept = 3
		}, want: "blind +0 false connections from before the fault that went on without it: 3; --cut"},
		"connections from before go on, and others fail": {play: func(w *scribe) {
			w.asks(0, 12, well)
			w.asks(12, 20, badFrom(12))
		}, facts: func(f *facts) { f.kept = 3 }, want: "errors +2010 false"},
		"unhealthy before": {play: quiet, facts: func(f *facts) {
			f.unseen = true
		}, want: "blind +0 false it was unhealthy before"},
		"may degrade": {play: func(w *scribe) {
			quiet(w)
			w.log(11, logs.Warn, "cart is down")
		}, facts: func(f *facts) {
			f.allowed, f.degrade = true, project.Degrade{Errors: 1}
		}, want: "errors +1000 true"},
		"may degrade, and dies": {play: quiet, facts: func(f *facts) {
			f.allowed, f.degrade = true, project.Degrade{Errors: 1}
			f.signs = []sign{{at: at(11), outcome: Died, kind: kindIdentity, text: "exited with code 1"}}
		}, want: "died +1000 false"},
		"passes its bound of errors": {play: func(w *scribe) {
			w.asks(0, 15, well)
			w.asks(15, 20, func(float64) string { return "it answers 503" })
		}, facts: func(f *facts) {
			f.allowed, f.degrade = true, project.Degrade{Errors: .2}
		}, want: "errors +5010 false 51 % of"},
		"passes its bound of p95": {play: slower(2.5), facts: func(f *facts) {
			f.allowed, f.degrade = true, project.Degrade{Errors: 1, P95: 2 * time.Second}
		}, want: "errors +0 false p95 is 2.5s"},
		"far slower than before": {play: slower(2.5), want: "errors +2500 false"},
		"far slower than before, on a busy machine": {play: slower(2.5), facts: func(f *facts) {
			f.starved = true
		}, want: "blind +0 false it answered far later"},
		"far slower than before, as it may be": {play: slower(2.5), facts: func(f *facts) {
			f.allowed, f.degrade = true, project.Degrade{Errors: 1}
		}, want: "errors +2500 true"},
		"far slower than before, within its bound": {play: slower(2.5), facts: func(f *facts) {
			f.allowed, f.degrade = true, project.Degrade{Errors: 1, P95: 3 * time.Second}
		}, want: "untouched +0 false"},
		"slow now and then, as before": {play: func(w *scribe) {
			for t := .0; t < 20; t += .2 {
				took := .01
				if i := int(t * 5); i == 5 || i == 40 || i > 55 && i%10 == 0 {
					took = 2
				}
				w.book.addAnswer("s", answer{sent: at(t), done: at(t + took)})
			}
		}, want: "untouched +0 false"},
		"slower than before": {play: slower(.5), want: "untouched +0 false"},
		"falls with the other, as the file says": {play: quiet, facts: func(f *facts) {
			f.falls, f.signs = true, []sign{{at: at(11), outcome: Died, kind: kindIdentity, text: "restarted"}}
		}, want: "died +1000 true"},
	} {
		w := newScribe()
		c.play(w)
		var change []func(*facts)
		if c.facts != nil {
			change = append(change, c.facts)
		}
		got := w.cell(change...)
		if text := fmt.Sprintf("%s +%d %v %s", got.Outcome, got.AfterMS, got.Declared,
			got.Why); !strings.HasPrefix(text, c.want) {
			t.Errorf("%s: %s, want %s\n%v", name, text, c.want, got.Evidence)
		}
	}
}

func TestVerdictOfCells(t *testing.T) {
	cell := func(o Outcome, declared bool) Cell {
		return Cell{Service: o.String(), Outcome: o, Declared: declared}
	}
	good, may, bad, blind := cell(Untouched, false), cell(Errors, true), cell(Errors, false), cell(Blind, false)
	for _, c := range []struct {
		cells     []Cell
		recovered bool
		want      Verdict
	}{
		{nil, true, Isolated}, {[]Cell{good, good}, true, Isolated}, {[]Cell{good, may}, true,
			Expected}, {[]Cell{good, blind}, true, Unproven},
		{[]Cell{may, blind}, true, Unproven}, {[]Cell{good, bad, blind, may}, true, Leak},
		{[]Cell{cell(Died, true)}, true, Expected},
		{[]Cell{cell(Unhealthy, false)}, true, Leak}, {[]Cell{good}, false, Stuck}, {[]Cell{bad}, false, Stuck},
	} {
		if got, _ := verdictOf(c.cells, c.recovered, ""); got != c.want {
			t.Errorf("%v, recovered %v: %s, want %s", c.cells, c.recovered, got, c.want)
		}
	}
}

func TestRepeatsKeepTheWorstAndAreFlakyWhereTheyDiffer(t *testing.T) {
	run := func(v Verdict, o Outcome, back int64) Row {
		return Row{Killed: "db", Verdict: v, BackInMS: &back, Cells: []Cell{{Service: "api", Outcome: o}}}
	}
	same := merge([]Row{run(Leak, Errors, 100), run(Leak, Died, 300), run(Leak, Errors, 200)})
	if same.Verdict != Leak || same.Cells[0].Outcome != Died || *same.BackInMS != 300 ||
		same.Repeat != 3 || len(same.Runs) != 3 {
		t.Errorf("%+v", same)
	}
	differ := merge([]Row{run(Isolated, Untouched, 100), run(Leak, Errors, 100)})
	if differ.Verdict != Flaky || differ.Why != "the repeats differ: isolated, leak" ||
		differ.Cells[0].Outcome != Errors {
		t.Errorf("%+v", differ)
	}
	r := &Report{Rows: []Row{differ}}
	if got := r.Find(DefaultFailOn()); !slices.Equal(got, []string{"db"}) {
		t.Errorf("a leak in one of the repeats is not found: %v", got)
	}
}

func TestTestsOfChanceAreThoseOfTheTables(t *testing.T) {
	for _, c := range []struct{ got, want float64 }{
		{sharesByChance(8, 56, 0, 49), .005077}, {sharesByChance(3, 4, 1, 4), 17. / 70},
		{sharesByChance(0, 50, 3, 50), 1}, {sharesByChance(5, 5, 0, 10), 1. / 3003},
		{ratesByChance(7, 0, .5), 1. / 128}, {ratesByChance(4, 1, .5), 6. / 32}, {ratesByChance(0, 9, .5), 1},
		{float64(failuresAllowed(50, 0, 50)), 6}, {float64(failuresAllowed(50, 0, 0)), 0},
		{float64(failuresAllowed(5, 5, 5)), 5}, {float64(eventsAllowed(0, .5, level(0))), 6},
	} {
		if math.Abs(c.got-c.want) > .002*max(c.want, .01) {
			t.Errorf("%g, want %g", c.got, c.want)
		}
	}
}

// A service that has trouble of three kinds all day is allowed a rare new one, not a new one again and again.
func TestDiverseServiceIsAllowedRareKindsOnly(t *testing.T) {
	for lines, want := range map[int]Outcome{1: Untouched, 2: Untouched, 3: Errors, 29: Errors} {
		w := newScribe()
		w.asks(0, 20, well)
		for when := .3; when < 20; when++ {
			w.log(when, logs.Warn, "cache is cold")
			w.log(when+.2, logs.Warn, "queue is long")
			w.log(when+.4, logs.Error, "mail bounced")
		}
		for i := range lines {
			w.log(11+float64(i)*.3, logs.Error, "upstream base unreachable")
		}
		if c := w.cell(); c.Outcome != want {
			t.Errorf("%d lines: %s, want %s: %v", lines, c.Outcome, want, c.Evidence)
		}
	}
}

// Of services that fail at random all day, one in some hundred rows may be accused, not more.
func TestChanceAccusesRarely(t *testing.T) {
	for _, share := range []float64{.02, .05, .1, .3} {
		r, accused := rand.New(rand.NewPCG(1, 2)), 0
		for range 2000 {
			before, after := 0, 0
			for range 50 {
				if r.Float64() < share {
					before++
				}
				if r.Float64() < share {
					after++
				}
			}
			if after > failuresAllowed(50, before, 50) {
				accused++
			}
		}
		if accused > 8 {
			t.Errorf("%g fail: %d of 2000 accused", share, accused)
		}
	}
}

// A service is accused by the same failures, however many rows have been run by then.
func TestFailuresAfterACleanBaselineAreEvidence(t *testing.T) {
	for name, c := range map[string]struct {
		failed, before, rows int
		want                 Outcome
	}{
		"8 of 50, none before":            {8, 0, 1, Errors},
		"8 of 50, none in many baselines": {8, 0, 12, Errors},
		"8 of 50, one in two baselines":   {8, 1, 2, Errors},
		"2 of 50, none before":            {2, 0, 1, Untouched},
		"12 of 50, 6 of 50 before":        {12, 6, 1, Untouched},
		"30 of 50, 6 of 50 before":        {30, 6, 1, Errors},
	} {
		w := newScribe()
		from, left := 10-10*float64(c.rows), c.before
		w.asks(from, 10, func(float64) string {
			if left--; left >= 0 {
				return "it answers 503"
			}
			return ""
		})
		left = c.failed
		w.asks(10, 20, func(float64) string {
			if left--; left >= 0 {
				return "it answers 503"
			}
			return ""
		})
		cell := w.cell(func(f *facts) { f.base = w.book.tally("s", "", span{at(from), at(10)}) })
		if cell.Outcome != c.want {
			t.Errorf("%s: %s, want %s: %v", name, cell.Outcome, c.want, cell.Evidence)
		}
	}
}

func TestWhoFallsWithWhomIsFollowedThrough(t *testing.T) {
	all := []Service{{Name: "db"}, {Name: "sidecar", Joins: "db"},
		{Name: "api", Follows: []string{"db"}}, {Name: "web", Follows: []string{"api"}}, {Name: "mail"}}
	got := falls(all, "db")
	if len(got) != 3 || !got["sidecar"] || !got["api"] || !got["web"] {
		t.Errorf("%v", got)
	}
	if got := falls(all, "api"); len(got) != 1 || !got["web"] {
		t.Errorf("%v", got)
	}
}

func TestLoadIsParsed(t *testing.T) {
	for text, want := range map[string]string{
		"http://localhost:8081/api@20":       "http://localhost:8081/api, 20 requests a second",
		"https://localhost/x":                "https://localhost/x, 5 requests a second",
		"http://me@localhost:8081/":          "http://me@localhost:8081/, 5 requests a second",
		"http://localhost:8081/@0.5":         "http://localhost:8081/, 0.5 requests a second",
		"localhost:8081":                     "!",
		"http://localhost:8081/@0":           "!",
		"http://localhost:8081/api@20000000": "!",
	} {
		l, err := ParseLoad(text)
		if err != nil != (want == "!") || err == nil && l.String() != want {
			t.Errorf("%s: %v, %v", text, l, err)
		}
	}
}

// Who can reach the one that was hit by a connection from before the fault proves nothing, and who needs it
// through others does not either.
func TestConnectionsThatAFaultLeavesProveNothing(t *testing.T) {
	all := []Service{{Name: "db"}, {Name: "api", DependsOn: []string{"db"}},
		{Name: "web", DependsOn: []string{"api"}}, {Name: "mail"}}
	for name, c := range map[string]struct {
		looks []int
		hit   int
		want  string // whose cells have kept connections, and how many
	}{
		"most of the time":      {[]int{0, 2, 2, 3, 2}, 0, "web 2 api 2 "},
		"one that just began":   {[]int{0, 1, 0, 0}, 0, ""},
		"nobody is known to":    {[]int{1, 1, 1}, 3, "web 1 api 1 db 1 "},
		"the fault touches all": {[]int{0, 0}, 0, ""},
	} {
		r := &row{d: New(nil, Options{}), services: all, hit: &all[c.hit]}
		for _, n := range c.looks {
			r.kept.look(n)
		}
		got := ""
		for _, f := range r.facts() {
			if f.kept > 0 {
				got += fmt.Sprintf("%s %d ", f.service, f.kept)
			}
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
