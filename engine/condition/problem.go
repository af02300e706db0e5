package condition

import (
	"errors"

	"bulkhead/engine/container"
)

// Problem is an error of a service as it is shown. The zero value is none.
type Problem struct {
	Text   string // without the remedy; "" for no problem
	Short  string // Text as it reads beside the service's name
	Remedy string // "" where nobody knows one
	Named  bool   // Text names the service
}

// ProblemOf returns an error of a service in parts; nil is no problem.
func ProblemOf(service string, err error) (p Problem) {
	if err == nil {
		return p
	}
	p.Text, p.Remedy = container.Explain(err)
	p.Short, _ = container.Explain(container.WithoutService(err))
	p.Named = container.Names(err, service)
	return p
}

// FirstLine returns the problem with the first line of its texts.
func (p Problem) FirstLine() Problem {
	p.Text, p.Short = container.FirstLine(p.Text), container.FirstLine(p.Short)
	return p
}

// err returns the text as an error of a service.
func (p Problem) err(service string) error {
	err := errors.New(p.Text)
	if p.Named {
		return container.Naming(service, err)
	}
	return err
}
