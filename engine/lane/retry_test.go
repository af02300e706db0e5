package lane

import (
	"errors"
	"fmt"
	"testing"

	"bulkhead/engine/container"
)

func TestWorkThatTheEngineWasNotThereForIsOwed(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want bool
	}{
		{container.ErrNoEngine, true},
		{container.ErrBuilderUnavailable, true}, // an engine that ended in the middle of a build
		{errors.New("COPY f: not found"), false},
		{container.ErrConflict, false},
	} {
		if got := passes(fmt.Errorf("build a: %w", tt.err)); got != tt.want {
			t.Errorf("%v passes: %t", tt.err, got)
		}
	}
}
