package project

import (
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"
)

// ruleMaker makes the rules of the services of a project.
type ruleMaker struct {
	p       *Project
	sources *sources
	links   *links
}

// addRules makes the rules of all services. It comes after the services, because a default rule leaves out what the
// prepare of others writes.
func (m *ruleMaker) addRules() error {
	for _, s := range m.p.Services {
		if s.Config.Develop == nil {
			continue
		}
		develop := *s.Config.Develop
		develop.Watch = slices.Clone(develop.Watch)
		for i, t := range develop.Watch {
			r, err := m.rule(s, i, t)
			if err != nil {
				return err
			}
			s.Rules = append(s.Rules, r)
			develop.Watch[i].Path = r.Path // where a link leads to now is no difference between two loads
		}
		s.Config.Develop = &develop
	}
	for _, s := range m.p.Services {
		if len(s.Rules) > 0 || !s.Built {
			continue
		}
		var written []string
		for _, other := range m.p.Services {
			if other == s || other.Extra.Prepare == nil {
				continue
			}
			for _, r := range other.Rules {
				if !r.Default {
					written = append(written, r.Path)
				}
			}
		}
		if err := m.defaultRules(s, s.Config.Build, written, map[string]bool{}); err != nil {
			return err
		}
	}
	return nil
}

// rule makes a rule of an entry of develop.watch.
func (m *ruleMaker) rule(s *Service, i int, t types.Trigger) (Rule, error) {
	r := Rule{
		Action: Action(max(0, slices.Index(actionNames(), string(t.Action)))),
		Path:   m.links.watched(s.Name, t), Target: clean(t.Target),
		Ignore: t.Ignore, Include: t.Include, InitialSync: t.InitialSync,
		filter: &filter{},
	}
	if r.Action == SyncExec {
		r.Exec = &t.Exec
	}
	f := r.filter
	var err error
	if f.ignore, err = compile(r.Path, r.Ignore); err != nil {
		return r, m.badPattern(s.Name, i, "ignore", err)
	}
	if f.include, err = compile(r.Path, r.Include); err != nil {
		return r, m.badPattern(s.Name, i, "include", err)
	}
	// what is restarted for need not be part of the image, so .dockerignore has no say
	if s.Built && r.Action != Restart && isLocal(s.Config.Build.Context) {
		context := m.links.anchored(s.Config.Build.Context)
		if _, in := below(context, r.Path); !in {
			context = resolve(context) // they may meet where links lead to
		}
		if f.context, f.always, err = m.ignoreOf(context, s.Config.Build); r.Action != Rebuild {
			f.always = nil // the Dockerfile is the builder's; what .dockerignore hides is not for the container
		}
	}
	return r, err
}

// clean makes a target absolute, as docker compose takes a relative one: from the root folder. A
// slash at its end stays; it says that the target is a folder.
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
func (m *ruleMaker) defaultRules(
	s *Service, b *types.BuildConfig, written []string, seen map[string]bool,
) error {
	contexts := []string{b.Context}
	for _, name := range slices.Sorted(maps.Keys(b.AdditionalContexts)) {
		contexts = append(contexts, b.AdditionalContexts[name])
	}
	for i, context := range contexts {
		if other, ok := strings.CutPrefix(context, types.ServicePrefix); ok {
			all := m.p.Compose.AllServices()
			if build := all[other].Build; build != nil && !seen[other] {
				seen[other] = true
				if err := m.defaultRules(s, build, written, seen); err != nil {
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
		path, f := m.links.anchored(context), &filter{}
		for _, w := range written {
			// a rule for a whole tree that the context is part of says nothing about what prepare writes
			if _, around := below(w, path); !around {
				f.written = append(f.written, w)
			}
		}
		var err error
		if f.context, f.always, err = m.ignoreOf(path, build); err != nil {
			return err
		}
		s.Rules = append(s.Rules, Rule{Action: Rebuild, Path: path, Default: true, filter: f})
	}
	return nil
}

// ignoreOf reads the .dockerignore of a context, which is spelled as paths below it will be. b is
// nil for a context that is not the build's main one.
func (m *ruleMaker) ignoreOf(context string, b *types.BuildConfig) (*patterns, map[string]bool, error) {
	always, dockerfile := map[string]bool{}, ""
	if b != nil && b.DockerfileInline == "" && b.Dockerfile != "" && !strings.Contains(b.Dockerfile, "://") {
		dockerfile = resolve(join(context, b.Dockerfile))
		always[dockerfile], always[join(context, b.Dockerfile)] = true, true
	}
	p, names, err := readIgnore(context, dockerfile)
	for _, name := range names {
		always[name] = true
		m.sources.inputs[name] = true
	}
	if err != nil {
		name := names[len(names)-1]
		if e := m.sources.refused(name, err); e != nil {
			return nil, nil, e
		}
		return nil, nil, &LoadError{File: inside(m.sources.cwd, name), Problem: cause(err),
			Remedy: "write a pattern in .dockerignore syntax on each line", Err: err}
	}
	return p, always, nil
}

// isLocal says whether a build context is a folder, not an address or another image.
func isLocal(context string) bool { return filepath.IsAbs(context) }

// badPattern is for a rule's ignore or include.
func (m *ruleMaker) badPattern(service string, i int, key string, err error) error {
	path := []string{"services", service, "develop", "watch", strconv.Itoa(i), key}
	return m.sources.errorAt(path...).with(strings.Join(path, ".")+": "+err.Error(),
		"write patterns in .dockerignore syntax")
}
