package container_test

import (
	"errors"
	"testing"

	"bulkhead/engine/container"
)

func TestBuildErrorShowsTheFirstLineOfTheStep(t *testing.T) {
	e := &container.BuildError{Service: "web", Step: "RUN a \\\n b", File: "/x/Dockerfile", Line: 3,
		Err: errors.New("exit code: 1")}
	if got, want := e.Error(), `build web: /x/Dockerfile:3: RUN a \ …: exit code: 1`; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
