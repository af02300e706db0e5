package project

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/template"
	"github.com/compose-spec/compose-go/v2/types"
)

// Rendering leaves out steps of a load, for who wants to see the files before them. The zero value
// leaves out none.
type Rendering struct {
	NoInterpolation bool // variables stay as they are written
	NoNormalization bool // what the specification adds by itself is not added
	NoPaths         bool // paths stay relative
	NoConsistency   bool // nothing is compared with anything else
	NoEnvironment   bool // env_file is not read
	NoValidation    bool
}

// Render loads the files for printing, without what r leaves out. Unlike Load it judges nothing that
// the result is not to be run for.
func Render(ctx context.Context, o Options, r Rendering) (*types.Project, error) {
	return await(ctx, &o, func() (*types.Project, error) {
		var p *types.Project
		err := o.rendering(func(l *loading, f *composeFiles, m *merger) error {
			details, err := l.withOverlay(ctx, f, m, r)
			if err != nil {
				return err
			}
			if p, err = loader.LoadWithContext(ctx, details, m.settings(details), r.settings); err != nil {
				return err
			}
			s := &selection{services: o.Services, all: o.All, sources: l.sources}
			if p, err = s.choose(p); err != nil || r.NoEnvironment {
				return err
			}
			if err := l.sources.vetNamed(p); err != nil {
				return err
			}
			p, _, err = l.sources.resolveEnvironments(p, l.explain, o.EnvOptional)
			return err
		})
		return p, err
	})
}

// Model loads the files as the tree that they are, without what r leaves out.
func Model(ctx context.Context, o Options, r Rendering) (map[string]any, error) {
	return await(ctx, &o, func() (map[string]any, error) {
		var model map[string]any
		err := o.rendering(func(l *loading, f *composeFiles, m *merger) (err error) {
			details, err := l.withOverlay(ctx, f, m, r)
			if err != nil {
				return err
			}
			model, err = loader.LoadModelWithContext(ctx, details, m.settings(details), r.settings)
			return err
		})
		return model, err
	})
}

// Variable is one that the files refer to.
type Variable struct {
	Name     string
	Default  string // that the file has for it
	Presence string // the value that stands there when it is set
	Required bool
}

// Variables lists what the files refer to, sorted.
func Variables(ctx context.Context, o Options) ([]Variable, error) {
	model, err := Model(ctx, o, Rendering{NoInterpolation: true, NoEnvironment: true,
		NoValidation: true, NoNormalization: true})
	if err != nil {
		return nil, err
	}
	found := template.ExtractVariables(model, template.DefaultPattern)
	var all []Variable
	for _, name := range slices.Sorted(maps.Keys(found)) {
		v := found[name]
		all = append(all, Variable{Name: name, Default: v.DefaultValue, Presence: v.PresenceValue,
			Required: v.Required})
	}
	return all, nil
}

// settings switches steps of compose-go off.
func (r Rendering) settings(o *loader.Options) {
	o.SkipInterpolation, o.SkipNormalization = r.NoInterpolation, r.NoNormalization
	o.ResolvePaths, o.SkipConsistencyCheck = !r.NoPaths, r.NoConsistency
	o.SkipValidation = o.SkipValidation || r.NoValidation
}

// rendering finds and reads the files and has load load them; its errors are explained.
func (o *Options) rendering(load func(*loading, *composeFiles, *merger) error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = &LoadError{Problem: fmt.Sprintf("compose-go stumbled over the files: %.200v", r),
				Remedy: "take back what was written last"}
		}
	}()
	if err := o.readTyped(); err != nil {
		return err
	}
	cwd, err := os.Getwd()
	if err != nil {
		return fmt.Errorf("find the current folder: %w", err)
	}
	src := newSources(cwd)
	l := &loading{opts: *o, sources: src, explain: &explainer{src}}
	listen(func() {
		registerRaw()
		f := &finder{opts: *o, sources: src, explain: l.explain}
		if err = f.find(); err != nil {
			return
		}
		var files *composeFiles
		if files, err = f.read(); err != nil {
			return
		}
		err = load(l, files, &merger{opts: *o, titled: files.titled, named: newNamed(nil),
			sources: src, explain: l.explain})
	})
	if err != nil {
		return l.explain.explain(err)
	}
	return nil
}

// withOverlay adds compose.bulkhead.yaml where there is one.
func (l *loading) withOverlay(
	ctx context.Context, f *composeFiles, m *merger, r Rendering,
) (types.ConfigDetails, error) {
	details := f.details
	details.Environment = maps.Clone(details.Environment)
	if _, err := os.Lstat(f.overlay); err != nil {
		return details, nil
	}
	bare, err := loader.LoadWithContext(ctx, details, m.settings(details), r.settings)
	if err != nil {
		return details, err
	}
	o := &overlay{path: f.overlay, dir: details.WorkingDir, files: details.ConfigFiles,
		sources: l.sources, explain: l.explain}
	with, err := o.read(bare)
	if err == nil && with != nil {
		details.ConfigFiles = append(slices.Clone(details.ConfigFiles), *with)
	}
	return details, err
}
