package ui

import (
	"testing"

	"bulkhead/engine"
)

// What an event is about is a field: nothing is learned by cutting its text apart, whatever the names in it look like.
func TestEventsAreShownByTheirFields(t *testing.T) {
	for want, r := range map[string]engine.Record{
		"rebuild done in 3s: fast (really)": {Kind: "watch", Service: "api", Cause: "really",
			What: "rebuild done in 3s: fast (really)", Text: "api: rebuild done in 3s: fast (really) (really)"},
		"plan of 2 steps": {Kind: "plan", What: "plan of 2 steps",
			Text: "#1 api: create\n#2 db: create\n"},
		"ready: 2 services in 3s":  {Kind: "notice", Notice: "ready", Text: "ready: 2 services in 3s"},
		"rebuild failed: no space": {Kind: "build", Action: "rebuild", Err: "no space"},
		"exited 3":                 {Kind: "service", State: engine.StateExited, HasExit: true, ExitCode: 3},
	} {
		if got := recordText(r); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
