package docker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/volume"
	"github.com/moby/moby/client"

	"bulkhead/engine/container"
)

// holder keeps who runs a project in the labels of an empty volume. It has no label of docker
// compose's, which therefore neither lists nor removes it.
type holder struct{ *connection }

// holderPrefix goes before the labels, and holderVolume before the project in the volume's name.
const (
	holderPrefix  = "bulkhead.holder."
	holderProject = holderPrefix + "project"
	holderVolume  = "bulkhead-holder-"
	// maxNoted is how many bytes of what a holder noted count: anybody can make such a volume.
	maxNoted = 240
)

// HoldProject implements container.Holder. The engine makes a volume of one name once: who comes second
// gets the labels of the first. It is an error wrapping container.ErrConflict when the volume has no note.
func (h *holder) HoldProject(
	ctx context.Context, project string, who map[string]string,
) (map[string]string, error) {
	what, name := "note who runs "+project, holderVolume+project
	labels := map[string]string{holderProject: project}
	for key, value := range who {
		labels[holderPrefix+key] = value
	}
	if _, err := h.cli.VolumeCreate(ctx, client.VolumeCreateOptions{Name: name, Labels: labels}); err != nil {
		return nil, h.wrap(what, err)
	}
	v, err := h.note(ctx, project)
	if err == nil && v == nil {
		err = errors.New("somebody removed it at once")
	}
	if err != nil {
		return nil, h.wrap(what, err)
	}
	if maps.Equal(v.Labels, labels) {
		return maps.Clone(who), nil
	}
	if v.Labels[holderProject] == "" {
		return nil, &apiError{what: what, kind: container.ErrConflict, err: cerrdefs.ErrConflict,
			text:   "a volume " + name + " that has no such note is in the way",
			remedy: fmt.Sprintf("remove it with `docker volume rm %s`, or choose another project name (-p)", name)}
	}
	return noted(v, slices.Collect(maps.Keys(who))), nil
}

// ProjectHolder implements container.Holder. A volume without a note is nobody's.
func (h *holder) ProjectHolder(ctx context.Context, project string, keys ...string) (map[string]string, error) {
	v, err := h.note(ctx, project)
	if err != nil {
		return nil, h.wrap("look who runs "+project, err)
	}
	if v == nil || v.Labels[holderProject] == "" {
		return nil, nil
	}
	return noted(v, keys), nil
}

// note returns the volume that keeps who runs a project, nil when there is none.
func (h *holder) note(ctx context.Context, project string) (*volume.Volume, error) {
	res, err := h.cli.VolumeInspect(ctx, holderVolume+project, client.VolumeInspectOptions{})
	if cerrdefs.IsNotFound(err) {
		return nil, nil
	}
	if err == nil && res.Volume.Name != holderVolume+project {
		err = errors.New("the engine's answer is about something else")
	}
	return &res.Volume, err
}

// noted reads what a holder noted, each with its beginning.
func noted(v *volume.Volume, keys []string) map[string]string {
	found := map[string]string{}
	for _, key := range keys {
		value := v.Labels[holderPrefix+key]
		if len(value) > maxNoted {
			value = strings.ToValidUTF8(value[:maxNoted], "") + "…"
		}
		found[key] = value
	}
	return found
}

// ReleaseProject implements container.Holder.
func (h *holder) ReleaseProject(ctx context.Context, project string) error {
	_, err := h.cli.VolumeRemove(ctx, holderVolume+project, client.VolumeRemoveOptions{})
	if err != nil && !cerrdefs.IsNotFound(err) {
		return h.wrap("forget who ran "+project, err)
	}
	return nil
}
