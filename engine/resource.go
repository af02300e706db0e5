package engine

import (
	"context"
	"maps"
	"slices"
)

// resource is a network or a volume of the project.
type resource struct {
	sem  chan struct{} // capacity 1: holds the right to make it, and guards what follows
	done bool          // it is there
	id   string        // of a network
}

// ensureResources makes the networks and volumes that a service uses, and returns the ids of its networks by name. With cached, what
// was there once in this run is taken to be there still.
func (e *Engine) ensureResources(ctx context.Context, s *service, cached bool) (map[string]string, error) {
	p := e.project()
	ids := map[string]string{}
	if s.conf.Config.NetworkMode == "" {
		for _, key := range slices.Sorted(maps.Keys(s.conf.Config.Networks)) {
			n, ok := p.Networks[key]
			if !ok {
				continue
			}
			id, err := e.ensure(ctx, "network "+key, cached, func() (string, bool, error) { return e.rt.EnsureNetwork(ctx, p, key) })
			if err != nil {
				return nil, err
			}
			ids[n.Name] = id
		}
	}
	for _, v := range s.conf.Config.Volumes {
		if _, ok := p.Volumes[v.Source]; !ok || v.Type != "volume" {
			continue
		}
		if _, err := e.ensure(ctx, "volume "+v.Source, cached, func() (string, bool, error) {
			made, err := e.rt.EnsureVolume(ctx, p, v.Source)
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
		return "", say(err, "%s", name)
	}
	r.done, r.id = true, id
	if made {
		e.notice("created", name+" created")
	}
	return id, nil
}
