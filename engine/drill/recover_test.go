package drill

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// It is back with the first good answer after the last bad one, not when that is certain.
func TestBackInIsWhenItAnswersAgain(t *testing.T) {
	d := New(nil, Options{})
	for i, err := range []string{"refused", "refused", "", "refused", "", ""} {
		d.book.addAnswer("s", answer{sent: at(10 + float64(i)), done: at(10.1 + float64(i)), err: err})
	}
	r := &row{d: d, healed: at(10), up: at(10.5)}
	r.back(Stand{Service: "s"})
	if *r.out.BackInMS != 4100 {
		t.Errorf("answers again after 4.1 s, back in %d ms", *r.out.BackInMS)
	}
	r.up = at(15)
	r.back(Stand{Service: "s"})
	if *r.out.BackInMS != 5000 {
		t.Errorf("stands again after 5 s, back in %d ms", *r.out.BackInMS)
	}
}

// Who goes on failing those who ask it after the heal has not recovered, whatever its health says.
func TestWhoStillFailsHasNotRecovered(t *testing.T) {
	none, all := func(int) bool { return false }, func(int) bool { return true }
	some := func(i int) bool { return i%7 == 0 }
	for name, c := range map[string]struct {
		before, after func(i int) bool // which answers fail
		hangs         bool             // nothing is answered after the heal
		want          string
	}{
		"answers":                     {before: none, after: none},
		"fails for ever":              {before: none, after: all, want: "still fails: it answers 500 (15 of 15 failed"},
		"fails at first":              {before: none, after: func(i int) bool { return i < 20 }},
		"fails half of the time":      {before: none, after: func(i int) bool { return i%2 == 0 }, want: "still fails"},
		"failed before":               {before: all, after: all},
		"fails now and then, as ever": {before: some, after: some},
		"hangs":                       {before: none, hangs: true, want: "does not answer"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := New(nil, Options{})
				answers := func(n int, fails func(int) bool) {
					for i := range n {
						a := answer{sent: time.Now(), done: time.Now()}
						if fails(i) {
							a.err = "it answers 500"
						}
						d.book.addAnswer("s", a)
						time.Sleep(probeEvery)
					}
				}
				from := time.Now()
				answers(50, c.before)
				d.quiet = []span{{from, time.Now()}}
				r := &row{d: d, hit: &Service{Name: "db"}, healed: time.Now(),
					bases: map[string]tally{"s": d.base("s", "db", nil)}}
				if c.hangs {
					defer d.book.open("s", time.Now())()
					time.Sleep(10 * time.Second)
				} else {
					answers(50, c.after)
				}
				got := r.failing("s")
				if !strings.HasPrefix(got, c.want) || c.want == "" && got != "" {
					t.Errorf("%q, want %q", got, c.want)
				}
			})
		})
	}
}
