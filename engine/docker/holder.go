package docker

import (
	"context"
	"maps"
	"slices"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/client"
)

// holder keeps who runs a project in the labels of an empty volume. It has no label of docker
// compose's, which therefore neither lists nor removes it.
type holder struct{ *connection }

// holderPrefix goes before the labels, and holderVolume before the project in the volume's name.
const (
	holderPrefix = "bulkhead.holder."
	holderVolume = "bulkhead-holder-"
)

// HoldProject implements container.Holder. The engine makes a volume of one name once: who comes second
// gets the labels of the first.
func (h *holder) HoldProject(
	ctx context.Context, project string, who map[string]string,
) (map[string]string, error) {
	labels := map[string]string{holderPrefix + "project": project}
	for key, value := range who {
		labels[holderPrefix+key] = value
	}
	if _, err := h.cli.VolumeCreate(ctx, client.VolumeCreateOptions{Name: holderVolume + project,
		Labels: labels}); err != nil {
		return nil, h.wrap("note who runs "+project, err)
	}
	return h.ProjectHolder(ctx, project, slices.Collect(maps.Keys(who))...)
}

// ProjectHolder implements container.Holder.
func (h *holder) ProjectHolder(ctx context.Context, project string, keys ...string) (map[string]string, error) {
	v, err := h.cli.VolumeInspect(ctx, holderVolume+project, client.VolumeInspectOptions{})
	if cerrdefs.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, h.wrap("look who runs "+project, err)
	}
	found := map[string]string{}
	for _, key := range keys {
		found[key] = v.Volume.Labels[holderPrefix+key]
	}
	return found, nil
}

// ReleaseProject implements container.Holder.
func (h *holder) ReleaseProject(ctx context.Context, project string) error {
	_, err := h.cli.VolumeRemove(ctx, holderVolume+project, client.VolumeRemoveOptions{})
	if err != nil && !cerrdefs.IsNotFound(err) {
		return h.wrap("forget who ran "+project, err)
	}
	return nil
}
