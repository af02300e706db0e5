package project

import (
	"maps"
	"path/filepath"
	"slices"

	"github.com/compose-spec/compose-go/v2/types"
	"go.yaml.in/yaml/v4"
)

// links turns paths into those that a watcher follows when links are pointed
// elsewhere.
type links struct {
	dir     string // project folder
	sources *sources
}

// anchored makes the way to the project folder free of symbolic links, and keeps those behind it:
// what a watcher is to follow when they are pointed elsewhere.
func (l *links) anchored(path string) string {
	if !filepath.IsAbs(path) {
		return path
	}
	path = filepath.Clean(path)
	around := filepath.Clean(l.dir)
	for {
		if rel, ok := below(around, path); ok {
			return filepath.Join(resolve(around), filepath.FromSlash(rel))
		}
		up := filepath.Dir(around)
		if up == around {
			return resolve(path) // on another volume
		}
		around = up
	}
}

// watched is the path of an entry of develop.watch with the links that it was written with.
// compose-go hands out what they led to when the file was loaded, so the path is looked up where it
// was written; when that is not found, the links are lost.
func (l *links) watched(service string, t types.Trigger) string {
	real := resolve(t.Path)
	try := func(f *source, own bool) string {
		for _, doc := range f.docs {
			services := get(doc, "services")
			for _, name := range keys(services) {
				if (name == service) != own {
					continue
				}
				for _, n := range seq(get(get(get(services, name), "develop"), "watch")) {
					if path := l.watchPath(f, n, t); path != "" && resolve(path) == real {
						return l.anchored(path)
					}
				}
			}
		}
		return ""
	}
	s := l.sources
	all := slices.Clone(s.files)
	for _, name := range slices.Sorted(maps.Keys(s.extended)) {
		all = append(all, s.extended[name])
	}
	// What a service extends, in its own file or in another, comes after what it says itself.
	for _, own := range []bool{true, false} {
		for _, f := range slices.Backward(all) {
			if path := try(f, own); path != "" {
				return path
			}
		}
	}
	return real
}

// watchPath is the absolute path of an entry as written, "" when it cannot be the trigger.
func (l *links) watchPath(f *source, n *yaml.Node, t types.Trigger) string {
	path := l.sources.scalar(get(n, "path"))
	if path == "" || l.sources.scalar(get(n, "action")) != string(t.Action) ||
		clean(l.sources.scalar(get(n, "target"))) != clean(t.Target) {
		return ""
	}
	return join(f.base, path)
}
