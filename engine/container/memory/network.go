package memory

import (
	"context"
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"bulkhead/engine/container"
)

// network is one that was made for a project, or by somebody else (project is
// empty).
type network struct{ id, project, hash string }

// volume is a named or anonymous one.
type volume struct {
	project, hash string
	tree          tree
}

// provisioner is the Runtime's container.Provisioner. It is guarded by the engine's
// mu.
type provisioner struct {
	e        *engine
	networks map[string]*network // by name
	volumes  map[string]*volume
}

// FindNetwork implements container.Provisioner.
func (p *provisioner) FindNetwork(ctx context.Context, n container.NetworkSpec) (container.Found, error) {
	if err := p.e.faults.enter(ctx, "FindNetwork", ""); err != nil {
		return container.Found{}, err
	}
	p.e.mu.Lock()
	defer p.e.mu.Unlock()
	return p.find(n)
}

// find is FindNetwork. Callers hold mu.
func (p *provisioner) find(n container.NetworkSpec) (container.Found, error) {
	found := p.networks[n.Config.Name]
	switch {
	case found == nil && bool(n.Config.External):
		return container.Found{}, fmt.Errorf("network %s: it is external and does not exist: %w", n.Config.Name,
			container.ErrNotFound)
	case found == nil:
		return container.Found{}, nil
	}
	same := bool(n.Config.External) || found.project != n.Project || found.hash == "" || found.hash == n.Hash
	return container.Found{There: true, ID: found.id, Outdated: !same}, nil
}

// EnsureNetwork implements container.Provisioner. One that diverged from the file
// is made again, and the containers on it move over.
func (p *provisioner) EnsureNetwork(ctx context.Context, n container.NetworkSpec) (id string, made bool,
	err error) {
	if err := p.e.faults.enter(ctx, "EnsureNetwork", ""); err != nil {
		return "", false, err
	}
	p.e.mu.Lock()
	defer p.e.mu.Unlock()
	if is, err := p.find(n); err != nil || is.There && !is.Outdated {
		return is.ID, false, err
	}
	name := n.Config.Name
	found := p.networks[name]
	fresh := &network{id: p.e.id(""), project: n.Project, hash: n.Hash}
	p.networks[name] = fresh
	for _, b := range p.e.all {
		if at, on := b.in.Networks[name]; on && found != nil && at == found.id {
			b.in.Networks[name] = fresh.id
		}
	}
	return fresh.id, true, nil
}

// attached says whether a container that runs is on a network. Callers hold mu.
func (p *provisioner) attached(name, id string) bool {
	for _, b := range p.e.all {
		if at, on := b.in.Networks[name]; on && (at == "" || at == id) && b.running() {
			return true
		}
	}
	return false
}

// FindVolume implements container.Provisioner.
func (p *provisioner) FindVolume(ctx context.Context, v container.VolumeSpec) (container.Found, error) {
	if err := p.e.faults.enter(ctx, "FindVolume", ""); err != nil {
		return container.Found{}, err
	}
	p.e.mu.Lock()
	defer p.e.mu.Unlock()
	return p.findVolume(v)
}

// findVolume is FindVolume. Callers hold mu.
func (p *provisioner) findVolume(v container.VolumeSpec) (container.Found, error) {
	there := p.volumes[v.Config.Name] != nil
	if !there && bool(v.Config.External) {
		return container.Found{}, fmt.Errorf("volume %s: it is external and does not exist: %w", v.Config.Name,
			container.ErrNotFound)
	}
	return container.Found{There: there}, nil
}

// EnsureVolume implements container.Provisioner. One that diverged from the file
// stays.
func (p *provisioner) EnsureVolume(ctx context.Context, v container.VolumeSpec) (made bool, err error) {
	if err := p.e.faults.enter(ctx, "EnsureVolume", ""); err != nil {
		return false, err
	}
	p.e.mu.Lock()
	defer p.e.mu.Unlock()
	if found, err := p.findVolume(v); err != nil || found.There {
		return false, err
	}
	p.volumes[v.Config.Name] = &volume{project: v.Project, hash: v.Hash, tree: newTree()}
	return true, nil
}

// RemoveNetworks implements container.Provisioner. Only containers that run keep a
// network.
func (p *provisioner) RemoveNetworks(
	ctx context.Context, project string, only []string,
) (all container.Swept, err error) {
	if err := p.e.faults.enter(ctx, "RemoveNetworks", ""); err != nil {
		return all, err
	}
	p.e.mu.Lock()
	defer p.e.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(p.networks)) {
		n := p.networks[name]
		if n.project == project && all.Note(name, only) && !p.attached(name, n.id) {
			delete(p.networks, name)
			all.Removed = append(all.Removed, name)
		}
	}
	return all, nil
}

// RemoveVolumes implements container.Provisioner. A container keeps its volumes
// also when it does not run.
func (p *provisioner) RemoveVolumes(
	ctx context.Context, project string, only []string,
) (all container.Swept, err error) {
	if err := p.e.faults.enter(ctx, "RemoveVolumes", ""); err != nil {
		return all, err
	}
	p.e.mu.Lock()
	defer p.e.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(p.volumes)) {
		if p.volumes[name].project == project && all.Note(name, only) && !p.mounted(name) {
			delete(p.volumes, name)
			all.Removed = append(all.Removed, name)
		}
	}
	return all, nil
}

// mounted says whether a container has a volume. Callers hold mu.
func (p *provisioner) mounted(name string) bool {
	for _, b := range p.e.all {
		if slices.Contains(b.in.Volumes, name) {
			return true
		}
	}
	return false
}

// AddNetwork makes a network as another program would, with no project.
// RemoveNetwork takes one away, whoever is on it.
func (p *provisioner) AddNetwork(name string) {
	p.e.mu.Lock()
	defer p.e.mu.Unlock()
	p.networks[name] = &network{id: p.e.id("")}
}

// RemoveNetwork takes a network away, whoever made it.
func (p *provisioner) RemoveNetwork(name string) {
	p.e.mu.Lock()
	defer p.e.mu.Unlock()
	delete(p.networks, name)
}

// TakeOff takes a container off a network, as another program would.
func (p *provisioner) TakeOff(id, network string) {
	p.e.mu.Lock()
	defer p.e.mu.Unlock()
	if b := p.e.all[id]; b != nil {
		delete(b.in.Networks, network)
	}
}

// rejoin puts a container on the networks that it was made for and taken off, unless it is of another
// configuration. Callers hold mu.
func (b *box) rejoin(s container.CreateSpec) {
	c := b.spec.Service.Config // a runtime around this one may have taken the networks out
	if c.NetworkMode != "" || b.joins.network != "" || b.in.Hash != s.Hash {
		return
	}
	for key := range c.Networks {
		name := b.spec.App.Networks[key].Name
		if _, on := b.in.Networks[name]; !on {
			b.in.Networks[name] = ""
		}
	}
}

// mount sets a container's volumes: those of the file, of volumes_from, the
// anonymous ones of its image and of the container that it takes the place of.
// Callers hold mu.
func (p *provisioner) mount(b *box, declared []string) error {
	b.mounts, b.own = map[string]string{}, map[string]bool{}
	var before *box
	if id := b.spec.Inherit; id != "" {
		if before = p.e.all[id]; before == nil {
			return missing("take over the volumes of", id)
		}
	}
	anonymous := func(at string) {
		at = path.Clean(at)
		if _, there := b.mounts[at]; there {
			return
		}
		name := ""
		if before != nil && before.own[before.mounts[at]] {
			name = before.mounts[at]
		}
		if name == "" {
			name = p.e.id("")
			v := &volume{tree: newTree()}
			for file, n := range b.tree { // an anonymous volume begins with what the image has there
				if below(file, at) {
					v.tree[path.Join("/", strings.TrimPrefix(file, at))] = n.clone()
				}
			}
			p.volumes[name] = v
		}
		b.mounts[at], b.own[name] = name, true
	}
	c := b.spec.Service.Config
	for _, v := range c.Volumes {
		switch {
		case v.Type == "volume" && v.Source == "":
			anonymous(v.Target)
		case v.Type == "volume":
			name := b.spec.App.Volumes[v.Source].Name
			if p.volumes[name] == nil { // as an engine makes those that it is not asked to make
				p.volumes[name] = &volume{tree: newTree()}
			}
			b.mounts[path.Clean(v.Target)] = name
		}
	}
	if err := p.mountFrom(b, c.VolumesFrom); err != nil {
		return err
	}
	for _, at := range declared {
		anonymous(at)
	}
	for _, name := range b.mounts {
		if !slices.Contains(b.in.Volumes, name) {
			b.in.Volumes = append(b.in.Volumes, name)
		}
	}
	slices.Sort(b.in.Volumes)
	return nil
}

// mountFrom sets the volumes that a container shares with others, which are
// services or "container:" and a name. Callers hold mu.
func (p *provisioner) mountFrom(b *box, others []string) error {
	for _, other := range others {
		name, _, _ := strings.Cut(strings.TrimPrefix(other, "container:"), ":")
		id := name
		if parent, ok := b.spec.Parents[name]; ok {
			id = parent
		}
		o := p.e.all[id]
		if o == nil {
			return fmt.Errorf("volumes_from: service %s has no container yet", name)
		}
		maps.Copy(b.mounts, o.mounts)
	}
	return nil
}

// connect joins a container's networks when it starts. Callers hold mu.
func (p *provisioner) connect(b *box) error {
	for what, id := range map[string]string{"network": b.joins.network, "PID": b.joins.pid,
		"IPC": b.joins.ipc} {
		if id == "" {
			continue
		}
		if o := p.e.all[id]; o == nil {
			return missing("join the "+what+" namespace of a container", id)
		} else if !o.running() {
			return conflict("cannot join the %s namespace of %s, which does not run", what, short(id))
		}
	}
	for name, id := range b.in.Networks {
		if name == "none" || name == "host" || name == "bridge" {
			b.in.Networks[name] = name
			continue
		}
		n := p.networks[name]
		if n == nil || id != "" && id != n.id {
			return fmt.Errorf("network %s: %w", name, container.ErrNotFound)
		}
		b.in.Networks[name] = n.id
	}
	return nil
}

// publish sets a container's ports: the first of each range that no other one has.
// Callers hold mu.
func (e *engine) publish(b *box) error {
	b.in.Ports = nil
	if b.spec.Service == nil {
		return nil
	}
	for _, p := range b.spec.Service.Config.Ports {
		first, last, err := portRange(p.Published)
		if err != nil {
			return err
		}
		one := container.Port{Target: int(p.Target), Protocol: p.Protocol, Host: p.HostIP}
		if one.Protocol == "" {
			one.Protocol = "tcp"
		}
		if one.Host == "0.0.0.0" || one.Host == "::" {
			one.Host = ""
		}
		var holder *box
		for one.Published = first; ; one.Published++ {
			if holder = e.holder(one); holder == nil {
				break
			}
			if one.Published == last {
				b.in.Ports = nil
				return conflict("port %d is taken by container %s of project %s", last, holder.in.Name,
					holder.project)
			}
		}
		b.in.Ports = append(b.in.Ports, one)
	}
	slices.SortFunc(b.in.Ports, func(a, b container.Port) int {
		if a.Target != b.Target {
			return a.Target - b.Target
		}
		return strings.Compare(a.Protocol, b.Protocol)
	})
	return nil
}

// holder finds the running container that has a host port. Callers hold mu.
func (e *engine) holder(p container.Port) *box {
	for _, b := range e.all {
		for _, o := range b.in.Ports {
			if o.Published == p.Published && o.Protocol == p.Protocol &&
				(o.Host == p.Host || o.Host == "" || p.Host == "") {
				return b
			}
		}
	}
	return nil
}

// portRange reads "8080", "8000-8009", and "" or "0", which leave it to the engine.
func portRange(text string) (first, last int, err error) {
	if text == "" || text == "0" {
		return 32768, 60999, nil
	}
	from, to, ranged := strings.Cut(text, "-")
	if !ranged {
		to = from
	}
	if first, err = strconv.Atoi(from); err == nil {
		last, err = strconv.Atoi(to)
	}
	if err != nil {
		return 0, 0, fmt.Errorf("%q is not a port", text)
	}
	return first, last, nil
}
