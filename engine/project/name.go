package project

import (
	"fmt"

	"github.com/compose-spec/compose-go/v2/loader"
)

// CheckName returns a *LoadError for what cannot be the name of a project.
func CheckName(name string) error {
	if name == "" || loader.NormalizeProjectName(name) != name {
		return badName(name)
	}
	return nil
}

func badName(name string) *LoadError {
	remedy := "use lower-case letters, digits, - and _, and begin with a letter or digit"
	if name := loader.NormalizeProjectName(name); name != "" {
		remedy = "write " + name
	}
	return (&LoadError{}).with(fmt.Sprintf("%q is not a project name", name), remedy)
}
