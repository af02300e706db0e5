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

// overlayName is the file beside the first Compose file that is merged last.
const overlayName = "compose.bulkhead.yaml"

// overlay is that file.
type overlay struct {
	path    string // absolute; it need not exist
	dir     string // project folder
	files   []types.ConfigFile
	sources *sources
	explain *explainer
}

// read reads compose.bulkhead.yaml, nil when there is none, and refuses what it may not change: docker compose
// does not read it, so anything that shapes containers in it would make the two disagree.
func (o *overlay) read(bare *types.Project) (*types.ConfigFile, error) {
	if slices.ContainsFunc(o.files, func(f types.ConfigFile) bool { return f.Filename == o.path }) {
		return nil, nil // named with -f: a Compose file like any other
	}
	content, err := hostfile.Read(o.path, hostfile.MaxCompose)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if e := o.sources.refused(o.path, err); e != nil {
		return nil, e
	}
	if err != nil {
		return nil, &LoadError{File: inside(o.sources.cwd, o.path), Problem: "cannot be read: " +
			cause(err), Remedy: "make it readable", Err: err}
	}
	if err := o.sources.add(o.path, o.dir, content); err != nil {
		return nil, o.explain.yamlError(o.path, err)
	}
	if err := o.sources.endlessError(); err != nil {
		return nil, err
	}
	if err := o.sources.vetInputs(); err != nil {
		return nil, err
	}
	f := o.sources.files[len(o.sources.files)-1]
	refuse := func(attribute, remedy string, path ...string) error {
		p, _ := f.find(path)
		return &LoadError{File: inside(o.sources.cwd, o.path), Line: p.line, Problem: attribute, Remedy: remedy}
	}
	empty := true
	for _, doc := range f.docs {
		for _, key := range keys(doc) {
			if key != "services" && !strings.HasPrefix(key, "x-") {
				return nil, refuse(key+" may not be set here", "write it in "+
					inside(o.dir, o.files[0].Filename), key)
			}
			empty = false
		}
		services := get(doc, "services")
		for _, name := range keys(services) {
			all := bare.AllServices()
			if _, ok := all[name]; !ok {
				return nil, refuse(fmt.Sprintf("no service %q", name),
					orNearest(name, slices.Sorted(maps.Keys(all)),
						"name a service of the Compose file"), "services", name)
			}
			for _, key := range keys(get(services, name)) {
				if key != extensionKey && key != "build" && key != "develop" {
					return nil, refuse("services."+name+"."+key+" may not be changed here",
						"only build, develop and "+extensionKey+" may; write it in the Compose file",
						"services", name, key)
				}
			}
		}
	}
	if empty {
		return nil, nil
	}
	return &types.ConfigFile{Filename: o.path, Content: content}, nil
}
