package engine

import (
	"errors"
	"fmt"
	"slices"
	"strings"
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

// joined is several errors in one line, each text once.
type joined []error

// join is errors.Join for errors that a person reads in one line.
func join(errs ...error) error {
	var all joined
	for _, err := range errs {
		if err != nil {
			all = append(all, err)
		}
	}
	if len(all) == 0 {
		return nil
	}
	return all
}

func (j joined) Error() string {
	var out []string
	for _, err := range j {
		for line := range strings.SplitSeq(err.Error(), "\n") {
			if !slices.Contains(out, line) {
				out = append(out, line)
			}
		}
	}
	return strings.Join(out, "; ")
}

func (j joined) Unwrap() []error { return j }
