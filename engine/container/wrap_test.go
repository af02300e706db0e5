package container_test

import (
	"errors"
	"fmt"
	"testing"

	"bulkhead/engine/container"
)

// reasoned is an error of a runtime that names what it was doing in its own words.
type reasoned struct{ error }

func (reasoned) Reason() string  { return "no such file" }
func (r reasoned) Unwrap() error { return r.error }

func TestWrappedErrorNamesWhatWasDoneOnce(t *testing.T) {
	cause := reasoned{fmt.Errorf("copy into 4f2a: no such file: %w", container.ErrNotFound)}
	err := container.WrapErr(fmt.Errorf("again: %w", cause), "copy into %s", "web")
	if err.Error() != "copy into web: no such file" || !errors.Is(err, container.ErrNotFound) {
		t.Errorf("%v", err)
	}
	if err := container.WrapErr(container.ErrConflict,
		"create web"); err.Error() != "create web: already in use" || !errors.Is(err, container.ErrConflict) {
		t.Errorf("%v", err)
	}
}
