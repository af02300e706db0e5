package project

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"
)

// ChangeKind is what a change of the files means for a service.
type ChangeKind int

// The kinds of change.
const (
	UnknownChange ChangeKind = iota
	Added
	Removed
	Recreate // the container must be replaced
	Rules    // only what bulkhead does with it: develop, x-bulkhead, depends_on, pull_policy
	Rescale  // another number of replicas
	Build    // the image must be built again
)

// String returns a word for the kind.
func (k ChangeKind) String() string {
	return spelling([]string{"unknown", "added", "removed", "recreate", "rules", "rescale", "build"}, int(k))
}

// Change is one difference between two loads of a project.
type Change struct {
	Service string
	Kind    ChangeKind
	Reasons []string // "environment.PORT: 8080 -> 8081", sorted; values that look secret are masked
}

// Diff returns what is to be done to go from old to new, sorted by service and then by kind. A service may have several
// kinds. When the project's name differs, all of old is removed and all of new is added.
func Diff(old, new *Project) []Change {
	var changes []Change
	renamed := ""
	if old.Name != new.Name {
		renamed = "project: " + old.Name + " -> " + new.Name
	}
	add := func(service string, kind ChangeKind, reasons ...string) {
		changes = append(changes, Change{Service: service, Kind: kind,
			Reasons: slices.DeleteFunc(reasons, func(r string) bool { return r == "" })})
	}
	for _, s := range old.Services {
		if new.Service(s.Name) == nil || renamed != "" {
			add(s.Name, Removed, renamed)
		}
	}
	for _, s := range new.Services {
		was := old.Service(s.Name)
		if was == nil || renamed != "" {
			add(s.Name, Added, renamed)
			continue
		}
		reasons := compare(old, new, was, s)
		for _, kind := range slices.Sorted(maps.Keys(reasons)) {
			add(s.Name, kind, slices.Sorted(slices.Values(reasons[kind]))...)
		}
	}
	// stable: a service's kinds were added in order, and Removed before Added
	slices.SortStableFunc(changes, func(a, b Change) int { return cmp.Compare(a.Service, b.Service) })
	return changes
}

// compare returns the differences of a service that both projects have.
func compare(old, new *Project, was, is *Service) map[ChangeKind][]string {
	reasons := map[ChangeKind][]string{}
	note := func(kind ChangeKind, path string, a, b any) {
		if lines := differences(path, flat(a), flat(b)); len(lines) > 0 {
			reasons[kind] = append(reasons[kind], lines...)
		}
	}
	container := func(s *Service) types.ServiceConfig {
		c := s.Config
		c.Build, c.Develop, c.DependsOn, c.Profiles, c.PullPolicy, c.Scale = nil, nil, nil, nil, "", nil
		c.Image = s.Image
		if c.Deploy != nil {
			deploy := *c.Deploy
			deploy.Replicas = nil
			c.Deploy = &deploy
		}
		return c
	}
	note(Recreate, "", container(was), container(is))
	note(Recreate, "networks", used(was.Config.Networks, old.Networks), used(is.Config.Networks, new.Networks))
	note(Recreate, "volumes", volumes(was, old), volumes(is, new))
	reasons[Recreate] = append(reasons[Recreate], contents(old, new, is)...)
	switch {
	case was.Built && !is.Built:
		reasons[Recreate] = append(reasons[Recreate], "build: removed")
	case !was.Built && is.Built:
		reasons[Build] = append(reasons[Build], "build: added")
	default:
		note(Build, "build", was.Config.Build, is.Config.Build)
	}
	note(Rules, "develop", was.Config.Develop, is.Config.Develop)
	note(Rules, "depends_on", was.Config.DependsOn, is.Config.DependsOn)
	note(Rules, extensionKey, was.Config.Extensions[extensionKey], is.Config.Extensions[extensionKey])
	if was.Config.PullPolicy != is.Config.PullPolicy {
		reasons[Rules] = append(reasons[Rules], sentence("pull_policy", was.Config.PullPolicy,
			is.Config.PullPolicy))
	}
	if was.Replicas != is.Replicas {
		reasons[Rescale] = append(reasons[Rescale], sentence("scale", strconv.Itoa(was.Replicas),
			strconv.Itoa(is.Replicas)))
	}
	maps.DeleteFunc(reasons, func(_ ChangeKind, lines []string) bool { return len(lines) == 0 })
	return reasons
}

// used returns the definitions of the networks that a service is in.
func used(
	in map[string]*types.ServiceNetworkConfig, all map[string]types.NetworkConfig,
) map[string]types.NetworkConfig {
	defs := map[string]types.NetworkConfig{}
	for name := range in {
		defs[name] = all[name]
	}
	return defs
}

// volumes returns the definitions of the named volumes that a service mounts.
func volumes(s *Service, p *Project) map[string]types.VolumeConfig {
	defs := map[string]types.VolumeConfig{}
	for _, v := range s.Config.Volumes {
		if def, ok := p.Volumes[v.Source]; ok && v.Type == types.VolumeTypeVolume {
			defs[v.Source] = def
		}
	}
	return defs
}

// contents says which secrets and configs of a service changed in what they hold, but not what that is.
func contents(old, new *Project, is *Service) []string {
	var lines []string
	for _, s := range is.Config.Secrets {
		was, ok := old.Secrets[s.Source]
		if now := new.Secrets[s.Source]; ok && (was.Content != now.Content || was.File != now.File ||
			was.Environment != now.Environment) {
			lines = append(lines, "secrets."+s.Source+": changed")
		}
	}
	for _, c := range is.Config.Configs {
		was, ok := old.Configs[c.Source]
		if now := new.Configs[c.Source]; ok && (was.Content != now.Content || was.File != now.File ||
			was.Environment != now.Environment) {
			lines = append(lines, "configs."+c.Source+": changed")
		}
	}
	slices.Sort(lines)
	return slices.Compact(lines)
}

// flat returns the values of a thing by their paths. A list of plain values is one value.
func flat(v any) map[string]string {
	b, err := json.Marshal(v)
	if err != nil {
		return map[string]string{"": err.Error()} // types of compose-go always marshal
	}
	var tree any
	if err := json.Unmarshal(b, &tree); err != nil {
		return map[string]string{"": string(b)}
	}
	values := map[string]string{}
	var walk func(path string, v any)
	walk = func(path string, v any) {
		switch v := v.(type) {
		case nil:
		case map[string]any:
			for key, value := range v {
				walk(strings.TrimPrefix(path+"."+key, "."), value)
			}
		case []any:
			if !slices.ContainsFunc(v, func(item any) bool {
				_, plain := item.(map[string]any)
				return plain
			}) {
				values[path] = fmt.Sprint(v)
				return
			}
			for i, item := range v {
				walk(path+"."+strconv.Itoa(i), item)
			}
		case float64:
			values[path] = strconv.FormatFloat(v, 'f', -1, 64)
		default:
			values[path] = fmt.Sprint(v)
		}
	}
	walk("", tree)
	return values
}

func differences(prefix string, was, is map[string]string) []string {
	var lines []string
	all := maps.Clone(was)
	maps.Copy(all, is)
	for path := range all {
		a, hadA := was[path]
		b, hasB := is[path]
		if hadA == hasB && a == b {
			continue
		}
		name := strings.Trim(prefix+"."+path, ".")
		a, b = mask(name, a), mask(name, b)
		switch {
		case !hadA:
			lines = append(lines, name+": set to "+b)
		case !hasB:
			lines = append(lines, name+": removed")
		default:
			lines = append(lines, sentence(name, a, b))
		}
	}
	return lines
}

func sentence(name, was, is string) string {
	if was == is {
		return name + ": changed" // in what is masked or cut off
	}
	if was == "" {
		was = `""`
	}
	if is == "" {
		is = `""`
	}
	return name + ": " + was + " -> " + is
}

// mask hides what may be a secret: all of a value whose name says so, passwords in addresses, and what stands behind
// such a name inside a text. It also keeps values to one line of bearable length.
func mask(path, value string) string {
	if value == "" {
		return value
	}
	name := path[strings.LastIndex(path, ".")+1:]
	value = MaskValue(name, value)
	value = strings.Join(strings.Fields(value), " ")
	if runes := []rune(value); len(runes) > 80 {
		value = string(runes[:79]) + "…"
	}
	return value
}
