package project

import (
	"slices"

	"github.com/compose-spec/compose-go/v2/types"
)

// resolveEnvironments reads the env_file of services and their hooks into their environments, as docker
// compose does. With optional, a service with one that cannot be read stays as it is written, and
// unresolved has its error by its name.
func (s *sources) resolveEnvironments(
	p *types.Project, x *explainer, optional bool,
) (resolved *types.Project, unresolved map[string]error, err error) {
	if err = s.vetEnvironments(p); err == nil {
		resolved, err = p.WithServicesEnvironmentResolved(true)
	}
	if err == nil || !optional {
		return resolved, nil, err
	}
	resolved, unresolved = p, map[string]error{}
	for _, name := range p.ServiceNames() {
		alone := *p
		alone.Services = types.Services{name: p.Services[name]}
		if err := s.vetEnvironments(&alone); err != nil {
			unresolved[name] = x.explain(err)
			continue
		}
		with, err := alone.WithServicesEnvironmentResolved(true)
		if err != nil {
			unresolved[name] = x.explain(err)
			continue
		}
		p.Services[name] = with.Services[name]
	}
	return resolved, unresolved, nil
}

// vetEnvironments refuses the env_file of services and their hooks as vet does, and notes them as inputs.
func (s *sources) vetEnvironments(p *types.Project) error {
	for _, name := range p.ServiceNames() {
		for _, spec := range specs(p.Services[name]) {
			for _, f := range spec.EnvFiles {
				s.inputs[f.Path] = true
			}
			for _, f := range spec.EnvFiles {
				if err := s.vet(f.Path); err != nil {
					return err
				}
				if err := s.vetEnvFile(f.Path, f.Format == "raw", p.Environment.Resolve); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// specs are what a service and its hooks say of their containers.
func specs(service types.ServiceConfig) []types.ContainerSpec {
	all := []types.ContainerSpec{service.ContainerSpec}
	for _, hook := range service.PreStart {
		all = append(all, hook.ContainerSpec)
	}
	return slices.Clip(all)
}
