package docker

import (
	"cmp"
	"context"
	"errors"
	"slices"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/client"

	"bulkhead/engine/container"
)

// extras is the container.Extras.
type extras struct {
	conn *connection
}

var _ container.Extras = (*Runtime)(nil)

// OneOffs implements container.Extras.
func (x *extras) OneOffs(ctx context.Context, project string) ([]container.Instance, error) {
	return x.list(ctx, project, labelOneOff+"="+oneOff)
}

// Hooks implements container.Extras.
func (x *extras) Hooks(ctx context.Context, project string) ([]container.Instance, error) {
	return x.list(ctx, project, labelHook)
}

// list returns the containers of a project that carry a label, sorted by service and name.
func (x *extras) list(ctx context.Context, project, label string) ([]container.Instance, error) {
	list, err := x.conn.cli.ContainerList(ctx, client.ContainerListOptions{All: true,
		Filters: labelFilter(labelProject+"="+project, label)})
	if err != nil {
		return nil, x.conn.wrap("list the containers of "+project, err)
	}
	var found []container.Instance
	for _, s := range list.Items {
		if s.Labels[labelAgent] != "" {
			continue // ours: it ends with what it is beside
		}
		in, err := x.conn.inspect(ctx, s.ID)
		if errors.Is(err, container.ErrNotFound) {
			continue // removed in between
		}
		if err != nil {
			return nil, err
		}
		found = append(found, in)
	}
	slices.SortFunc(found, func(a, b container.Instance) int {
		return cmp.Or(cmp.Compare(a.Service, b.Service), cmp.Compare(a.Name, b.Name))
	})
	return found, nil
}

// Guests implements container.Extras.
func (x *extras) Guests(ctx context.Context, project string) (map[string][]string, error) {
	list, err := x.conn.cli.NetworkList(ctx,
		client.NetworkListOptions{Filters: labelFilter(labelProject+"="+project, labelNetwork)})
	if err != nil {
		return nil, x.conn.wrap("list the networks of "+project, err)
	}
	guests := map[string][]string{}
	for _, n := range list.Items {
		res, err := x.conn.cli.NetworkInspect(ctx, n.ID, client.NetworkInspectOptions{})
		if cerrdefs.IsNotFound(err) {
			continue // removed in between
		}
		if err != nil {
			return nil, x.conn.wrap("look at network "+n.Name, err)
		}
		for _, at := range res.Network.Containers {
			guests[n.Name] = append(guests[n.Name], at.Name)
		}
		slices.Sort(guests[n.Name])
	}
	return guests, nil
}

// Untag implements container.Extras.
func (x *extras) Untag(ctx context.Context, ref string) (bool, error) {
	_, err := x.conn.cli.ImageRemove(ctx, ref, client.ImageRemoveOptions{PruneChildren: true})
	if cerrdefs.IsNotFound(err) || cerrdefs.IsConflict(err) {
		return false, nil
	}
	return err == nil, x.conn.wrap("remove image "+ref, err)
}
