package image

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"

	"bulkhead/engine/container"
	"bulkhead/engine/project"
)

// Volumes finds the images that a service mounts, as `type: image` volumes: those that a service of the project
// builds are waited for, and the others are pulled where they are missing. names has what each source stands for;
// digests says which images they are, as docker compose labels a container with it.
func (m *Store) Volumes(
	ctx context.Context, conf *project.Service,
) (names map[string]string, digests string, err error) {
	names = map[string]string{}
	var all []string
	for _, v := range conf.Config.Volumes {
		if v.Type != types.VolumeTypeImage {
			continue
		}
		name, img, err := m.volume(ctx, conf, v.Source, true)
		if err != nil {
			return nil, "", err
		}
		names[v.Source] = name
		all = append(all, v.Target+"="+img.Digest)
	}
	slices.Sort(all)
	return names, strings.Join(all, ","), nil
}

// volume finds one: its source is the name of an image, or else, with services, of one of those.
func (m *Store) volume(
	ctx context.Context, conf *project.Service, source string, services bool,
) (name string, img container.Image, err error) {
	p, what := m.o.State.Project(), "create "+conf.Name+": it mounts the image of "
	if maker := p.Maker(source); maker != nil {
		if _, err := m.await(ctx, what+maker.Name, maker.Name, naming(conf.Name)); err != nil {
			return "", img, err
		}
	}
	img, err = m.o.Runtime.Image(ctx, source, conf.Config.Platform)
	switch {
	case err == nil:
		return source, img, nil
	case !errors.Is(err, container.ErrNotFound):
		return "", img, container.WrapErr(err, "look for image %s", source)
	}
	other := p.Service(source)
	switch {
	case services && other != nil:
		return m.volume(ctx, conf, other.Image, false)
	case conf.Config.PullPolicy == types.PullPolicyNever:
		err := fmt.Errorf(
			"create %s: image %s, which it mounts, is not there and its pull_policy is never",
			conf.Name, source)
		err = container.Naming(conf.Name, err)
		return "", img, container.WithRemedy(err, "load it, or change the policy")
	}
	if err := m.o.Runtime.Pull(ctx, source, conf.Config.Platform, nil); err != nil {
		return "", img, container.WrapErr(err, "pull %s, which %s mounts", source, conf.Name)
	}
	if img, err = m.o.Runtime.Image(ctx, source, conf.Config.Platform); err != nil {
		return "", img, container.WrapErr(err, "look for image %s, just pulled", source)
	}
	return source, img, nil
}
