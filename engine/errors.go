package engine

import (
	"errors"
	"fmt"
)

// reasoner is an error of a runtime that can leave out what was being done: callers say that in the words of the project.
type reasoner interface{ Reason() string }

// told is a runtime's error in the engine's words; what it wraps is still there for errors.Is.
type told struct {
	text string
	err  error
}

func (t *told) Error() string { return t.text }
func (t *told) Unwrap() error { return t.err }

// say names what was being done to which service, in place of the runtime's name for it.
func say(err error, format string, args ...any) error {
	what := fmt.Sprintf(format, args...)
	var r reasoner
	if errors.As(err, &r) {
		return &told{text: what + ": " + r.Reason(), err: err}
	}
	return fmt.Errorf("%s: %w", what, err)
}
