package step

import (
	"bulkhead/engine/container"
	"bulkhead/engine/project"
)

// App is a project as a runtime sees it.
func App(p *project.Project) *container.App {
	a := &container.App{
		Name: p.Name, Dir: p.Dir, Files: p.Files, EnvFiles: p.EnvFiles,
		Networks: p.Networks, Volumes: p.Volumes, Secrets: p.Secrets, Configs: p.Configs,
		Environment: p.Compose.Environment,
		Services:    map[string]*container.Service{}, Separator: p.Separator,
	}
	for _, s := range p.Services {
		a.Services[s.Name] = Wanted(s)
	}
	return a
}

// Wanted is a service as a runtime sees it.
func Wanted(s *project.Service) *container.Service {
	return &container.Service{Name: s.Name, Config: s.Config, DependsOn: s.DependsOn, Image: s.Image,
		Replicas: s.Replicas, VolumeImages: s.VolumeImages, Program: s.Extra.Restart == project.ProcessScope}
}
