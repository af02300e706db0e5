// Package resource makes the networks and volumes that the containers of a project need, as the
// plan decides, each at most once at a time. It owns which of them are known to be there; it keeps
// no state of services and removes nothing. The lanes of the engine call it, each for its service,
// and so does the maker of one-offs.
package resource

import (
	"context"
	"maps"
	"slices"
	"sync"

	"bulkhead/engine/container"
	"bulkhead/engine/plan"
	"bulkhead/engine/project"
)

// Store knows and makes the networks and volumes of a project. Its methods may be called from any goroutine.
type Store struct {
	rt   *container.Complete
	made func(what string) // is called with each that was made; never nil
	// moving is called for each container that ends for a moment because its network is made again; never nil
	moving func(service, id, cause string)

	mu  sync.Mutex
	all map[string]*entry // by kind and key
}

// entry is a network or a volume of the project.
type entry struct {
	sem   chan struct{} // capacity 1: holds the right to look for it and to make it, and guards what follows
	known bool          // it has been looked for
	found container.Found
}

// New makes a Store. made is called with each network and volume that was made, moving for each
// container that ends for a moment because its network is made again.
func New(rt *container.Complete, made func(what string), moving func(service, id, cause string)) *Store {
	return &Store{rt: rt, made: made, moving: moving, all: map[string]*entry{}}
}

// Forget forgets what is there, because the project has changed.
func (s *Store) Forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.all)
}

// need is a network or a volume that a service uses.
type need struct {
	name    string // "network front"
	network string // what the runtime calls it; "" for a volume
	find    func(context.Context) (container.Found, error)
	ensure  func(context.Context) (id string, made bool, err error)
}

// Plan returns the steps that make the networks and volumes that a service uses and that are not
// there as the file has them. What it finds is taken to be so by a Provide with cached.
func (s *Store) Plan(ctx context.Context, p *project.Project, conf *project.Service) (plan.Plan, error) {
	needs, err := s.needs(p, conf)
	if err != nil {
		return nil, err
	}
	var steps plan.Plan
	for _, n := range needs {
		st, _, err := s.step(ctx, conf.Name, n, true, false)
		if err != nil {
			return steps, err
		}
		if st.Op != plan.Keep {
			steps = append(steps, st)
		}
	}
	return steps, nil
}

// Provide makes the networks and volumes that a service uses, where the plan says so, and returns
// the ids of its networks by name. With cached, what was found once in this run is taken to be so still.
func (s *Store) Provide(
	ctx context.Context, p *project.Project, conf *project.Service, cached bool,
) (map[string]string, error) {
	needs, err := s.needs(p, conf)
	if err != nil {
		return nil, err
	}
	ids := map[string]string{}
	for _, n := range needs {
		_, id, err := s.step(ctx, conf.Name, n, cached, true)
		if err != nil {
			return nil, err
		}
		if n.network != "" {
			ids[n.network] = id
		}
	}
	return ids, nil
}

// needs lists what a service uses of what the runtime makes.
func (s *Store) needs(p *project.Project, conf *project.Service) ([]need, error) {
	if !s.rt.Caps.Provision {
		return nil, nil
	}
	var all []need
	for _, key := range slices.Sorted(maps.Keys(conf.Config.Networks)) {
		n, ok := p.Networks[key]
		if !ok || conf.Config.NetworkMode != "" {
			continue
		}
		name := "network " + key
		hash, err := project.NetworkHash(n)
		if err != nil {
			return nil, container.WrapErr(err, "%s", name)
		}
		spec := container.NetworkSpec{Project: p.Name, Key: key, Config: n, Hash: hash,
			Outside: slices.Concat(p.Unselected, p.Disabled),
			Moving:  func(service, id string) { s.moving(service, id, name+" is made again") }}
		all = append(all, need{name: name, network: n.Name,
			find: func(ctx context.Context) (container.Found, error) { return s.rt.FindNetwork(ctx, spec) },
			ensure: func(ctx context.Context) (string, bool, error) {
				return s.rt.EnsureNetwork(ctx, spec)
			}})
	}
	for _, v := range conf.Config.Volumes {
		vol, ok := p.Volumes[v.Source]
		if !ok || v.Type != "volume" {
			continue
		}
		name := "volume " + v.Source
		hash, err := project.VolumeHash(vol)
		if err != nil {
			return nil, container.WrapErr(err, "%s", name)
		}
		spec := container.VolumeSpec{Project: p.Name, Key: v.Source, Config: vol, Hash: hash}
		all = append(all, need{name: name,
			find: func(ctx context.Context) (container.Found, error) { return s.rt.FindVolume(ctx, spec) },
			ensure: func(ctx context.Context) (string, bool, error) {
				made, err := s.rt.EnsureVolume(ctx, spec)
				return "", made, err
			}})
	}
	return all, nil
}

// step looks for what a service needs, has decided what becomes of it, and with act does that.
func (s *Store) step(
	ctx context.Context, service string, n need, cached, act bool,
) (st plan.Step, id string, err error) {
	s.mu.Lock()
	one := s.all[n.name]
	if one == nil {
		one = &entry{sem: make(chan struct{}, 1)}
		s.all[n.name] = one
	}
	s.mu.Unlock()
	select {
	case one.sem <- struct{}{}:
		defer func() { <-one.sem }()
	case <-ctx.Done():
		return st, "", context.Cause(ctx)
	}
	if !one.known || !cached {
		if one.found, err = n.find(ctx); err != nil {
			one.known = false
			return st, "", container.WrapErr(err, "%s", n.name)
		}
		one.known = true
	}
	st = plan.DecideResource(plan.ResourceSeen{Service: service, Name: n.name, Found: one.found})
	if st.Op == plan.Keep || !act {
		return st, one.found.ID, nil
	}
	id, made, err := n.ensure(ctx)
	if err != nil {
		one.known = false
		return st, "", container.WrapErr(err, "%s", n.name)
	}
	one.found = container.Found{There: true, ID: id}
	if made {
		s.made(n.name + " created")
	}
	return st, id, nil
}
