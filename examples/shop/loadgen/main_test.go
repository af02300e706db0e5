package main

import "testing"

func TestRateIsReadAndChecked(t *testing.T) {
	for s, want := range map[string]float64{"": 5, "0.5": 0.5, "50": 50} {
		if got, err := rateFrom(s); err != nil || got != want {
			t.Errorf("%q: %v, %v; want %v", s, got, err, want)
		}
	}
	for _, s := range []string{"0", "-1", "many", "NaN", "1e9"} {
		if got, err := rateFrom(s); err == nil {
			t.Errorf("%q is taken as %v", s, got)
		}
	}
}
