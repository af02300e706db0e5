package engine

import (
	"context"
	"maps"
	"slices"

	"bulkhead/engine/container"
	"bulkhead/engine/project"
)

// resource is a network or a volume of the project.
type resource struct {
	sem  chan struct{} // capacity 1: holds the right to make it, and guards what follows
	done bool          // it is there
	id   string        // of a network
}

// ensureResources makes the networks and volumes that a service uses, and returns the ids of its
// networks by name. With cached, what was there once in this run is taken to be there still.
func (l *lane) ensureResources(ctx context.Context, cached bool) (map[string]string, error) {
	e, s := l.e, l.s
	p := e.project()
	ids := map[string]string{}
	if s.conf.Config.NetworkMode == "" {
		for _, key := range slices.Sorted(maps.Keys(s.conf.Config.Networks)) {
			n, ok := p.Networks[key]
			if !ok {
				continue
			}
			id, err := e.ensure(ctx, "network "+key, cached, func() (string, bool, error) {
				hash, err := project.NetworkHash(n)
				if err != nil {
					return "", false, err
				}
				return e.rt.EnsureNetwork(ctx, container.NetworkSpec{Project: p.Name, Key: key, Config: n, Hash: hash})
			})
			if err != nil {
				return nil, err
			}
			ids[n.Name] = id
		}
	}
	for _, v := range s.conf.Config.Volumes {
		vol, ok := p.Volumes[v.Source]
		if !ok || v.Type != "volume" {
			continue
		}
		if _, err := e.ensure(ctx, "volume "+v.Source, cached, func() (string, bool, error) {
			hash, err := project.VolumeHash(vol)
			if err != nil {
				return "", false, err
			}
			made, err := e.rt.EnsureVolume(ctx, container.VolumeSpec{Project: p.Name, Key: v.Source, Config: vol, Hash: hash})
			return "", made, err
		}); err != nil {
			return nil, err
		}
	}
	return ids, nil
}

// ensure makes one network or volume unless it is there, and returns its id.
func (e *Engine) ensure(ctx context.Context, name string, cached bool, produce func() (id string, made bool, err error)) (string, error) {
	e.mu.Lock()
	r := e.resources[name]
	if r == nil {
		r = &resource{sem: make(chan struct{}, 1)}
		e.resources[name] = r
	}
	e.mu.Unlock()
	select {
	case r.sem <- struct{}{}:
		defer func() { <-r.sem }()
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
	if r.done && cached {
		return r.id, nil
	}
	id, made, err := produce()
	if err != nil {
		return "", wrapErr(err, "%s", name)
	}
	r.done, r.id = true, id
	if made {
		e.notice("created", name+" created")
	}
	return id, nil
}
