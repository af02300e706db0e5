package project

import (
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"
)

// fill makes the project of what compose-go loaded: bare without the overlay, full with it.
func (l *loading) fill(p *Project, bare, full *types.Project) error {
	p.Compose = full
	p.Networks, p.Volumes, p.Secrets, p.Configs = full.Networks, full.Volumes, full.Secrets, full.Configs
	for name, s := range full.DisabledServices {
		if s.HasProfile(full.Profiles) {
			p.Unselected = append(p.Unselected, name)
		} else {
			p.Disabled = append(p.Disabled, name)
		}
	}
	slices.Sort(p.Unselected)
	slices.Sort(p.Disabled)
	for _, name := range full.ServiceNames() {
		s, err := l.service(p, name, bare.Services[name], full.Services[name])
		if err != nil {
			return err
		}
		p.Services = append(p.Services, s)
	}
	if err := l.buildOnly(p, bare, full); err != nil {
		return err
	}
	if err := l.addRules(p); err != nil {
		return err
	}
	inputs := l.sources.inputs
	inputs[l.overlay] = true
	for _, s := range full.Services {
		for _, f := range s.LabelFiles {
			inputs[f] = true
		}
	}
	p.Inputs = slices.Sorted(maps.Keys(inputs))
	return nil
}

// buildOnly adds the services whose images the builds of others begin with or copy from, and that are not enabled themselves.
func (l *loading) buildOnly(p *Project, bare, full *types.Project) error {
	found := map[string]*Service{}
	for open := slices.Clone(p.Services); len(open) > 0; open = open[1:] {
		if !open[0].Built {
			continue
		}
		for _, where := range open[0].Config.Build.AdditionalContexts {
			name, ok := strings.CutPrefix(where, types.ServicePrefix)
			of, disabled := full.DisabledServices[name]
			if !ok || !disabled || found[name] != nil {
				continue
			}
			s, err := l.service(p, name, bare.DisabledServices[name], of)
			if err != nil {
				return err
			}
			s.Replicas, found[name] = 0, s
			open = append(open, s)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(found)) {
		p.BuildOnly = append(p.BuildOnly, found[name])
	}
	return nil
}

func (l *loading) service(p *Project, name string, bare, full types.ServiceConfig) (*Service, error) {
	s := &Service{
		Name: name, Config: full, Bare: bare,
		Replicas:  full.GetScale(),
		DependsOn: map[string]types.ServiceDependency{},
		Image:     full.Image,
		Place:     l.sources.show(l.sources.first("services", name)),
	}
	if s.Image == "" {
		s.Image = p.Name + "-" + name
	}
	for dep, d := range full.DependsOn {
		if _, enabled := p.Compose.Services[dep]; enabled {
			s.DependsOn[dep] = d
		}
	}
	var err error
	if s.Hash, err = ServiceHash(bare); err != nil {
		return nil, err
	}
	if full.Build != nil {
		s.Built = true
		if s.BuildKey, err = buildKey(*full.Build); err != nil {
			return nil, err
		}
	}
	s.Extra, err = l.extra(p, name, full.Extensions[extensionKey])
	return s, err
}

// addRules makes the rules of all services. It comes after the services, because a default rule leaves out what the
// prepare of others writes.
func (l *loading) addRules(p *Project) error {
	for _, s := range p.Services {
		if s.Config.Develop == nil {
			continue
		}
		develop := *s.Config.Develop
		develop.Watch = slices.Clone(develop.Watch)
		for i, t := range develop.Watch {
			r, err := l.rule(s, i, t)
			if err != nil {
				return err
			}
			s.Rules = append(s.Rules, r)
			develop.Watch[i].Path = r.Path // where a link leads to now is no difference between two loads
		}
		s.Config.Develop = &develop
	}
	for _, s := range p.Services {
		if len(s.Rules) > 0 || !s.Built {
			continue
		}
		var written []string
		for _, other := range p.Services {
			if other == s || other.Extra.Prepare == nil {
				continue
			}
			for _, r := range other.Rules {
				if !r.Default {
					written = append(written, r.Path)
				}
			}
		}
		if err := l.defaultRules(p, s, s.Config.Build, written, map[string]bool{}); err != nil {
			return err
		}
	}
	return nil
}

// rule makes a rule of an entry of develop.watch.
func (l *loading) rule(s *Service, i int, t types.Trigger) (Rule, error) {
	r := Rule{
		Action: Action(max(0, slices.Index(actionNames(), string(t.Action)))),
		Path:   l.watched(s.Name, t), Target: clean(t.Target),
		Ignore: t.Ignore, Include: t.Include, InitialSync: t.InitialSync,
		filter: &filter{},
	}
	if r.Action == SyncExec {
		r.Exec = &t.Exec
	}
	f := r.filter
	var err error
	if f.ignore, err = compile(r.Path, r.Ignore); err != nil {
		return r, l.badPattern(s.Name, i, "ignore", err)
	}
	if f.include, err = compile(r.Path, r.Include); err != nil {
		return r, l.badPattern(s.Name, i, "include", err)
	}
	// what is restarted for need not be part of the image, so .dockerignore has no say
	if s.Built && r.Action != Restart && isLocal(s.Config.Build.Context) {
		context := l.anchored(s.Config.Build.Context)
		if _, in := below(context, r.Path); !in {
			context = resolve(context) // they may meet where links lead to
		}
		if f.context, f.always, err = l.ignoreOf(context, s.Config.Build); r.Action != Rebuild {
			f.always = nil // the Dockerfile is the builder's; what .dockerignore hides is not for the container
		}
	}
	return r, err
}

// clean makes a target absolute, as docker compose takes a relative one: from the root folder. A slash at its end stays; it says that the
// target is a folder.
func clean(target string) string {
	if target == "" {
		return ""
	}
	slash := ""
	if strings.HasSuffix(target, "/") {
		slash = "/"
	}
	return strings.TrimSuffix(path.Clean("/"+target), "/") + slash
}

// defaultRules adds a rule for the context of a build and for each folder it takes further files from, those of other
// services' builds included. seen guards against services that build on each other in a circle.
func (l *loading) defaultRules(p *Project, s *Service, b *types.BuildConfig, written []string, seen map[string]bool) error {
	contexts := []string{b.Context}
	for _, name := range slices.Sorted(maps.Keys(b.AdditionalContexts)) {
		contexts = append(contexts, b.AdditionalContexts[name])
	}
	for i, context := range contexts {
		if other, ok := strings.CutPrefix(context, types.ServicePrefix); ok {
			all := p.Compose.AllServices()
			if build := all[other].Build; build != nil && !seen[other] {
				seen[other] = true
				if err := l.defaultRules(p, s, build, written, seen); err != nil {
					return err
				}
			}
			continue
		}
		if !isLocal(context) {
			continue
		}
		build := b
		if i > 0 {
			build = nil
		}
		path, f := l.anchored(context), &filter{}
		for _, w := range written {
			// a rule for a whole tree that the context is part of says nothing about what prepare writes
			if _, around := below(w, path); !around {
				f.written = append(f.written, w)
			}
		}
		var err error
		if f.context, f.always, err = l.ignoreOf(path, build); err != nil {
			return err
		}
		s.Rules = append(s.Rules, Rule{Action: Rebuild, Path: path, Default: true, filter: f})
	}
	return nil
}

// ignoreOf reads the .dockerignore of a context, which is spelled as paths below it will be. b is nil for a context that is not the
// build's main one.
func (l *loading) ignoreOf(context string, b *types.BuildConfig) (*patterns, map[string]bool, error) {
	always, dockerfile := map[string]bool{}, ""
	if b != nil && b.DockerfileInline == "" && b.Dockerfile != "" && !strings.Contains(b.Dockerfile, "://") {
		dockerfile = resolve(join(context, b.Dockerfile))
		always[dockerfile], always[join(context, b.Dockerfile)] = true, true
	}
	p, names, err := readIgnore(context, dockerfile)
	for _, name := range names {
		always[name] = true
		l.sources.inputs[name] = true
	}
	if err != nil {
		name := names[len(names)-1]
		if e := l.refused(name, err); e != nil {
			return nil, nil, e
		}
		return nil, nil, &LoadError{File: inside(l.sources.cwd, name), Problem: cause(err),
			Remedy: "write a pattern in .dockerignore syntax on each line", Err: err}
	}
	return p, always, nil
}

// isLocal says whether a build context is a folder, not an address or another image.
func isLocal(context string) bool { return filepath.IsAbs(context) }
