package project

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"

	"bulkhead/engine/hostfile"
)

// readOverlay reads compose.bulkhead.yaml, nil when there is none, and refuses what it may not change: docker compose
// does not read it, so anything that shapes containers in it would make the two disagree.
func (l *loading) readOverlay(bare *types.Project) (*types.ConfigFile, error) {
	if slices.ContainsFunc(l.details.ConfigFiles, func(f types.ConfigFile) bool { return f.Filename == l.overlay }) {
		return nil, nil // named with -f: a Compose file like any other
	}
	content, err := hostfile.Read(l.overlay, hostfile.MaxCompose)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if e := l.refused(l.overlay, err); e != nil {
		return nil, e
	}
	if err != nil {
		return nil, &LoadError{File: inside(l.sources.cwd, l.overlay), Problem: "cannot be read: " + cause(err), Remedy: "make it readable", Err: err}
	}
	if err := l.sources.add(l.overlay, l.details.WorkingDir, content); err != nil {
		return nil, l.yamlError(l.overlay, err)
	}
	if l.sources.endless.file != nil {
		return nil, l.endless()
	}
	if err := l.vetInputs(); err != nil {
		return nil, err
	}
	f := l.sources.files[len(l.sources.files)-1]
	refuse := func(attribute, remedy string, path ...string) error {
		p, _ := f.find(path)
		return &LoadError{File: inside(l.sources.cwd, l.overlay), Line: p.line, Problem: attribute, Remedy: remedy}
	}
	empty := true
	for _, doc := range f.docs {
		for _, key := range keys(doc) {
			if key != "services" && !strings.HasPrefix(key, "x-") {
				return nil, refuse(key+" may not be set here", "write it in "+inside(l.details.WorkingDir, l.details.ConfigFiles[0].Filename), key)
			}
			empty = false
		}
		services := get(doc, "services")
		for _, name := range keys(services) {
			all := bare.AllServices()
			if _, ok := all[name]; !ok {
				return nil, refuse(fmt.Sprintf("no service %q", name),
					orNearest(name, slices.Sorted(maps.Keys(all)), "name a service of the Compose file"), "services", name)
			}
			for _, key := range keys(get(services, name)) {
				if key != extensionKey && key != "build" && key != "develop" {
					return nil, refuse("services."+name+"."+key+" may not be changed here",
						"only build, develop and "+extensionKey+" may; write it in the Compose file", "services", name, key)
				}
			}
		}
	}
	if empty {
		return nil, nil
	}
	return &types.ConfigFile{Filename: l.overlay, Content: content}, nil
}
