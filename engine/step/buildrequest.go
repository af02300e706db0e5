package step

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"

	"bulkhead/engine/container"
	"bulkhead/engine/project"
)

// BuildRequest translates a service's build: section. image returns the name of the image of
// another service that the build begins with, once it is there.
func BuildRequest(
	p *project.Project, s *project.Service, image func(of string) (string, error),
) (container.BuildRequest, error) {
	b := s.Config.Build
	r := container.BuildRequest{
		Key: s.BuildKey, Service: s.Name, Context: b.Context, Dockerfile: b.Dockerfile,
		DockerfileInline: b.DockerfileInline, Target: b.Target,
		CacheFrom: b.CacheFrom, CacheTo: b.CacheTo, NoCacheFilter: b.NoCacheFilter,
		Platforms: b.Platforms, Entitlements: b.Entitlements,
		ExtraHosts: b.ExtraHosts.AsList("="), NoCache: b.NoCache, Pull: b.Pull,
		Privileged: b.Privileged, Network: b.Network,
		ShmSize: int64(b.ShmSize), Provenance: b.Provenance, SBOM: b.SBOM, Args: buildArgs(p, b),
		Ulimits:            buildUlimits(b),
		AdditionalContexts: map[string]string{}, Within: s.Dir,
	}
	var err error
	if r.Context, err = reach(s, b.Context); err != nil {
		return r, err
	}
	// A service's image is for this runtime: of several platforms its own is taken.
	if len(r.Platforms) > 1 {
		r.Platforms = nil
	}
	if platform := s.Config.Platform; platform != "" {
		r.Platforms = []string{platform}
	}
	r.Tags, r.Labels = buildNames(p, s)
	for name, where := range b.AdditionalContexts {
		if of, ok := strings.CutPrefix(where, types.ServicePrefix); ok {
			img, err := image(of)
			if err != nil {
				return r, err
			}
			where = "docker-image://" + img
		} else if where, err = reach(s, where); err != nil {
			return r, err
		}
		r.AdditionalContexts[name] = where
	}
	for _, base := range p.Bases(s) { // those of the Dockerfile too
		if _, err := image(base.Name); err != nil {
			return r, err
		}
	}
	for _, k := range b.SSH {
		x := container.BuildSSH{ID: k.ID}
		if k.Path != "" {
			x.Paths = []string{k.Path}
		}
		r.SSH = append(r.SSH, x)
	}
	r.Secrets, err = buildSecrets(p, s)
	return r, err
}

// reach resolves the links of a folder that a build reads; what is not a folder of this machine, or
// is not there, is the builder's matter.
func reach(s *project.Service, where string) (string, error) {
	if !filepath.IsAbs(where) {
		return where, nil
	}
	real, err := s.Reach(where)
	if outside := (*project.OutsideError)(nil); errors.As(err, &outside) {
		return "", container.WithRemedy(fmt.Errorf("build %s: its context %w", s.Name, err), "%s",
			outside.Suggestion())
	}
	if err != nil {
		return where, nil
	}
	return real, nil
}

// buildNames returns the tags and labels of a build. Equal builds are done once, so they have the
// tags of all, and the label of the first.
func buildNames(p *project.Project, s *project.Service) (tags []string, labels map[string]string) {
	leader := s.Name
	for _, o := range p.Services {
		if o.Built && o.BuildKey == s.BuildKey {
			tags = append(tags, o.Image)
			leader = min(leader, o.Name)
		}
	}
	if !slices.Contains(tags, s.Image) { // of a service that is only built for others
		tags = append(tags, s.Image)
	}
	labels = map[string]string{}
	maps.Copy(labels, s.Config.Build.Labels)
	maps.Copy(labels, map[string]string{
		"com.docker.compose.project": p.Name, "com.docker.compose.service": leader,
		"com.docker.compose.version": "bulkhead",
	})
	return append(tags, s.Config.Build.Tags...), labels
}

// buildArgs returns the arguments of a build; one without a value has that of the environment.
func buildArgs(p *project.Project, b *types.BuildConfig) map[string]string {
	args := map[string]string{}
	for k, v := range b.Args {
		if v != nil {
			args[k] = *v
		} else if v, ok := p.Compose.Environment[k]; ok {
			args[k] = v
		}
	}
	return args
}

// buildUlimits returns soft and hard limits by name.
func buildUlimits(b *types.BuildConfig) map[string][2]int64 {
	var limits map[string][2]int64
	for name, u := range b.Ulimits {
		if limits == nil {
			limits = map[string][2]int64{}
		}
		soft, hard := int64(u.Soft), int64(u.Hard)
		if u.Single != 0 {
			soft, hard = int64(u.Single), int64(u.Single)
		}
		limits[name] = [2]int64{soft, hard}
	}
	return limits
}

func buildSecrets(p *project.Project, s *project.Service) ([]container.BuildSecret, error) {
	var out []container.BuildSecret
	for _, ref := range s.Config.Build.Secrets {
		sec, ok := p.Compose.Secrets[ref.Source]
		if !ok {
			return nil, fmt.Errorf("build %s: secret %s is not declared in the secrets of the file",
				s.Name, ref.Source)
		}
		x := container.BuildSecret{ID: ref.Target, File: sec.File}
		if x.ID == "" {
			x.ID = ref.Source
		}
		if sec.Environment != "" {
			x.Env = p.Compose.Environment[sec.Environment]
		}
		out = append(out, x)
	}
	return out, nil
}
