package cli

import (
	"bytes"
	"testing"

	"bulkhead/engine/images"
)

func TestRunPrintsNoStepsThatAreNotWanted(t *testing.T) {
	for _, c := range []struct {
		flags runVerb
		want  string
	}{
		{runVerb{}, "a: built x: build: 1\nRUN a\na: x pulling y\n"},
		{runVerb{quietBuild: true}, "a: built x: build: 1\na: x pulling y\n"},
		{runVerb{quietPull: true}, "a: built x: build: 1\nRUN a\n"},
		{runVerb{quiet: true}, ""},
	} {
		var out bytes.Buffer
		v := c.flags
		v.app = &app{console: newConsole(nil, &bytes.Buffer{}, &out, nil)}
		v.report(images.Making, "a: built x: build: 1") // whatever its name is, an image is no step
		v.report(images.BuildStep, "RUN a")
		v.report(images.PullStep, "a: x pulling y")
		if got := out.String(); got != c.want {
			t.Errorf("quiet %v, build %v, pull %v: %q, want %q", v.quiet, v.quietBuild, v.quietPull,
				got, c.want)
		}
	}
}
