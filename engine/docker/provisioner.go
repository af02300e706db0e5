package docker

import (
	"context"
	"fmt"
	"slices"
	"strings"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"bulkhead/engine/container"
)

// provisioner is the container.Provisioner.
type provisioner struct {
	conn *connection
}

var _ container.Provisioner = (*Runtime)(nil)

// EnsureNetwork implements container.Provisioner. One that diverged from the file
// is made again when no container is on it; else it stays, and Options.Warn says
// so.
func (p *provisioner) EnsureNetwork(ctx context.Context, spec container.NetworkSpec) (id string, made bool, err error) {
	n := spec.Config
	what := "network " + n.Name
	found, err := p.findNetwork(ctx, n.Name)
	if err != nil {
		return "", false, p.conn.wrap("look up "+what, err)
	}
	if n.External {
		if found == nil {
			return "", false, &apiError{
				what: what, kind: container.ErrNotFound, err: cerrdefs.ErrNotFound,
				text: "it is external and does not exist", remedy: fmt.Sprintf("make it with `docker network create %s`, or remove `external`", n.Name),
			}
		}
		return found.ID, false, nil
	}
	if found != nil {
		again, err := p.diverged(ctx, spec, found)
		if err != nil || !again {
			return found.ID, false, err
		}
		if _, err := p.conn.cli.NetworkRemove(ctx, found.ID, client.NetworkRemoveOptions{}); err != nil && !cerrdefs.IsNotFound(err) {
			return "", false, p.conn.wrap("remove the outdated "+what, err)
		}
	}
	opt, err := networkOptions(spec)
	if err != nil {
		return "", false, fmt.Errorf("%s: %w", what, err)
	}
	if n.EnableIPv4 != nil {
		if api, err := p.conn.version(ctx); err == nil && api < 48 {
			p.conn.warn(fmt.Sprintf("network %s: enable_ipv4 has no effect on this engine (API %s); it needs Docker Engine 28", spec.Key, api))
		}
	}
	res, err := p.conn.cli.NetworkCreate(ctx, n.Name, opt)
	if cerrdefs.IsConflict(err) {
		// Somebody else was quicker.
		if found, err = p.findNetwork(ctx, n.Name); err != nil || found == nil {
			return "", false, p.conn.wrap("look up "+what, err)
		}
		return found.ID, false, nil
	}
	if err != nil {
		return "", false, p.conn.wrap("make "+what, err)
	}
	for _, w := range res.Warning {
		p.conn.warn(what + ": " + w)
	}
	return res.ID, true, nil
}

func networkOptions(spec container.NetworkSpec) (client.NetworkCreateOptions, error) {
	n := spec.Config
	pools, err := ipam(n.Ipam)
	return client.NetworkCreateOptions{
		Driver:     n.Driver,
		EnableIPv4: n.EnableIPv4,
		EnableIPv6: n.EnableIPv6,
		IPAM:       pools,
		Internal:   n.Internal,
		Attachable: n.Attachable,
		Options:    n.DriverOpts,
		Labels:     ownLabels(n.Labels, spec.Project, labelNetwork, spec.Key, spec.Hash),
	}, err
}

func ownLabels(user map[string]string, project, kind, key, hash string) map[string]string {
	labels := map[string]string{}
	for name, value := range user {
		labels[name] = value
	}
	labels[labelProject], labels[kind], labels[labelHash], labels[labelVersion] = project, key, hash, version
	return labels
}

// findNetwork looks for the exact name, nil when there is none: the engine's own
// look-up also takes the beginning of an id.
func (p *provisioner) findNetwork(ctx context.Context, name string) (*network.Summary, error) {
	list, err := p.conn.cli.NetworkList(ctx, client.NetworkListOptions{Filters: make(client.Filters).Add("name", name)})
	if err != nil {
		return nil, err
	}
	for i := range list.Items {
		if list.Items[i].Name == name {
			return &list.Items[i], nil
		}
	}
	return nil, nil
}

// diverged reports whether a network is to be made again, and warns where it should be and cannot.
func (p *provisioner) diverged(ctx context.Context, spec container.NetworkSpec, found *network.Summary) (bool, error) {
	name := spec.Config.Name
	owner, has := found.Labels[labelProject], found.Labels[labelHash]
	switch {
	case owner == "":
		p.conn.warn(fmt.Sprintf("network %s was not made by a Compose project; it is used as it is (`external: true` says that this is meant)", name))
		return false, nil
	case owner != spec.Project:
		p.conn.warn(fmt.Sprintf("network %s belongs to project %s; it is used as it is (`external: true` says that this is meant)", name, owner))
		return false, nil
	case has == "" || has == spec.Hash:
		return false, nil
	}
	// Stopped containers count: they keep the network's id and would not start
	// again. Those that never started know the name only.
	users, err := p.conn.cli.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: make(client.Filters).Add("network", found.ID, name)})
	if err != nil {
		return false, p.conn.wrap("list the containers on network "+name, err)
	}
	if len(users.Items) == 0 {
		return true, nil
	}
	var names []string
	for _, s := range users.Items {
		names = append(names, summaryName(s))
	}
	slices.Sort(names)
	p.conn.warn(fmt.Sprintf("network %s is not as the Compose file has it, and stays because %s is on it; run `bulkhead down` once to make it again",
		name, strings.Join(names, ", ")))
	return false, nil
}

// EnsureVolume implements container.Provisioner. One that diverged from the file
// stays, because making it again would lose data; Options.Warn says so.
func (p *provisioner) EnsureVolume(ctx context.Context, spec container.VolumeSpec) (bool, error) {
	v := spec.Config
	what := "volume " + v.Name
	found, err := p.conn.cli.VolumeInspect(ctx, v.Name, client.VolumeInspectOptions{})
	if err != nil && !cerrdefs.IsNotFound(err) {
		return false, p.conn.wrap("look up "+what, err)
	}
	exists := err == nil
	if v.External {
		if !exists {
			return false, &apiError{
				what: what, kind: container.ErrNotFound, err: err,
				text: "it is external and does not exist", remedy: fmt.Sprintf("make it with `docker volume create %s`, or remove `external`", v.Name),
			}
		}
		return false, nil
	}
	if exists {
		owner, has := found.Volume.Labels[labelProject], found.Volume.Labels[labelHash]
		switch {
		case owner == "":
			p.conn.warn(fmt.Sprintf("%s was not made by a Compose project; it is used as it is (`external: true` says that this is meant)", what))
		case owner != spec.Project:
			p.conn.warn(fmt.Sprintf("%s belongs to project %s; it is used as it is (`external: true` says that this is meant)", what, owner))
		case has != "" && has != spec.Hash:
			p.conn.warn(fmt.Sprintf("%s is not as the Compose file has it, and stays because it may hold data; `docker volume rm %s` removes it with its data", what, v.Name))
		}
		return false, nil
	}
	_, err = p.conn.cli.VolumeCreate(ctx, client.VolumeCreateOptions{
		Name: v.Name, Driver: v.Driver, DriverOpts: v.DriverOpts,
		Labels: ownLabels(v.Labels, spec.Project, labelVolume, spec.Key, spec.Hash),
	})
	return err == nil, p.conn.wrap("make "+what, err)
}

// RemoveNetworks implements container.Provisioner.
func (p *provisioner) RemoveNetworks(ctx context.Context, name string) ([]string, error) {
	list, err := p.conn.cli.NetworkList(ctx, client.NetworkListOptions{Filters: labelFilter(labelProject + "=" + name)})
	if err != nil {
		return nil, p.conn.wrap("list the networks of "+name, err)
	}
	var gone []string
	for _, n := range list.Items {
		_, err := p.conn.cli.NetworkRemove(ctx, n.ID, client.NetworkRemoveOptions{})
		switch {
		case err == nil:
			gone = append(gone, n.Name)
		case cerrdefs.IsNotFound(err), cerrdefs.IsConflict(err), strings.Contains(err.Error(), "active endpoints"):
			// gone already, or in use by others
		default:
			return gone, p.conn.wrap("remove network "+n.Name, err)
		}
	}
	slices.Sort(gone)
	return gone, nil
}

// RemoveVolumes implements container.Provisioner.
func (p *provisioner) RemoveVolumes(ctx context.Context, name string) ([]string, error) {
	list, err := p.conn.cli.VolumeList(ctx, client.VolumeListOptions{Filters: labelFilter(labelProject + "=" + name)})
	if err != nil {
		return nil, p.conn.wrap("list the volumes of "+name, err)
	}
	var gone []string
	for _, v := range list.Items {
		_, err := p.conn.cli.VolumeRemove(ctx, v.Name, client.VolumeRemoveOptions{})
		switch {
		case err == nil:
			gone = append(gone, v.Name)
		case cerrdefs.IsNotFound(err), cerrdefs.IsConflict(err):
		default:
			return gone, p.conn.wrap("remove volume "+v.Name, err)
		}
	}
	slices.Sort(gone)
	return gone, nil
}

func labelFilter(labels ...string) client.Filters {
	return make(client.Filters).Add("label", labels...)
}

// serviceFilter finds the containers of a project's services: no one-offs, and none
// that only serve a hook.
func serviceFilter(project string) client.Filters {
	return labelFilter(labelProject+"="+project, labelOneOff+"="+notOneOff, labelHash)
}
