package duration

import (
	"testing"
	"time"
)

func TestDurationsFitTheirColumns(t *testing.T) {
	for d, want := range map[time.Duration][2]string{
		-time.Second: {"0s", "0.00s"}, 40 * time.Millisecond: {"0s", "0.04s"},
		900 * time.Millisecond: {"0s", "0.9s"}, 59 * time.Second: {"59s", "59.0s"},
		182 * time.Second: {"3m", "3m02s"}, 25 * time.Hour: {"25h", "25h"},
		300 * 24 * time.Hour: {"300d", "300d"}, 9e6 * time.Second: {"104d", "104d"},
	} {
		if got := [2]string{Age(d), Took(d)}; got != want {
			t.Errorf("%v is written %q, want %q", d, got, want)
		}
	}
	for d := time.Duration(1); d > 0 && d < 1<<62; d *= 2 {
		if len(Age(d)) > 4 || len(Took(d)) > 5 {
			t.Errorf("%v: %q and %q", d, Age(d), Took(d))
		}
	}
}
