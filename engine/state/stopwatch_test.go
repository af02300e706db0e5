package state

import (
	"strings"
	"testing"
	"time"
)

func TestSlowStageIsMarkedAgainstItsMedian(t *testing.T) {
	ms := func(n int) time.Duration { return time.Duration(n) * time.Millisecond }
	var all []*Change
	for range 3 {
		all = append(all, &Change{Action: "sync", Stages: []Stage{{"copy", ms(100)}, {"detect", ms(40)}}})
	}
	now := &Change{Action: "sync", Stages: []Stage{{"copy", ms(160)}, {"detect", ms(55)}}}
	if got := strings.Join(slow(append(all, now), now), " "); got != "copy" {
		t.Errorf("slow stages: %q, want copy alone (detect is within the noise)", got)
	}
	now.Action = "rebuild"
	if got := slow(append(all, now), now); len(got) != 0 {
		t.Errorf("slow stages of an action without history: %q", got)
	}
}
