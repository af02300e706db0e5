package project

import (
	"maps"
	"slices"

	"github.com/compose-spec/compose-go/v2/types"
)

// assembler makes the services of a project.
type assembler struct {
	p       *Project
	sources *sources
	links   *links
	named   *named

	unresolved map[string]error // services whose env_file could not be read
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
	for _, s := range slices.Concat(p.Services, p.BuildOnly) {
		s.remember(p.Dir)
		s.Emptied = emptied(p.Volumes, s)
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

func (a *assembler) service(name string, bare, full types.ServiceConfig) (*Service, error) {
	s := &Service{
		Name: name, Config: full, Bare: bare, EnvErr: a.unresolved[name],
		Replicas:  full.GetScale(),
		DependsOn: map[string]types.ServiceDependency{},
		Image:     full.Image,
		Place:     a.sources.show(a.sources.first("services", name)),
	}
	switch {
	case s.Provided():
		s.Image, s.Replicas = "", 0
	case s.Image == "":
		s.Image = a.builtName(name)
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
	if s.Extra, err = d.extra(full.Extensions[extensionKey],
		slices.Sorted(maps.Keys(a.p.Compose.AllServices()))); err != nil {
		return s, err
	}
	if err := d.canRestartProgram(s); err != nil {
		return s, err
	}
	s.Extra.Alerts = append(projectAlerts(a.p.Compose.Extensions[extensionKey]), s.Extra.Alerts...)
	s.HostCommands = a.hostCommands(s)
	return s, nil
}

// emptied finds the targets of volumes that the local driver mounts as a tmpfs.
func emptied(volumes types.Volumes, s *Service) (targets []string) {
	for _, v := range s.Config.Volumes {
		def, ok := volumes[v.Source]
		if ok && v.Type == types.VolumeTypeVolume && (def.Driver == "" || def.Driver == "local") &&
			def.DriverOpts["type"] == "tmpfs" {
			targets = append(targets, v.Target)
		}
	}
	return targets
}
