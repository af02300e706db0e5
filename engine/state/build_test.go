package state

import (
	"errors"
	"fmt"
	"testing"

	"bulkhead/engine/container"
)

// reasoned is an error that knows its reason.
type reasoned struct{ error }

func (reasoned) Reason() string { return "main.go:3:2: undefined: x" }

func TestReasonOfFailedWorkLeavesOutWhatWasDone(t *testing.T) {
	for want, err := range map[string]error{
		"Dockerfile:7: RUN go vet: exit code 1": &container.BuildError{Service: "api",
			File: "Dockerfile", Line: 7, Step: "RUN go vet", Err: errors.New("exit code 1")},
		"main.go:3:2: undefined: x": fmt.Errorf("save: %w", reasoned{errors.New("prepare api: exit status 1")}),
		"no such host":              errors.New("no such host\nmore"),
	} {
		if got := reasonOf(err); got != want {
			t.Errorf("the reason of %q is %q, want %q", err, got, want)
		}
	}
}
