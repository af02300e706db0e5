package engine

import "testing"

func TestSignalThatEndsKeepsTheRestartPolicyIdle(t *testing.T) {
	for signal, want := range map[string]bool{"SIGKILL": true, "kill": true, "9": true, "SIGTERM": true, "15": true, "SIGSEGV": false, "HUP": false} {
		if got := ends(signal, ""); got != want {
			t.Errorf("ends(%s) = %v, want %v", signal, got, want)
		}
	}
	if ends("SIGTERM", "SIGQUIT") || !ends("QUIT", "SIGQUIT") {
		t.Error("with stop_signal SIGQUIT that signal ends, and SIGTERM does not")
	}
}
