package container

import (
	"errors"
	"fmt"
)

// Error is an error in parts, for those who show them apart.
type Error struct {
	What   string // what was being done, to what; "" where the caller says it
	Why    string // why it did not work; "" where Err says it
	Remedy string // what a person can do about it; "" where nobody knows
	Err    error  // the error behind it; may be nil when Why is set

	// Names are the services, images and containers that the text names; nil where nobody has noted them.
	Names []string
}

// Error returns the parts as one text: "what: why; remedy".
func (e *Error) Error() string {
	text := e.Why
	if text == "" && e.Err != nil {
		text = e.Err.Error()
	}
	if e.What != "" {
		text = e.What + ": " + text
	}
	if e.Remedy != "" {
		text += "; " + e.Remedy
	}
	return text
}

// Unwrap returns the error behind it.
func (e *Error) Unwrap() error { return e.Err }

// Suggestion returns the remedy.
func (e *Error) Suggestion() string { return e.Remedy }

// Suggester is an error that knows what a person can do about it.
type Suggester interface {
	error
	Suggestion() string
}

// Failed is an error of something that was being done, as "stop web".
func Failed(what, format string, args ...any) error {
	return &Error{What: what, Why: fmt.Sprintf(format, args...)}
}

// FailedTo is Failed for what was being done to a service: verb "stop", service "web".
func FailedTo(verb, service, format string, args ...any) error {
	return &Error{What: verb + " " + service, Why: fmt.Sprintf(format, args...), Names: []string{service}}
}

// WithRemedy adds to an error what a person can do about it.
func WithRemedy(err error, format string, args ...any) error {
	return &Error{Remedy: fmt.Sprintf(format, args...), Err: err}
}

// What returns what was being done when an error came up, "" where no error in
// its tree says it.
func What(err error) string {
	var e *Error
	for err != nil && errors.As(err, &e) {
		if e.What != "" {
			return e.What
		}
		err = e.Err
	}
	return ""
}

// suggestion returns the first remedy in the tree of an error.
func suggestion(err error) string {
	var s Suggester
	for errors.As(err, &s) {
		if remedy := s.Suggestion(); remedy != "" {
			return remedy
		}
		switch u := s.(type) {
		case interface{ Unwrap() error }:
			err = u.Unwrap()
		case interface{ Unwrap() []error }:
			err = errors.Join(u.Unwrap()...)
		default:
			return ""
		}
		if err == nil {
			return ""
		}
	}
	return ""
}

// Reasoner is an error of a runtime that can leave out what was being done, and its remedy: callers
// name the former in the words of the project.
type Reasoner interface{ Reason() string }

// WrapErr names what was being done to which service, in place of the runtime's
// name for it. What args name is noted in Names.
func WrapErr(err error, format string, args ...any) error {
	e := &Error{What: fmt.Sprintf(format, args...), Err: err}
	for _, a := range args {
		if name, ok := a.(string); ok {
			e.Names = append(e.Names, name)
		}
	}
	var r Reasoner
	if errors.As(err, &r) {
		e.Why, e.Remedy = r.Reason(), suggestion(err)
	}
	return e
}
