package docker

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"

	"bulkhead/engine/container"
)

// Labels of docker compose. Its own `up`, `ps` and `down` find and judge containers
// by them, so they are a contract.
const (
	labelProject      = "com.docker.compose.project"
	labelService      = "com.docker.compose.service"
	labelHash         = "com.docker.compose.config-hash"
	labelOneOff       = "com.docker.compose.oneoff"
	labelImage        = "com.docker.compose.image"
	labelNumber       = "com.docker.compose.container-number"
	labelDepends      = "com.docker.compose.depends_on"
	labelDir          = "com.docker.compose.project.working_dir"
	labelFiles        = "com.docker.compose.project.config_files"
	labelEnvFiles     = "com.docker.compose.project.environment_file"
	labelVersion      = "com.docker.compose.version"
	labelReplace      = "com.docker.compose.replace"
	labelNetwork      = "com.docker.compose.network"
	labelVolume       = "com.docker.compose.volume"
	labelSlug         = "com.docker.compose.slug"       // of what run made
	labelHook         = "com.docker.compose.hook"       // the kind of hook that a container is for
	labelHookIndex    = "com.docker.compose.hook-index" // which of that kind
	labelImageVolumes = "com.docker.compose.image-volume-digest"
	labelContent      = "bulkhead.content-hash"
	// those that a container took over, by name, from the one before it
	labelVolumes     = "bulkhead.anonymous-volumes"
	version          = "bulkhead" // docker compose shows it and compares it with nothing
	notOneOff        = "False"    // as Python writes it: docker compose compares the text
	oneOff           = "True"
	labelRestart     = "bulkhead.restart"
	labelAgent       = "bulkhead.agent" // id of the container that the agent works beside
	containerPrefix  = "container:"
	servicePrefix    = "service:"
	networkKeyOfNone = "default"
)

// containerLabels are the user's labels and, over them, docker compose's.
func containerLabels(c container.CreateSpec, hash string) map[string]string {
	p, s := c.App, c.Service
	labels := map[string]string{}
	maps.Copy(labels, s.Config.Labels)
	if c.Beside != nil && c.Beside.Hook != "" { // no more than its project and service finds it by
		maps.Copy(labels, map[string]string{labelProject: p.Name, labelService: s.Name, labelVersion: version,
			labelHook: c.Beside.Hook, labelHookIndex: strconv.Itoa(c.Beside.Index)})
		return labels
	}
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
	if c.Beside != nil {
		labels[labelOneOff], labels[labelSlug] = oneOff, c.Beside.Slug
		delete(labels, labelNumber)
	}
	if len(p.EnvFiles) > 0 {
		labels[labelEnvFiles] = strings.Join(p.EnvFiles, ",")
	}
	if s.VolumeImages != "" {
		labels[labelImageVolumes] = s.VolumeImages
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

// dependencies reads what dependsOn writes; nil when that is nothing.
func dependencies(label string) map[string]types.ServiceDependency {
	var out map[string]types.ServiceDependency
	for dep := range strings.SplitSeq(label, ",") {
		name, rest, _ := strings.Cut(dep, ":")
		condition, restart, _ := strings.Cut(rest, ":")
		if name == "" {
			continue
		}
		if out == nil {
			out = map[string]types.ServiceDependency{}
		}
		out[name] = types.ServiceDependency{Condition: condition, Restart: restart == "true", Required: true}
	}
	return out
}
