package docker

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"bulkhead/engine/container"
)

// Labels of docker compose. Its own `up`, `ps` and `down` find and judge containers
// by them, so they are a contract.
const (
	labelProject     = "com.docker.compose.project"
	labelService     = "com.docker.compose.service"
	labelHash        = "com.docker.compose.config-hash"
	labelOneOff      = "com.docker.compose.oneoff"
	labelImage       = "com.docker.compose.image"
	labelNumber      = "com.docker.compose.container-number"
	labelDepends     = "com.docker.compose.depends_on"
	labelDir         = "com.docker.compose.project.working_dir"
	labelFiles       = "com.docker.compose.project.config_files"
	labelEnvFiles    = "com.docker.compose.project.environment_file"
	labelVersion     = "com.docker.compose.version"
	labelReplace     = "com.docker.compose.replace"
	labelNetwork     = "com.docker.compose.network"
	labelVolume      = "com.docker.compose.volume"
	labelContent     = "bulkhead.content-hash"
	labelVolumes     = "bulkhead.anonymous-volumes" // those that a container took over, by name, from the one before it
	version          = "bulkhead"                   // docker compose shows it and compares it with nothing
	notOneOff        = "False"                      // as Python writes it: docker compose compares the text
	containerPrefix  = "container:"
	servicePrefix    = "service:"
	networkKeyOfNone = "default"
)

// containerName is the final name of a replica's container.
func containerName(p *container.App, s *container.Service, replica int) string {
	if s.Config.ContainerName != "" {
		return s.Config.ContainerName
	}
	return p.Name + "-" + s.Name + "-" + strconv.Itoa(replica)
}

// containerLabels are the user's labels and, over them, docker compose's.
func containerLabels(c container.CreateSpec, hash string) map[string]string {
	p, s := c.App, c.Service
	labels := map[string]string{}
	maps.Copy(labels, s.Config.Labels)
	maps.Copy(labels, map[string]string{
		labelProject: p.Name,
		labelService: s.Name,
		labelHash:    hash,
		labelOneOff:  notOneOff,
		labelImage:   c.Image.Digest,
		labelNumber:  strconv.Itoa(c.Replica),
		labelDepends: dependsOn(s),
		labelDir:     p.Dir,
		labelFiles:   strings.Join(p.Files, ","),
		labelVersion: version,
	})
	if len(p.EnvFiles) > 0 {
		labels[labelEnvFiles] = strings.Join(p.EnvFiles, ",")
	}
	if c.Content != "" {
		labels[labelContent] = c.Content
	}
	if c.Inherit != "" {
		labels[labelReplace] = s.Config.ContainerName
		if s.Config.ContainerName == "" {
			labels[labelReplace] = s.Name + "-" + strconv.Itoa(c.Replica)
		}
	}
	return labels
}

func dependsOn(s *container.Service) string {
	var deps []string
	for _, name := range slices.Sorted(maps.Keys(s.DependsOn)) {
		d := s.DependsOn[name]
		deps = append(deps, fmt.Sprintf("%s:%s:%t", name, d.Condition, d.Restart))
	}
	return strings.Join(deps, ",")
}
