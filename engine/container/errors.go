package container

import (
	"errors"
	"fmt"
	"maps"
	"slices"
)

var (
	// ErrNoEngine means that no engine answers. The error that wraps it says where it was looked for and what to do.
	ErrNoEngine = errors.New("no engine answers")
	// ErrSilent means that the engine took a question and did not answer it within any limit. It comes with ErrNoEngine.
	ErrSilent = errors.New("the engine does not answer")
	// ErrNotFound means that the instance, image, network or volume is not there (any more).
	ErrNotFound = errors.New("not found")
	// ErrUnsupported means that this runtime cannot do what was asked; Caps says so beforehand.
	ErrUnsupported = errors.New("not supported by this runtime")
	// ErrConflict means that something of the same name, or a port, is taken by somebody else.
	ErrConflict = errors.New("already in use")
	// ErrDetached means that a person left a container in the foreground, which runs on.
	ErrDetached = errors.New("detached")
)

// NotWritten is the error of a copy that brought all files over but some. What
// stood in their places is as it was.
type NotWritten struct {
	Files map[string]error // by path in the container
}

func (e *NotWritten) Error() string {
	all := slices.Sorted(maps.Keys(e.Files))
	text := fmt.Sprintf("%s: %v", all[0], e.Files[all[0]])
	if len(all) > 1 {
		text += fmt.Sprintf(" (and %d more)", len(all)-1)
	}
	return text
}

// Unwrap returns the errors of all files.
func (e *NotWritten) Unwrap() []error { return slices.Collect(maps.Values(e.Files)) }
