package project

import (
	"fmt"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/graph"
	"github.com/compose-spec/compose-go/v2/types"
)

// MaxReplicas is how many containers a service may have: more than that on one machine are a slip
// of the hand, and cost gigabytes before the first of them starts.
const MaxReplicas = 1000

// checker refuses what compose-go accepts and an engine would not.
type checker struct {
	sources *sources
	explain *explainer
}

// check repeats compose-go's checks where they saw a service that was still disabled by its
// profile, and adds those that the engine would otherwise make when half of the project runs.
func (c *checker) check(p *types.Project) error {
	for name, s := range p.Services {
		undefined := func(kind, resource string) error {
			return c.explain.undefinedResource([]string{name, kind, resource})
		}
		for n := range s.Networks {
			if _, ok := p.Networks[n]; !ok {
				return undefined("network", n)
			}
		}
		for _, v := range s.Volumes {
			if _, ok := p.Volumes[v.Source]; !ok && v.Type == types.VolumeTypeVolume && v.Source != "" {
				return undefined("volume", v.Source)
			}
		}
		for _, ref := range s.Configs {
			if _, ok := p.Configs[ref.Source]; !ok {
				return undefined("config", ref.Source)
			}
		}
		for _, ref := range s.Secrets {
			if _, ok := p.Secrets[ref.Source]; !ok {
				return undefined("secret", ref.Source)
			}
		}
	}
	for name, s := range p.Services {
		if n := s.GetScale(); n < 0 || n > MaxReplicas {
			return c.sources.errorAt("services", name).with(fmt.Sprintf("services.%s: %d replicas",
				name, n), fmt.Sprintf("a service may have 0 to %d", MaxReplicas))
		}
	}
	byName := map[string]string{}
	for _, name := range p.ServiceNames() {
		container := p.Services[name].ContainerName
		if other := byName[container]; other != "" && container != "" {
			return c.sources.errorAt("services", name, "container_name").
				with(fmt.Sprintf("%s and %s have the same container_name %s", other, name, container),
					"give each its own")
		}
		byName[container] = name
	}
	if err := c.buildCircle(p); err != nil {
		return err
	}
	return graph.CheckCycle(p)
}

// buildCircle refuses services whose builds begin with each other's images by additional_contexts: none of
// them could be built first.
func (c *checker) buildCircle(p *types.Project) error {
	next := func(name string) (out []string) {
		s, ok := p.Services[name]
		if !ok { // one that is not enabled is built all the same for who begins with its image
			s = p.DisabledServices[name]
		}
		if b := s.Build; b != nil {
			for _, where := range b.AdditionalContexts {
				if of, ok := strings.CutPrefix(where, types.ServicePrefix); ok && !slices.Contains(out, of) {
					out = append(out, of)
				}
			}
		}
		slices.Sort(out)
		return out
	}
	over := map[string]bool{} // leads to no circle
	var walk func(way []string) []string
	walk = func(way []string) []string {
		last := way[len(way)-1]
		if at := slices.Index(way, last); at < len(way)-1 {
			return way[at:]
		}
		if over[last] {
			return nil
		}
		for _, of := range next(last) {
			if circle := walk(append(slices.Clip(way), of)); circle != nil {
				return circle
			}
		}
		over[last] = true
		return nil
	}
	for _, name := range p.ServiceNames() {
		if circle := walk([]string{name}); circle != nil {
			return c.sources.errorAt("services", circle[0], "build", "additional_contexts").
				with("the builds begin with each other: "+strings.Join(circle, " -> "),
					"take one additional_contexts away")
		}
	}
	return nil
}

// platforms puts DOCKER_DEFAULT_PLATFORM on services that are built. A build's own list stays as it
// is written: of several, the build takes the one that the container runs on.
func (c *checker) platforms(p *types.Project) error {
	def := p.Environment["DOCKER_DEFAULT_PLATFORM"]
	for name, s := range p.Services {
		if s.Build == nil {
			continue
		}
		from := "platform"
		if s.Platform == "" && def != "" {
			s.Platform, from = def, "DOCKER_DEFAULT_PLATFORM"
		}
		b := s.Build
		if s.Platform != "" && len(b.Platforms) > 0 && !slices.Contains(b.Platforms, s.Platform) {
			e := c.sources.errorAt("services", name, "build", "platforms")
			e.Problem = fmt.Sprintf("services.%s.build.platforms does not have %s, which %s asks for",
				name, s.Platform, from)
			e.Remedy = "add it to the list"
			return e
		}
		p.Services[name] = s
	}
	return nil
}
