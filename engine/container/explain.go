package container

import "slices"

// About is an error of one service, which its text begins with.
type About struct {
	Verb    string // what was being done to the service, as "build"; "" where Err says it
	Service string // "" where the caller names it
	Words   string // in front of Err's text: "waits for db healthy, but "
	Err     error  // never nil
}

// Error returns the parts as one text: "build web: words and the error".
func (a *About) Error() string { return a.head() + a.Err.Error() }

// head returns what stands in front of the text of the error behind it.
func (a *About) head() string {
	text := a.Words
	if a.Service != "" {
		text = a.Service + ": " + text
	}
	if a.Verb != "" {
		text = a.Verb + " " + text
	}
	return text
}

// Unwrap returns the error behind it.
func (a *About) Unwrap() error { return a.Err }

// Subject returns the service.
func (a *About) Subject() string { return a.Service }

// WithoutService returns the error as it reads beside the service's name.
func (a *About) WithoutService() error { return &About{Words: a.Words, Err: a.Err} }

// Explain implements Explainer.
func (a *About) Explain() (text, remedy string) {
	text, remedy = Explain(a.Err)
	return a.head() + text, remedy
}

// Explainer is an error that returns its remedy apart from the rest of its text. What such an error
// wraps, and what wraps it in words of its own, need not be one.
type Explainer interface {
	error
	Explain() (text, remedy string)
}

// Explain implements Explainer.
func (e *Error) Explain() (text, remedy string) {
	switch {
	case e.Why != "":
		text, remedy = e.Why, e.Remedy
	case e.Err == nil:
		remedy = e.Remedy
	case e.Remedy != "":
		text, remedy = e.Err.Error(), e.Remedy
	default:
		text, remedy = Explain(e.Err)
	}
	if e.What != "" {
		text = e.What + ": " + text
	}
	return text, remedy
}

// WithoutService returns the error as it reads beside the service's name.
func (e *Error) WithoutService() error {
	if e.What != "" || e.Why != "" {
		return e
	}
	return &Error{Remedy: e.Remedy, Err: WithoutService(e.Err)}
}

// Explain implements Explainer. Where it is not the last error alone that has a remedy, all of them
// stay in the text.
func (j joined) Explain() (text, remedy string) {
	last := len(j) - 1
	for _, err := range j[:last] {
		if suggestion(err) != "" {
			return j.Error(), ""
		}
	}
	if text, remedy = Explain(j[last]); last > 0 && remedy != "" {
		return append(slices.Clone(j[:last]), &Error{Why: text}).Error(), remedy
	} else if last == 0 {
		return text, remedy
	}
	return j.Error(), ""
}

// Explain returns the text of an error without its remedy, and the remedy, "" when there is none. A
// remedy in the middle of a text, as with several errors in one, stays there.
func Explain(err error) (text, remedy string) {
	if x, ok := err.(Explainer); ok {
		return x.Explain()
	}
	if one := alone(err); one != nil {
		return Explain(one)
	}
	return err.Error(), ""
}

// alone returns the one error that err wraps without a word of its own, nil for none.
func alone(err error) error {
	var one error
	switch u := err.(type) {
	case interface{ Unwrap() error }:
		one = u.Unwrap()
	case interface{ Unwrap() []error }:
		if all := u.Unwrap(); len(all) == 1 {
			one = all[0]
		}
	}
	if one == nil || one.Error() != err.Error() {
		return nil
	}
	return one
}

// WithoutService returns an error as it reads beside the name of its service: without that, and without what
// was being done to it, where the error knows them.
func WithoutService(err error) error {
	if b, ok := err.(interface{ WithoutService() error }); ok {
		return b.WithoutService()
	}
	if one := alone(err); one != nil {
		return WithoutService(one)
	}
	return err
}

// Naming returns an error with a note that its text names a service. The text stays as it is.
func Naming(service string, err error) error {
	if all, ok := err.(joined); ok {
		var out joined
		for _, one := range all {
			out = append(out, Naming(service, one))
		}
		return out
	}
	if _, many := err.(interface{ Unwrap() []error }); many || err == nil {
		return err // whoever asks what it consists of looks at its parts
	}
	return &Error{Err: err, Names: []string{service}}
}

// Names says whether the text of an error names a service, as far as an error in its tree has noted it.
func Names(err error, service string) bool {
	switch e := err.(type) {
	case nil:
		return false
	case *Error:
		if slices.Contains(e.Names, service) {
			return true
		}
		if e.Why != "" {
			return false // the error behind it is not in the text
		}
	case interface{ Subject() string }:
		if e.Subject() == service {
			return true
		}
	}
	switch u := err.(type) {
	case interface{ Unwrap() error }:
		return Names(u.Unwrap(), service)
	case interface{ Unwrap() []error }:
		return slices.ContainsFunc(u.Unwrap(), func(one error) bool { return Names(one, service) })
	}
	return false
}
