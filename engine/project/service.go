package project

import (
	"maps"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"
)

// assembler makes the services of a project.
type assembler struct {
	p       *Project
	sources *sources
	links   *links
}

// fill makes the project of what compose-go loaded: bare without the overlay, full with it.
func (a *assembler) fill(bare, full *types.Project) error {
	p := a.p
	p.Compose = full
	p.Networks, p.Volumes, p.Secrets, p.Configs = full.Networks, full.Volumes, full.Secrets, full.Configs
	for name, s := range full.DisabledServices {
		if s.HasProfile(full.Profiles) {
			p.Unselected = append(p.Unselected, name)
		} else {
			p.Disabled = append(p.Disabled, name)
		}
	}
	slices.Sort(p.Unselected)
	slices.Sort(p.Disabled)
	for _, name := range full.ServiceNames() {
		s, err := a.service(name, bare.Services[name], full.Services[name])
		if err != nil {
			return err
		}
		p.Services = append(p.Services, s)
	}
	if err := a.buildOnly(bare, full); err != nil {
		return err
	}
	rules := &ruleMaker{p: p, sources: a.sources, links: a.links}
	if err := rules.addRules(); err != nil {
		return err
	}
	inputs := a.sources.inputs
	for _, s := range full.Services {
		for _, f := range s.LabelFiles {
			inputs[f] = true
		}
	}
	p.Inputs = slices.Sorted(maps.Keys(inputs))
	return nil
}

// buildOnly adds the services whose images the builds of others begin with or copy from, and that
// are not enabled themselves.
func (a *assembler) buildOnly(bare, full *types.Project) error {
	found := map[string]*Service{}
	for open := slices.Clone(a.p.Services); len(open) > 0; open = open[1:] {
		if !open[0].Built {
			continue
		}
		for _, where := range open[0].Config.Build.AdditionalContexts {
			name, ok := strings.CutPrefix(where, types.ServicePrefix)
			of, disabled := full.DisabledServices[name]
			if !ok || !disabled || found[name] != nil {
				continue
			}
			s, err := a.service(name, bare.DisabledServices[name], of)
			if err != nil {
				return err
			}
			s.Replicas, found[name] = 0, s
			open = append(open, s)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(found)) {
		a.p.BuildOnly = append(a.p.BuildOnly, found[name])
	}
	return nil
}

func (a *assembler) service(name string, bare, full types.ServiceConfig) (*Service, error) {
	s := &Service{
		Name: name, Config: full, Bare: bare,
		Replicas:  full.GetScale(),
		DependsOn: map[string]types.ServiceDependency{},
		Image:     full.Image,
		Place:     a.sources.show(a.sources.first("services", name)),
	}
	if s.Image == "" {
		s.Image = a.p.Name + "-" + name
	}
	for dep, d := range full.DependsOn {
		if _, enabled := a.p.Compose.Services[dep]; enabled {
			s.DependsOn[dep] = d
		}
	}
	var err error
	if s.Hash, err = ServiceHash(bare); err != nil {
		return nil, err
	}
	if full.Build != nil {
		s.Built = true
		if s.BuildKey, err = buildKey(*full.Build); err != nil {
			return nil, err
		}
	}
	d := &decoder{sources: a.sources, links: a.links, service: name}
	s.Extra, err = d.extra(full.Extensions[extensionKey], slices.Sorted(maps.Keys(a.p.Compose.AllServices())))
	return s, err
}
