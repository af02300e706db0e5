package project

import (
	"maps"
	"slices"

	"github.com/compose-spec/compose-go/v2/types"
)

const (
	// socketConfig is the config with the credentials, as docker compose calls it; runtimes know it by that name.
	socketConfig     = "#apisocket"
	apiSocket        = "/var/run/docker.sock"
	dockerConfigKey  = "DOCKER_CONFIG"
	socketConfigDir  = "/run/secrets/docker"
	socketConfigFile = socketConfigDir + "/config.json"
)

// WantsSocket says whether a service asks for the engine's socket.
func (p *Project) WantsSocket() bool {
	return slices.ContainsFunc(p.Services, func(s *Service) bool { return s.Config.UseAPISocket })
}

// MountSocket carries use_api_socket out, as docker compose does before it hashes a service: those that ask for it
// get the engine's socket and, unless they set DOCKER_CONFIG themselves, the credentials for registries in a config
// file for the docker command; none where it is empty. Nobody but the caller may know the project yet.
func (p *Project) MountSocket(config string) error {
	if p.Configs == nil {
		p.Configs = types.Configs{}
	}
	p.Configs[socketConfig] = types.ConfigObjConfig{Content: config}
	for _, s := range p.Services {
		if !s.Config.UseAPISocket {
			continue
		}
		var err error
		mountSocket(&s.Config, config != "")
		mountSocket(&s.Bare, config != "")
		if s.Hash, err = ServiceHash(s.Bare); err != nil {
			return err
		}
	}
	return nil
}

func mountSocket(c *types.ServiceConfig, credentials bool) {
	c.Volumes = append(slices.Clone(c.Volumes), types.ServiceVolumeConfig{Type: types.VolumeTypeBind,
		Source: apiSocket, Target: apiSocket})
	if _, own := c.Environment[dockerConfigKey]; own || !credentials {
		return
	}
	c.Environment = maps.Clone(c.Environment)
	if c.Environment == nil {
		c.Environment = types.MappingWithEquals{}
	}
	dir, mode := socketConfigDir, types.FileMode(0o600)
	c.Environment[dockerConfigKey] = &dir
	c.Configs = append(slices.Clone(c.Configs), types.ServiceConfigObjConfig{Source: socketConfig,
		Target: socketConfigFile, Mode: &mode})
}
