package container

import (
	"errors"
	"fmt"
)

// Reasoner is an error of a runtime that can leave out what was being done:
// callers name that in the words of the project.
type Reasoner interface{ Reason() string }

// opError is what was being done, with the reason of the error that it wraps.
type opError struct {
	text string
	err  error
}

func (e *opError) Error() string { return e.text }
func (e *opError) Unwrap() error { return e.err }

// WrapErr names what was being done to which service, in place of the runtime's
// name for it.
func WrapErr(err error, format string, args ...any) error {
	what := fmt.Sprintf(format, args...)
	var r Reasoner
	if errors.As(err, &r) {
		return &opError{text: what + ": " + r.Reason(), err: err}
	}
	return fmt.Errorf("%s: %w", what, err)
}
