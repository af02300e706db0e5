package container

import (
	"errors"
	"fmt"
	"strings"
)

// Error is an error in parts, for those who show them apart.
type Error struct {
	What   string // what was being done, to what; "" where the caller says it
	Why    string // why it did not work; "" where Err says it
	Remedy string // what a person can do about it; "" where nobody knows
	Err    error  // the error behind it; may be nil when Why is set
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

// Suggester is an error that knows what a person can do about it. The text of
// such an error ends with "; " and the suggestion, unless that is "".
type Suggester interface {
	error
	Suggestion() string
}

// Failed is an error of something that was being done, as "stop web".
func Failed(what, format string, args ...any) error {
	return &Error{What: what, Why: fmt.Sprintf(format, args...)}
}

// WithRemedy adds to an error what a person can do about it.
func WithRemedy(err error, format string, args ...any) error {
	return &Error{Remedy: fmt.Sprintf(format, args...), Err: err}
}

// Explain returns the text of an error without its remedy, and the remedy, ""
// when there is none. A remedy in the middle of a text, as with several errors
// in one, stays there.
func Explain(err error) (text, remedy string) {
	text, remedy = err.Error(), suggestion(err)
	if remedy == "" {
		return text, ""
	}
	// The text is that of wrappers, which know nothing of the remedy.
	text, last := strings.CutSuffix(text, "; "+remedy)
	if !last {
		return text, ""
	}
	return text, remedy
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
// name for it.
func WrapErr(err error, format string, args ...any) error {
	e := &Error{What: fmt.Sprintf(format, args...), Err: err}
	var r Reasoner
	if errors.As(err, &r) {
		e.Why, e.Remedy = r.Reason(), suggestion(err)
	}
	return e
}
