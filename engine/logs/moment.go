package logs

import (
	"errors"
	"strconv"
	"time"
)

// errMoment tells what Moment takes.
var errMoment = errors.New("write a duration as 10m, a time of day as 15:04, or a time as 2026-11-23T12:00:00Z")

// Moment reads a point in time as people write it: "5m" and "1h30m" are that long before now;
// "15:04" and "15:04:05.250" are the last time that the clock showed them; a date, alone or with a
// time of day, is local time; RFC 3339 says its zone; and a number is seconds since 1970. An error
// says what to write instead.
func Moment(s string, now time.Time) (time.Time, error) {
	if d, err := time.ParseDuration(s); err == nil {
		if d < 0 {
			return time.Time{}, errMoment
		}
		return now.Add(-d), nil
	}
	// a fraction of the second is read without being asked for
	for _, layout := range []string{"15:04", "15:04:05"} {
		if clock, err := time.Parse(layout, s); err == nil {
			y, m, d := now.Local().Date()
			t := time.Date(y, m, d, clock.Hour(), clock.Minute(), clock.Second(), clock.Nanosecond(),
				time.Local)
			if t.After(now) {
				t = t.AddDate(0, 0, -1)
			}
			return t, nil
		}
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02T15:04",
		"2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02"} {
		if t, err := time.ParseInLocation(layout, s, time.Local); err == nil {
			return t, nil
		}
	}
	// A small number is a duration that lacks its unit, not a second of 1970.
	if n, err := strconv.ParseFloat(s, 64); err == nil && n >= 1e8 && n < 1e11 {
		return time.Unix(0, int64(n*float64(time.Second))), nil
	}
	return time.Time{}, errMoment
}
