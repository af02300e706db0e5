package docker

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/containerd/platforms"
	moby "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"bulkhead/engine/container"
)

// Create implements container.Runtime. A container that could not join all its
// networks is removed again.
func (r *Runtime) Create(ctx context.Context, c container.CreateSpec) (string, error) {
	release, err := r.slot(ctx)
	if err != nil {
		return "", err
	}
	defer release()
	what := "create a container of " + c.Service.Name
	api, err := r.version(ctx)
	if err != nil {
		return "", err
	}
	opt, later, err := r.createOptions(ctx, c, api)
	if err != nil {
		return "", err // the caller says what was to be made
	}
	var res client.ContainerCreateResult
	err = r.settled(ctx, c.App.Name, networkNames(c), func() (err error) {
		res, err = r.cli.ContainerCreate(ctx, opt)
		return err
	})
	if err != nil {
		return "", r.createError(ctx, c, what, opt.Name, err)
	}
	for _, w := range res.Warnings {
		r.warn("service " + c.Service.Name + ": " + w)
	}
	for _, ep := range later {
		err := r.connect(ctx, c.App.Name, res.ID, ep)
		if err == nil {
			continue
		}
		undo, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		// The first error is what matters; a container left over is found and
		// judged by the next up.
		_ = r.Remove(undo, res.ID, true, true)
		return "", r.wrap(what+" on network "+ep.network, err)
	}
	return res.ID, nil
}

// createOptions collects what the mapping needs from the engine and maps.
func (r *Runtime) createOptions(
	ctx context.Context, c container.CreateSpec, api apiVersion,
) (client.ContainerCreateOptions, []namedEndpoint, error) {
	var opt client.ContainerCreateOptions
	warnings, err := limits(c.Service, api)
	for _, w := range warnings {
		r.warn(w)
	}
	if err != nil {
		return opt, nil, err
	}
	conf, err := r.end.dockerConfig()
	if err != nil {
		return opt, nil, err
	}
	inherit, err := r.mountsOf(ctx, c.Inherit)
	if err != nil {
		return opt, nil, err
	}
	linked, err := r.linkedNames(ctx, c)
	if err != nil {
		return opt, nil, err
	}
	links := linkNames(c.App, c.Service.Config, c.Replica, linked)

	if opt.Config, err = containerConfig(c, c.Hash, conf.ParseProxyConfig(r.end.host, nil)); err != nil {
		return opt, nil, err
	}
	if opt.HostConfig, err = hostConfig(c); err != nil {
		return opt, nil, err
	}
	opt.HostConfig.Links = links
	if opt.HostConfig.Binds, opt.HostConfig.Mounts, err = mounts(c, inherit); err != nil {
		return opt, nil, err
	}
	if err := r.programs.supervise(ctx, c, &opt); err != nil {
		return opt, nil, err
	}
	if names := inherited(opt.HostConfig.Mounts, inherit); names != "" {
		opt.Config.Labels[labelVolumes] = names
	}
	nets, err := endpoints(c, links, api)
	if err != nil {
		return opt, nil, err
	}
	if nets.mode != "" {
		opt.HostConfig.NetworkMode = nets.mode
	}
	if nets.primary != nil {
		opt.NetworkingConfig = &network.NetworkingConfig{EndpointsConfig: nets.primary}
	}
	if opt.Platform, err = platformOf(c); err != nil {
		return opt, nil, err
	}
	opt.Name = nameFor(c)
	return opt, nets.later, nil
}

// mountsOf returns what a container has mounted, whose volumes another one takes over; "" for none.
func (r *Runtime) mountsOf(ctx context.Context, id string) ([]moby.MountPoint, error) {
	if id == "" {
		return nil, nil
	}
	old, err := r.cli.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
	if err != nil {
		return nil, r.wrap("take over the volumes of "+container.ShortID(id), err)
	}
	return old.Container.Mounts, nil
}

// nameFor is the name that a container is made with.
func nameFor(c container.CreateSpec) string {
	switch {
	case c.Name != "":
		return c.Name
	case c.Beside != nil && c.Beside.Hook != "":
		return c.App.HookName(c.Service.Name, c.Beside.Hook, c.Beside.Index)
	}
	return c.FinalName()
}

func platformOf(c container.CreateSpec) (*ocispec.Platform, error) {
	text := c.Service.Config.Platform
	if text == "" {
		text = c.App.Environment["DOCKER_DEFAULT_PLATFORM"]
	}
	return parsePlatform(text)
}

func parsePlatform(text string) (*ocispec.Platform, error) {
	if text == "" {
		return nil, nil
	}
	p, err := platforms.Parse(text)
	if err != nil {
		return nil, container.WithRemedy(fmt.Errorf("platform %q: %w", text, err), "write it as linux/amd64")
	}
	return &p, nil
}

// linkedNames returns the container names of the services that links names. A
// container that is yet to be made counts with the name that it will have: services
// are created in any order, and the engine looks a link up when the container
// starts.
func (r *Runtime) linkedNames(ctx context.Context, c container.CreateSpec) (map[string][]string, error) {
	if len(c.Service.Config.Links) == 0 {
		return nil, nil
	}
	list, err := r.cli.ContainerList(ctx, client.ContainerListOptions{All: true,
		Filters: serviceFilter(c.App.Name)})
	if err != nil {
		return nil, r.wrap("list the containers that "+c.Service.Name+" links to", err)
	}
	// On the default bridge the engine looks links up at once, and refuses those
	// that are not there.
	wanted := c.Service.Config.NetworkMode == ""
	names := map[string][]string{}
	for _, l := range c.Service.Config.Links {
		service, _, _ := strings.Cut(l, ":")
		seen := map[int]string{}
		for _, s := range list.Items {
			if n, err := strconv.Atoi(s.Labels[labelNumber]); err == nil && s.Labels[labelService] == service {
				seen[n] = summaryName(s)
			}
		}
		if svc := c.App.Services[service]; svc != nil && wanted {
			for n := range svc.Replicas {
				one := container.CreateSpec{App: c.App, Service: svc, Replica: n + 1}
				seen[n+1] = one.FinalName() // the final name, also of one that is being replaced
			}
		}
		names[service] = slices.Sorted(maps.Values(seen))
	}
	return names, nil
}

// summaryName is a container's own name; those with a second slash are links to it.
func summaryName(s moby.Summary) string {
	for _, n := range s.Names {
		if name := strings.TrimPrefix(n, "/"); !strings.Contains(name, "/") {
			return name
		}
	}
	return container.ShortID(s.ID)
}

// Start implements container.Runtime.
func (r *Runtime) Start(ctx context.Context, c container.CreateSpec, id string) error {
	release, err := r.slot(ctx)
	if err != nil {
		return err
	}
	defer release()
	name := container.ShortID(id)
	if c.Service != nil && c.App != nil {
		name = c.FinalName()
		pack, err := contents(c.App, c.Service, time.Now(), func() (int, int, error) { return r.User(ctx, id) })
		if err != nil {
			return fmt.Errorf("start %s: %w", name, err)
		}
		if pack != nil {
			if err := r.CopyTo(ctx, id, "/", bytes.NewReader(pack), false); err != nil {
				return fmt.Errorf("start %s: put in secrets and configs: %w", name, err)
			}
		}
		if err := r.rejoin(ctx, c, id); err != nil {
			return fmt.Errorf("start %s: %w", name, err)
		}
		if err := r.settleFirst(ctx, c); err != nil {
			return fmt.Errorf("start %s: %w", name, err)
		}
	}
	if err := r.run(ctx, id); err != nil {
		return r.startError(ctx, "start "+name, id, err)
	}
	return nil
}
