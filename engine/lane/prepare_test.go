package lane

import (
	"errors"
	"testing"

	"bulkhead/engine/hostcmd"
)

func TestReasonOfAFailedPrepareIsItsOwnWords(t *testing.T) {
	for want, err := range map[string]*PrepareError{
		"main.go:3:2: undefined: x": {Service: "api",
			Err: &hostcmd.Error{Tail: []string{"# api", "main.go:3:2: undefined: x", "make: error"},
				Place: "main.go:3:2: undefined: x", Err: errors.New("exit status 1")}},
		"make: error": {Service: "api", Err: &hostcmd.Error{Tail: []string{"# api", "make: error"},
			Err: errors.New("exit status 1")}},
		"exit status 1": {Service: "api", Err: errors.New("exit status 1")},
	} {
		if got := err.Reason(); got != want {
			t.Errorf("the reason of %q is %q, want %q", err, got, want)
		}
	}
}
