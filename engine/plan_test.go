package engine

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

func TestSignalThatEndsKeepsTheRestartPolicyIdle(t *testing.T) {
	s := &service{conf: testService(func(c *composeService) {})}
	for signal, want := range map[string]bool{"SIGKILL": true, "kill": true, "9": true, "SIGTERM": true, "15": true, "SIGSEGV": false, "HUP": false} {
		if got := ends(signal, s); got != want {
			t.Errorf("ends(%s) = %v, want %v", signal, got, want)
		}
	}
	s = &service{conf: testService(func(c *composeService) { c.StopSignal = "SIGQUIT" })}
	if ends("SIGTERM", s) || !ends("QUIT", s) {
		t.Error("with stop_signal SIGQUIT that signal ends, and SIGTERM does not")
	}
}
