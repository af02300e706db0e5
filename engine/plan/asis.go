package plan

import (
	"maps"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"

	"bulkhead/engine/container"
	"bulkhead/engine/project"
)

// AsIs returns a project as its containers have it: every service that has containers wants as many as
// it has, and those that p names without describing them (disabled, not asked for), or all that
// containers tell of when p comes from no file, are what their labels say. Containers of other
// services stay orphans.
func AsIs(p *project.Project, seen []container.Instance) *project.Project {
	q := Scaled(p, seen)
	have := byService(seen)
	known := func(name string) bool {
		return len(p.Files) == 0 || slices.Contains(p.Disabled, name) || slices.Contains(p.Unselected, name)
	}
	var unfiled []*project.Service
	for _, name := range slices.Sorted(maps.Keys(have)) {
		if p.Service(name) == nil && known(name) {
			unfiled = append(unfiled, labelled(name, have[name], seen))
		}
	}
	q.Services = append(q.Services, unfiled...)
	slices.SortFunc(q.Services, func(a, b *project.Service) int { return strings.Compare(a.Name, b.Name) })
	for _, s := range unfiled {
		maps.DeleteFunc(s.DependsOn, func(name string, _ types.ServiceDependency) bool {
			return q.Service(name) == nil
		})
	}
	for _, s := range unfiled {
		// Labels of containers that were made at different times may go round in a circle.
		maps.DeleteFunc(s.DependsOn, func(name string, _ types.ServiceDependency) bool {
			return reaches(q, name, s.Name)
		})
	}
	return q
}

// Scaled returns a project whose services that have containers want as many as they have.
func Scaled(p *project.Project, seen []container.Instance) *project.Project {
	counts := map[string]int{}
	for name, all := range byService(seen) {
		counts[name] = numbers(all)
	}
	return p.Scaled(counts)
}

// byService returns the containers of each service, the newest of a number first.
func byService(seen []container.Instance) map[string][]container.Instance {
	have := map[string][]container.Instance{}
	for _, in := range slices.SortedFunc(slices.Values(seen), ByNumberThenAge) {
		have[in.Service] = append(have[in.Service], in)
	}
	return have
}

// numbers counts the replica numbers that containers have.
func numbers(all []container.Instance) int {
	seen := map[int]bool{}
	for _, in := range all {
		seen[in.Replica] = true
	}
	return len(seen)
}

// labelled is a service as its containers tell it. all are the project's containers.
func labelled(name string, mine, all []container.Instance) *project.Service {
	in := mine[0]
	s := &project.Service{Name: name, Labelled: true, Hash: in.Hash, Replicas: numbers(mine),
		Image: in.ImageRef, DependsOn: maps.Clone(in.DependsOn)}
	s.Config = types.ServiceConfig{Name: name}
	s.Config.Image = in.ImageRef
	if s.DependsOn == nil {
		s.DependsOn = map[string]types.ServiceDependency{}
	}
	for _, o := range all {
		if o.Service != name && slices.Contains(in.Joins, o.ID) {
			// Which of its namespaces it shares is not said; its network is what mostly is.
			s.Config.NetworkMode = types.ServicePrefix + o.Service
			s.DependsOn[o.Service] = types.ServiceDependency{Condition: types.ServiceConditionStarted,
				Required: true}
		}
	}
	s.Bare = s.Config
	return s
}

// reaches says whether a service depends on another, directly or through others; it does on itself.
func reaches(p *project.Project, from, to string) bool {
	done := map[string]bool{}
	var walk func(string) bool
	walk = func(name string) bool {
		if name == to {
			return true
		}
		if done[name] {
			return false
		}
		done[name] = true
		for dep := range p.Service(name).DependsOn {
			if p.Service(dep) != nil && walk(dep) {
				return true
			}
		}
		return false
	}
	return walk(from)
}

// startAsIs is what the containers of a service need in order to run, whatever the file says by now.
func startAsIs(w Want, seen Seen) Plan {
	var p Plan
	for _, in := range slices.SortedFunc(slices.Values(seen.Instances), ByNumberThenAge) {
		if n := len(p); n > 0 && p[n-1].Replica == in.Replica {
			continue // an older one of the same number
		}
		s := Step{Service: w.Name, Replica: in.Replica, Seen: in}
		s.Op, s.Reason = revive(w, in, seen.Completed[in.ID])
		p = append(p, s)
	}
	return p
}

// Dependencies returns services with all that they depend on, directly or through others, sorted.
func Dependencies(p *project.Project, names []string) []string {
	return closure(p, names, func(s, named string) bool { return reaches(p, named, s) })
}

// Dependents returns services with all that depend on them, directly or through others, sorted.
func Dependents(p *project.Project, names []string) []string {
	return closure(p, names, func(s, named string) bool { return reaches(p, s, named) })
}

func closure(p *project.Project, names []string, in func(s, named string) bool) []string {
	var out []string
	for _, s := range p.Services {
		if slices.ContainsFunc(names, func(named string) bool {
			return p.Service(named) != nil && in(s.Name, named)
		}) {
			out = append(out, s.Name)
		}
	}
	return out
}
