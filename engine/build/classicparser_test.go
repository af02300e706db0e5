package build

import (
	"errors"
	"slices"
	"testing"

	"bulkhead/engine/container"
)

// A program that says what the builder says at its end is not the end.
func TestClassicBuildGoesOnAfterAProgramThatSaysItIsBuilt(t *testing.T) {
	for _, said := range []string{"Successfully built docopt", "Successfully built 0123456789ab"} {
		p := &classicParser{rec: newRecorder()}
		for _, l := range []string{"Step 1/2 : RUN pip install docopt", " ---> Running in 55", said,
			"Step 2/2 : RUN make test", " ---> Running in 77", "test_a FAILED"} {
			p.line(l)
		}
		failed := errors.New("The command '/bin/sh -c make test' returned a non-zero code: 1")
		p.end(failed)
		var be *container.BuildError
		if err := p.broken(container.BuildRequest{Service: "web"}, &input{}, failed); !errors.As(err, &be) ||
			!slices.Equal(be.Tail, []string{"test_a FAILED"}) {
			t.Errorf("%s: %+v", said, be)
		}
	}
}
