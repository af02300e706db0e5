package logs

import (
	"testing"
	"time"
)

func TestMomentsAreReadAsPeopleWriteThem(t *testing.T) {
	was := time.Local
	time.Local = time.FixedZone("here", 3600)
	defer func() { time.Local = was }()
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.Local)
	at := func(d, h, m, s, ms int) time.Time { return time.Date(2026, 11, d, h, m, s, ms*1e6, time.Local) }
	for text, want := range map[string]time.Time{
		"10m": now.Add(-10 * time.Minute), "1h30m": now.Add(-90 * time.Minute), "0s": now,
		"11:58": at(23, 11, 58, 0, 0), "11:58:07": at(23, 11, 58, 7, 0), "11:58:07.250": at(23, 11, 58, 7, 250),
		"12:00": now, "12:01": at(22, 12, 1, 0, 0), "23:59:59": at(22, 23, 59, 59, 0),
		"2026-11-23T11:00:00Z": at(23, 12, 0, 0, 0), "2026-11-23T11:00:00.5+02:00": at(23, 10, 0, 0, 500),
		"2026-11-23": at(23, 0, 0, 0, 0), "2026-11-22 15:04": at(22, 15, 4, 0, 0),
		"2026-11-22T15:04:05": at(22, 15, 4, 5, 0),
		"1795435200":          time.Unix(1795435200, 0),
	} {
		if got, err := Moment(text, now); err != nil || !got.Equal(want) {
			t.Errorf("%q: got %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "soon", "yesterday", "10", "-5m", "25:00", "12:60",
		"2026-13-01", "1e300", "NaN"} {
		if got, err := Moment(text, now); err == nil {
			t.Errorf("%q is taken for %v", text, got)
		}
	}
}
