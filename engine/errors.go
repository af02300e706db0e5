package engine

import (
	"slices"
	"strings"

	"bulkhead/engine/container"
)

// wrapErr names what was being done to which service, in place of the runtime's name for it.
func wrapErr(err error, format string, args ...any) error {
	return container.WrapErr(err, format, args...)
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
