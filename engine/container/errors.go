package container

import "errors"

var (
	// ErrNoEngine means that no engine answers. The error that wraps it says where it was looked for and what to do.
	ErrNoEngine = errors.New("no engine answers")
	// ErrNotFound means that the instance, image, network or volume is not there (any more).
	ErrNotFound = errors.New("not found")
	// ErrUnsupported means that this runtime cannot do what was asked; Caps says so beforehand.
	ErrUnsupported = errors.New("not supported by this runtime")
	// ErrConflict means that something of the same name, or a port, is taken by somebody else.
	ErrConflict = errors.New("already in use")
)
