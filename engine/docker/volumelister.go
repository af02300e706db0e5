package docker

import (
	"context"

	"github.com/moby/moby/client"

	"bulkhead/engine/container"
)

// volumeLister is the container.VolumeLister.
type volumeLister struct {
	conn *connection
}

var _ container.VolumeLister = (*Runtime)(nil)

// Volumes implements container.VolumeLister.
func (v *volumeLister) Volumes(ctx context.Context, project string) ([]container.Volume, error) {
	list, err := v.conn.cli.VolumeList(ctx,
		client.VolumeListOptions{Filters: labelFilter(labelProject + "=" + project)})
	if err != nil {
		return nil, v.conn.wrap("list the volumes of "+project, err)
	}
	all := make([]container.Volume, 0, len(list.Items))
	for _, i := range list.Items {
		out := container.Volume{Name: i.Name, Driver: i.Driver, Mountpoint: i.Mountpoint,
			Scope: i.Scope, Labels: i.Labels, Size: -1, Links: -1}
		if u := i.UsageData; u != nil {
			out.Size, out.Links = u.Size, u.RefCount
		}
		all = append(all, out)
	}
	return all, nil
}
