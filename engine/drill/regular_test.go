package drill

import (
	"fmt"
	"testing"
	"time"

	"bulkhead/engine/logs"
)

// logged is a subject of which the log is known, and nothing else.
type logged struct {
	Subject
	store *logs.Store
}

func (s logged) Logs() *logs.Store { return s.store }

func TestLinesAtRegularIntervalsAreFound(t *testing.T) {
	s := logged{store: logs.New(logs.Options{})}
	write := func(seconds float64, text string) {
		s.store.Append("s", 1, 1, logs.Stdout, at(seconds), []byte(text))
	}
	summary := "level=%s msg=traffic sent=%d failed=%d slowest=%dms"
	for i := range 4 {
		write(float64(i)*5, fmt.Sprintf(summary, "INFO", 20+i, 0, 12))
	}
	write(6.1, "level=WARN msg=\"payments is down\"")
	write(14.3, "level=WARN msg=\"payments is down\"")
	bad := fmt.Sprintf(summary, "WARN", 20, 3, 1500)
	write(20.4, bad)
	write(20.5, "level=WARN msg=\"payments is down\"")
	r := &row{d: New(s, Options{}), injected: at(12), healed: at(22)}
	hold := tally{lines: []line{{template: logs.Template(bad)},
		{template: logs.Template("level=WARN msg=\"payments is down\"")}}}
	got := r.regular(&hold, "s")
	if len(got) != 1 || !got[logs.Template(bad)] {
		t.Errorf("%v", got)
	}
	for _, c := range []struct {
		seconds []float64
		want    bool
	}{
		{[]float64{0, 5, 10, 15}, true}, {[]float64{0, 5, 10}, false}, {[]float64{0, .1, .2, .3, .4}, false},
		{[]float64{0, 5, 10, 17, 20, 21}, false}, {[]float64{0, 5, 10, 15, 20, 27, 32, 37, 42}, true},
	} {
		var moments []time.Time
		for _, s := range c.seconds {
			moments = append(moments, at(s))
		}
		if got := evenly(moments); got != c.want {
			t.Errorf("%v: %v, want %v", c.seconds, got, c.want)
		}
	}
}
