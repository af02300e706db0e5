package project

import (
	"errors"
	"maps"
	"math"
	"slices"

	"github.com/compose-spec/compose-go/v2/types"

	"bulkhead/engine/hostfile"
)

// refused explains a file that is not read because of what it is; nil for other errors and for none.
func (s *sources) refused(path string, err error) *LoadError {
	var (
		kind    *hostfile.KindError
		size    *hostfile.SizeError
		problem string
		remedy  string
	)
	switch {
	case errors.As(err, &kind):
		problem, remedy = kind.Reason(), "put a regular file there, or remove it"
	case errors.As(err, &size):
		problem, remedy = size.Reason(), "make it smaller, or remove it"
	default:
		return nil
	}
	e := &LoadError{File: inside(s.cwd, path), Problem: problem, Remedy: remedy, Err: err}
	if p := s.names(path); p.file != nil {
		e.File, e.Line = inside(s.cwd, p.file.path), p.line
		e.Problem = inside(s.dir, path) + " " + problem
	}
	return e
}

// vet refuses files that compose-go would hang on or choke on. It opens them by path afterwards, so
// one that is replaced in between is only caught by the end of the load's context.
func (s *sources) vet(paths ...string) error {
	for _, path := range paths {
		if e := s.refused(path, hostfile.Check(path, hostfile.MaxOther)); e != nil {
			return e
		}
	}
	return nil
}

// vetInputs does that for what the Compose files include and extend, and for the env files that go with it.
func (s *sources) vetInputs() error {
	for _, path := range slices.Sorted(maps.Keys(s.unread)) {
		if e := s.refused(path, s.unread[path]); e != nil {
			return e
		}
	}
	if err := s.vet(slices.Sorted(maps.Keys(s.inputs))...); err != nil {
		return err
	}
	for _, path := range slices.Sorted(maps.Keys(s.envFiles)) {
		if err := s.vetEnvFile(path, false, s.env); err != nil {
			return err
		}
	}
	return nil
}

// vetNamed does that for the label_file of services and their hooks, and for secrets and configs.
func (s *sources) vetNamed(p *types.Project) error {
	for _, name := range p.ServiceNames() {
		for _, spec := range specs(p.Services[name]) {
			if err := s.vet(spec.LabelFiles...); err != nil {
				return err
			}
			for _, f := range spec.LabelFiles { // they are read as env files are
				if err := s.vetEnvFile(f, false, p.Environment.Resolve); err != nil {
					return err
				}
			}
		}
	}
	return s.vetContents(p)
}

// vetContents refuses secrets and configs that are not files; how large they are is the engine's
// matter, and a folder is mounted as one.
func (s *sources) vetContents(p *types.Project) error {
	var files []string
	for _, o := range p.Secrets {
		files = append(files, o.File)
	}
	for _, o := range p.Configs {
		files = append(files, o.File)
	}
	slices.Sort(files)
	for _, file := range files {
		if file == "" {
			continue
		}
		if e := s.refused(file, hostfile.Check(file, math.MaxInt64)); e != nil {
			return e
		}
	}
	return nil
}

// endlessError is about an endless alias; nil when there is none.
func (s *sources) endlessError() error {
	if s.endless.file == nil {
		return nil
	}
	return s.errorIn(s.endless).with("an alias stands for something that it is part of itself", "remove it")
}
