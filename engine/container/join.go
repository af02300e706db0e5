package container

import (
	"slices"
	"strings"
)

// joined is several errors in one line, each text once.
type joined []error

// Join is errors.Join for errors that a person reads in one line.
func Join(errs ...error) error {
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

// FirstLine keeps the first line of a text: what the screen and the JSON show in one row.
func FirstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}
