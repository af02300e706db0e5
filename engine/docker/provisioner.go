package docker

import (
	"context"
	"errors"
	"fmt"
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

// FindNetwork implements container.Provisioner. Where one is used as it is although the file has it
// otherwise, Options.Warn says so.
func (p *provisioner) FindNetwork(ctx context.Context, spec container.NetworkSpec) (container.Found, error) {
	found, _, err := p.compareNetwork(ctx, spec)
	return found, err
}

// compareNetwork looks for a network; again is how one is made again that does not stay.
func (p *provisioner) compareNetwork(
	ctx context.Context, spec container.NetworkSpec,
) (found container.Found, again *renewal, err error) {
	n := spec.Config
	what := "network " + n.Name
	is, err := p.namesakes(ctx, n.Name)
	switch {
	case err != nil:
		return found, nil, p.conn.wrap("look up "+what, err)
	case len(is) == 0 && bool(n.External):
		return found, nil, &apiError{
			what: what, kind: container.ErrNotFound, err: cerrdefs.ErrNotFound,
			text:   "it is external and does not exist",
			remedy: fmt.Sprintf("make it with `docker network create %s`, or remove `external`", n.Name),
		}
	case len(is) == 0:
		return found, nil, nil
	}
	found.There, found.ID = true, is[0].ID
	if !n.External {
		again, err = p.diverged(ctx, spec, &is[0].Summary)
		found.Outdated, found.Doubled = again != nil, len(spares(spec.Project, is)) > 0
	}
	return found, again, err
}

// EnsureNetwork implements container.Provisioner. One that diverged from the file
// is made again, and the project's containers on it move over; it stays while others
// are on it, and Options.Warn says so.
func (p *provisioner) EnsureNetwork(
	ctx context.Context, spec container.NetworkSpec,
) (id string, made bool, err error) {
	what := "network " + spec.Config.Name
	found, again, err := p.compareNetwork(ctx, spec)
	if err == nil && found.Doubled {
		if _, err := p.settle(ctx, spec.Project, spec.Config.Name, ""); err != nil {
			return "", false, p.conn.wrap("remove the second "+what, err)
		}
		found, again, err = p.compareNetwork(ctx, spec)
	}
	if err != nil || found.There && again == nil {
		return found.ID, false, err
	}
	if again != nil {
		again.notice()
		if err := again.leave(ctx); err != nil {
			return "", false, errors.Join(err, again.back(ctx, found.ID))
		}
		if _, err := p.conn.cli.NetworkRemove(ctx, found.ID, client.NetworkRemoveOptions{}); err != nil &&
			!cerrdefs.IsNotFound(err) {
			err = p.conn.wrap("remove the outdated "+what, err)
			return "", false, errors.Join(err, again.back(ctx, found.ID))
		}
	}
	id, made, err = p.createNetwork(ctx, spec)
	if again != nil {
		err = errors.Join(err, again.back(ctx, id))
	}
	return id, made, err
}

// createNetwork makes a network, or returns the one that somebody else was quicker to make. Of two that are
// made at the same time one stays, and both makers return its id.
func (p *provisioner) createNetwork(
	ctx context.Context, spec container.NetworkSpec,
) (id string, made bool, err error) {
	n := spec.Config
	what := "network " + n.Name
	opt, err := networkOptions(spec)
	if err != nil {
		return "", false, fmt.Errorf("%s: %w", what, err)
	}
	if n.EnableIPv4 != nil {
		if api, err := p.conn.version(ctx); err == nil && api < 48 {
			p.conn.warn(fmt.Sprintf(
				"network %s: enable_ipv4 has no effect on this engine (API %s); it needs Docker Engine 28", spec.Key, api))
		}
	}
	for range settleTries {
		res, err := p.conn.cli.NetworkCreate(ctx, n.Name, opt)
		if err != nil && !cerrdefs.IsConflict(err) { // a conflict: somebody else was quicker
			return "", false, p.overlap(ctx, "make "+what, opt.IPAM, err)
		}
		for _, w := range res.Warning {
			p.conn.warn(what + ": " + w)
		}
		kept, err := p.settle(ctx, spec.Project, n.Name, res.ID)
		if err != nil {
			return "", false, p.conn.wrap("look up "+what, err)
		}
		if kept != nil {
			return kept.ID, kept.ID == res.ID, nil
		}
	}
	return "", false, fmt.Errorf("make %s: others remove it each time", what)
}

// overlap says whose subnet is in the way of a new network, where that is the matter.
func (p *provisioner) overlap(ctx context.Context, what string, wanted *network.IPAM, err error) error {
	wrapped := p.conn.wrap(what, err)
	if wanted == nil || !strings.Contains(plain(err), "overlaps with other one on this address space") {
		return wrapped
	}
	list, lerr := p.conn.cli.NetworkList(ctx, client.NetworkListOptions{})
	if lerr != nil {
		return wrapped // the engine's own words are better than none
	}
	for _, mine := range wanted.Config {
		for _, other := range list.Items {
			for _, theirs := range other.IPAM.Config {
				if !mine.Subnet.IsValid() || !mine.Subnet.Overlaps(theirs.Subnet) {
					continue
				}
				owner := ""
				if project := other.Labels[labelProject]; project != "" {
					owner = " of project " + project
				}
				return &apiError{what: what, kind: container.ErrConflict, err: err,
					text: fmt.Sprintf("its subnet %s overlaps with %s of network %s%s", mine.Subnet,
						theirs.Subnet, other.Name, owner),
					remedy: "choose another subnet, or remove that network if nobody needs it"}
			}
		}
	}
	return wrapped
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

// diverged returns how a network is made again that is not as the file has it, nil where it stays;
// it warns where it should not stay.
func (p *provisioner) diverged(
	ctx context.Context, spec container.NetworkSpec, found *network.Summary,
) (*renewal, error) {
	name := spec.Config.Name
	owner, has := found.Labels[labelProject], found.Labels[labelHash]
	switch {
	case owner == "":
		p.conn.warn(fmt.Sprintf(
			"network %s was not made by a Compose project; it is used as it is (`external: true` says that this is meant)", name))
		return nil, nil
	case owner != spec.Project:
		p.conn.warn(fmt.Sprintf(
			"network %s belongs to project %s; it is used as it is (`external: true` says that this is meant)", name, owner))
		return nil, nil
	case has == "" || has == spec.Hash:
		return nil, nil
	}
	r := &renewal{p: p, name: name, id: found.ID, moving: spec.Moving}
	others, err := r.prepare(ctx, spec.Project, found.ID)
	if err != nil {
		return nil, err
	}
	if len(others) > 0 {
		p.conn.warn(fmt.Sprintf(
			"network %s is not as the Compose file has it, and stays because %s is on it, which is not of this project; take it off, and run up again",
			name, strings.Join(others, ", ")))
		return nil, nil
	}
	if held := r.usersOf(spec.Outside); len(held) > 0 {
		p.conn.warn(fmt.Sprintf(
			"network %s is not as the Compose file has it, and stays because %s is on it, which this run leaves alone; `bulkhead up` without names applies it",
			name, strings.Join(held, ", ")))
		return nil, nil
	}
	return r, nil
}

// FindVolume implements container.Provisioner. One that diverged from the file
// stays, because making it again would lose data; Options.Warn says so.
func (p *provisioner) FindVolume(ctx context.Context, spec container.VolumeSpec) (container.Found, error) {
	v := spec.Config
	what := "volume " + v.Name
	found, err := p.conn.cli.VolumeInspect(ctx, v.Name, client.VolumeInspectOptions{})
	switch {
	case err != nil && !cerrdefs.IsNotFound(err):
		return container.Found{}, p.conn.wrap("look up "+what, err)
	case err != nil && bool(v.External):
		return container.Found{}, &apiError{
			what: what, kind: container.ErrNotFound, err: err,
			text:   "it is external and does not exist",
			remedy: fmt.Sprintf("make it with `docker volume create %s`, or remove `external`", v.Name),
		}
	case err != nil:
		return container.Found{}, nil
	}
	if !v.External {
		owner, has := found.Volume.Labels[labelProject], found.Volume.Labels[labelHash]
		switch {
		case owner == "":
			p.conn.warn(fmt.Sprintf(
				"%s was not made by a Compose project; it is used as it is (`external: true` says that this is meant)", what))
		case owner != spec.Project:
			p.conn.warn(fmt.Sprintf(
				"%s belongs to project %s; it is used as it is (`external: true` says that this is meant)", what, owner))
		case has != "" && has != spec.Hash:
			p.conn.warn(fmt.Sprintf(
				"%s is not as the Compose file has it, and stays because it may hold data; `docker volume rm %s` removes it with its data", what, v.Name))
		}
	}
	return container.Found{There: true}, nil
}

// EnsureVolume implements container.Provisioner. One that is there stays.
func (p *provisioner) EnsureVolume(ctx context.Context, spec container.VolumeSpec) (bool, error) {
	if found, err := p.FindVolume(ctx, spec); err != nil || found.There {
		return false, err
	}
	v := spec.Config
	_, err := p.conn.cli.VolumeCreate(ctx, client.VolumeCreateOptions{
		Name: v.Name, Driver: v.Driver, DriverOpts: v.DriverOpts,
		Labels: ownLabels(v.Labels, spec.Project, labelVolume, spec.Key, spec.Hash),
	})
	return err == nil, p.conn.wrap("make volume "+v.Name, err)
}

// RemoveNetworks implements container.Provisioner.
func (p *provisioner) RemoveNetworks(
	ctx context.Context, name string, only []string,
) (all container.Swept, _ error) {
	list, err := p.conn.cli.NetworkList(ctx,
		client.NetworkListOptions{Filters: labelFilter(labelProject + "=" + name)})
	if err != nil {
		return all, p.conn.wrap("list the networks of "+name, err)
	}
	defer all.Sort()
	for _, n := range list.Items {
		if !all.Note(n.Name, only) {
			continue
		}
		_, err := p.conn.cli.NetworkRemove(ctx, n.ID, client.NetworkRemoveOptions{})
		switch {
		case err == nil:
			all.Removed = append(all.Removed, n.Name)
		case cerrdefs.IsNotFound(err), cerrdefs.IsConflict(err), strings.Contains(err.Error(),
			"active endpoints"):
			// gone already, or in use by others
		default:
			return all, p.conn.wrap("remove network "+n.Name, err)
		}
	}
	return all, nil
}

// RemoveVolumes implements container.Provisioner.
func (p *provisioner) RemoveVolumes(
	ctx context.Context, name string, only []string,
) (all container.Swept, _ error) {
	list, err := p.conn.cli.VolumeList(ctx,
		client.VolumeListOptions{Filters: labelFilter(labelProject + "=" + name)})
	if err != nil {
		return all, p.conn.wrap("list the volumes of "+name, err)
	}
	defer all.Sort()
	for _, v := range list.Items {
		if !all.Note(v.Name, only) {
			continue
		}
		_, err := p.conn.cli.VolumeRemove(ctx, v.Name, client.VolumeRemoveOptions{})
		switch {
		case err == nil:
			all.Removed = append(all.Removed, v.Name)
		case cerrdefs.IsNotFound(err), cerrdefs.IsConflict(err):
		default:
			return all, p.conn.wrap("remove volume "+v.Name, err)
		}
	}
	return all, nil
}

func labelFilter(labels ...string) client.Filters {
	return make(client.Filters).Add("label", labels...)
}

// serviceFilter finds the containers of a project's services: no one-offs, and none
// that only serve a hook.
func serviceFilter(project string) client.Filters {
	return labelFilter(labelProject+"="+project, labelOneOff+"="+notOneOff, labelHash)
}
