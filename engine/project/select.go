package project

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"
)

// selection is what was asked for of what the files have: services, and how
// many replicas of them.
type selection struct {
	services []string       // as Options.Services
	all      bool           // as Options.All
	noDeps   bool           // as Options.NoDeps
	scale    map[string]int // as Options.Scale
	pull     string         // as Options.Pull
	sources  *sources
}

// choose enables the services that were asked for with all they depend on, and drops what then nobody uses.
func (s *selection) choose(p *types.Project) (*types.Project, error) {
	if len(s.services) > 0 {
		all := p.AllServices()
		wanted := map[string]bool{}
		var want func(name, by string) error
		want = func(name, by string) error {
			service, ok := all[name]
			if !ok {
				return noService(name, all)
			}
			if wanted[name] {
				return nil
			}
			wanted[name] = true
			if s.noDeps {
				return nil
			}
			for dep, d := range service.DependsOn {
				// an optional dependency comes along when it is enabled anyway
				if _, enabled := p.Services[dep]; enabled || d.Required {
					if err := want(dep, name); err != nil {
						return err
					}
				}
			}
			return nil
		}
		for _, name := range s.services {
			if err := want(name, ""); err != nil {
				return nil, err
			}
		}
		var err error
		if p, err = p.WithServicesEnabled(slices.Collect(maps.Keys(wanted))...); err != nil {
			return nil, err
		}
		var deps []types.DependencyOption
		if s.noDeps {
			deps = append(deps, types.IgnoreDependencies)
		}
		if p, err = p.WithSelectedServices(s.services, deps...); err != nil {
			return nil, err
		}
	}
	if s.all {
		return p, nil
	}
	return p.WithoutUnnecessaryResources(), nil
}

// setPull sets the pull policy of all services of the command line.
func (s *selection) setPull(p *types.Project) {
	if s.pull == "" {
		return
	}
	for name, service := range p.Services {
		service.PullPolicy = s.pull
		p.Services[name] = service
	}
}

func (s *selection) setScale(p *types.Project) error {
	for _, name := range slices.Sorted(maps.Keys(s.scale)) {
		n := s.scale[name]
		service, ok := p.Services[name]
		if !ok {
			return noService(name, p.Services)
		}
		if n < 0 {
			return &LoadError{Problem: fmt.Sprintf("scale %s=%d: less than 0", name, n),
				Remedy: "give 0 or more"}
		}
		if n > 1 && service.ContainerName != "" {
			e := s.sources.errorAt("services", name, "container_name")
			e.Problem = fmt.Sprintf("%s has a container_name, so it cannot run %d times", name, n)
			e.Remedy = "remove container_name"
			return e
		}
		service.SetScale(n)
		p.Services[name] = service
	}
	return nil
}

// noService is the error for a name that is not one of the services.
func noService(name string, all types.Services) error {
	names := slices.Sorted(maps.Keys(all))
	return &LoadError{Problem: fmt.Sprintf("no service %q", name),
		Remedy: orNearest(name, names, "there are: "+strings.Join(names, ", "))}
}
