package state

import (
	"testing"
	"time"

	"bulkhead/engine/fault"
	"bulkhead/engine/logs"
)

// What a service logged under a fault that is over does not make the same under the next one usual.
func TestFaultsThatAreOverAreNotUsual(t *testing.T) {
	start := time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)
	at := func(s int) time.Time { return start.Add(time.Duration(s) * time.Second) }
	var lines []logs.Line
	for s := 20; s < 30; s++ { // under the fault
		lines = append(lines, logs.Line{Seq: uint64(s), Time: at(s), Text: []byte("WARN cart is down")})
	}
	lines = append(lines, logs.Line{Seq: 99, Time: at(61), Text: []byte("WARN orders is down")})
	over := fault.Ledger{Service: "cart", At: at(20), Closed: at(31), BackIn: time.Second}
	for name, c := range map[string]struct {
		past []fault.Ledger
		want bool
	}{
		"a fault that is over": {[]fault.Ledger{over}, true},
		"none":                 {nil, false},
		"one that went on":     {[]fault.Ledger{{Service: "cart", At: at(20), Closed: at(60)}}, false},
		"one long ago": {[]fault.Ledger{{Service: "cart", At: at(-90), Closed: at(-80),
			BackIn: time.Second}}, false},
	} {
		left, span := besideFaults(append([]logs.Line{}, lines...), at(60), time.Minute, c.past)
		if _, _, found := unusualOf(left, at(60), at(63), span); found != c.want {
			t.Errorf("%s: a sign is found: %v (%d lines, %s)", name, found, len(left), span)
		}
	}
}
