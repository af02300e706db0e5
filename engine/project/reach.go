package project

import (
	"fmt"
	"path/filepath"
	"slices"
)

// OutsideError says that a folder or file that a project names is now reached
// through a link that leads out of the project, and was not when the project was
// loaded.
type OutsideError struct {
	Path string // as the project names it
	To   string // where it leads now
}

func (e *OutsideError) Error() string { return e.Path + " " + e.Reason() }

// Reason is the error without the path.
func (e *OutsideError) Reason() string {
	return fmt.Sprintf("has become a link to %s, outside of the project", e.To)
}

// Suggestion is what a person can do about it.
func (*OutsideError) Suggestion() string {
	return "take the link away, or name the folder that it leads to in the Compose file"
}

// Reach resolves the links of a path that the project names. It is an
// *OutsideError when they lead out of the project's folder to another place than
// when the project was loaded: whoever may write into the folder, a container
// with a bind mount for one, could else point bulkhead at any file of this
// machine.
func (s *Service) Reach(path string) (string, error) {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return "", err
	}
	led, known := s.Led[path]
	if !known || real == led || Within(s.Dir, real) {
		return real, nil
	}
	return "", &OutsideError{Path: path, To: real}
}

// remember notes where the paths of a service lead to.
func (s *Service) remember(dir string) {
	s.Dir, s.Led = resolve(dir), map[string]string{}
	note := func(path string) {
		if filepath.IsAbs(path) {
			s.Led[path] = resolve(path)
		}
	}
	for i := range s.Rules {
		note(s.Rules[i].Path)
	}
	if s.Config.Build != nil {
		note(s.Config.Build.Context)
		for _, context := range s.Config.Build.AdditionalContexts {
			note(context)
		}
	}
	if s.Extra.Prepare != nil {
		for _, path := range s.Extra.Prepare.Watch {
			note(path)
		}
	}
}

// Inherit has a project that was loaded again reach no further than before: where a path led to when
// the project was loaded first is what counts. Nobody but the caller may know the project yet.
func (p *Project) Inherit(before *Project) {
	for _, s := range slices.Concat(p.Services, p.BuildOnly) {
		for path := range s.Led {
			for _, old := range slices.Concat(before.Services, before.BuildOnly) {
				if led, ok := old.Led[path]; ok {
					s.Led[path] = led
				}
			}
		}
	}
}
