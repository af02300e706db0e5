package project

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/compose-spec/compose-go/v2/consts"
	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/schema"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/compose-spec/compose-go/v2/utils"
)

// slowLoad is when Options.Slow is called.
const slowLoad = 2 * time.Second

// Warm does what only the first load of a process has to do and no file is needed for: it compiles the
// schema of Compose files, for which every load waits. It is for a goroutine of its own while a program starts.
func Warm() {
	// of a schema that is broken each load says so
	_ = schema.Validate(map[string]any{"services": map[string]any{}})
}

// Load reads the files and returns the project. Bad input, a missing file included, is a *LoadError.
// Loads run one after another, whoever calls. When ctx ends Load returns at once with its error,
// though a read of a pipe or of a file on a network may be stuck where nothing interrupts it: the
// goroutine that does it is left behind.
func Load(ctx context.Context, o Options) (*Project, error) {
	return await(ctx, &o, func() (*Project, error) { return o.load(ctx) })
}

// await runs a load in the background, as Load describes.
func await[T any](ctx context.Context, o *Options, load func() (T, error)) (T, error) {
	if o.Typed == nil {
		o.Typed = &Typed{}
	}
	type outcome struct {
		p   T
		err error
	}
	done := make(chan outcome, 1)
	go func() {
		p, err := load()
		done <- outcome{p, err}
	}()
	slow := time.NewTimer(slowLoad)
	defer slow.Stop()
	for {
		select {
		case r := <-done:
			return r.p, r.err
		case <-slow.C:
			if o.Slow != nil {
				o.Slow(o.Typed.current())
			}
		case <-ctx.Done():
			var none T
			return none, fmt.Errorf("load the Compose files: %w", ctx.Err())
		}
	}
}

func (o Options) load(ctx context.Context) (p *Project, err error) {
	defer func() {
		// compose-go takes the shape of some things for granted once its schema has passed them
		if r := recover(); r != nil {
			p, err = nil, &LoadError{Problem: fmt.Sprintf("compose-go stumbled over the files: %.200v", r),
				Remedy: "take back what was written last"}
		}
	}()
	// Before the lock that all loads share: it may take for ever.
	if err := o.readTyped(); err != nil {
		return nil, err
	}
	cwd, err := os.Getwd()
	if err != nil {
		return nil, fmt.Errorf("find the current folder: %w", err)
	}
	src := newSources(cwd)
	l := &loading{opts: o, sources: src, explain: &explainer{src}}
	w := &warner{sources: src}
	logged := listen(func() {
		registerRaw()
		w.p, w.findings, err = l.load(ctx)
	})
	if err != nil {
		return nil, l.explain.explain(err)
	}
	w.p.Warnings = w.warnings(logged)
	return w.p, nil
}

// loading is one load under way: it calls the parts in their order.
type loading struct {
	opts    Options
	sources *sources
	explain *explainer
}

// load returns the project and what compose-go found in the files that is not
// carried out.
func (l *loading) load(ctx context.Context) (*Project, []loader.UnsupportedAttribute, error) {
	f := &finder{opts: l.opts, sources: l.sources, explain: l.explain}
	if err := f.find(); err != nil {
		return nil, nil, err
	}
	files, err := f.read()
	if err != nil {
		return nil, nil, err
	}
	shell := newNamed(f.shell)
	for _, doc := range l.sources.docs() {
		shell.note(doc)
	}
	m := &merger{opts: l.opts, titled: files.titled, named: shell, sources: l.sources, explain: l.explain}
	bare, err := m.merge(ctx, files.details)
	if err != nil {
		return nil, nil, err
	}
	full := bare
	o := &overlay{path: files.overlay, dir: files.details.WorkingDir,
		files: files.details.ConfigFiles, sources: l.sources, explain: l.explain}
	with, err := o.read(bare)
	if err != nil {
		return nil, nil, err
	}
	if with != nil {
		for _, doc := range l.sources.docs() {
			shell.note(doc) // the overlay's too
		}
		details := files.details
		details.ConfigFiles = append(slices.Clone(details.ConfigFiles), *with)
		if full, err = m.merge(ctx, details); err != nil {
			return nil, nil, err
		}
	}
	p := &Project{
		Name: full.Name, Separator: "-",
		Dir:      full.WorkingDir,
		Profiles: slices.DeleteFunc(slices.Clone(full.Profiles), func(s string) bool { return s == "" }),
	}
	if l.opts.Compatible || utils.StringToBool(full.Environment["COMPOSE_COMPATIBILITY"]) {
		p.Separator = "_"
	}
	if len(f.opts.EnvFiles) > 0 {
		p.EnvFiles = f.opts.EnvFiles
	}
	for _, file := range files.details.ConfigFiles {
		p.Files = append(p.Files, file.Filename)
	}
	l.sources.inputs[files.overlay] = true
	a := &assembler{p: p, sources: l.sources, links: &links{dir: files.details.WorkingDir,
		sources: l.sources}, named: shell, unresolved: m.unresolved}
	return p, m.findings, a.fill(bare, full)
}

// merger lets compose-go merge files into a project.
type merger struct {
	opts     Options
	titled   bool // a file has `name:`
	named    *named
	sources  *sources
	explain  *explainer
	findings []loader.UnsupportedAttribute // of the last merge
	limit    *budget                       // of what variables bring into it
	// services whose env_file could not be read in it, though that is no error
	unresolved map[string]error
}

// settings are what compose-go has to know beside the files, as docker compose says it.
func (m *merger) settings(details types.ConfigDetails) func(*loader.Options) {
	profiles := m.opts.Profiles
	if len(profiles) == 0 {
		for _, p := range strings.Split(details.Environment[consts.ComposeProfiles], ",") {
			profiles = append(profiles, strings.TrimSpace(p))
		}
	}
	return func(o *loader.Options) {
		o.SkipResolveEnvironment, o.SkipResolveLabels = true, true // what they read is looked at first
		o.Interpolate.Substitute = m.named.substitute
		m.limit = limitInterpolation(o.Interpolate)
		o.Profiles = profiles
		o.ConvertWindowsPaths = utils.StringToBool(details.Environment["COMPOSE_CONVERT_WINDOWS_PATHS"])
		switch name := details.Environment[consts.ComposeProjectName]; {
		case m.opts.Name != "":
			o.SetProjectName(m.opts.Name, true)
		case name != "":
			o.SetProjectName(name, true)
		case !m.titled:
			o.SetProjectName(loader.NormalizeProjectName(filepath.Base(details.WorkingDir)), false)
		}
	}
}

// merge lets compose-go load the files, and then selects services and resolves environments as docker compose does.
func (m *merger) merge(ctx context.Context, details types.ConfigDetails) (*types.Project, error) {
	details.Environment = maps.Clone(details.Environment)
	p, err := loader.LoadWithContext(ctx, details, m.settings(details),
		loader.WithSupportedAttributes(carriedOut(), nil),
		loader.WithUnsupportedAttributesCheck(notCarriedOut(),
			func(found []loader.UnsupportedAttribute) { m.findings = found }))
	if m.limit != nil && m.limit.spent {
		return nil, m.sources.exceeded("")
	}
	if err != nil {
		return nil, err
	}
	for _, f := range details.ConfigFiles {
		p.ComposeFiles = append(p.ComposeFiles, f.Filename)
	}
	s := &selection{services: m.opts.Services, all: m.opts.All, noDeps: m.opts.NoDeps,
		scale: m.opts.Scale, pull: m.opts.Pull, sources: m.sources}
	if p, err = s.choose(p); err != nil {
		return nil, err
	}
	if err := s.setScale(p); err != nil {
		return nil, err
	}
	s.setPull(p)
	c := &checker{sources: m.sources, explain: m.explain}
	if err := c.platforms(p); err != nil {
		return nil, err
	}
	if err := c.check(p); err != nil {
		return nil, err
	}
	if err := m.sources.vetNamed(p); err != nil {
		return nil, err
	}
	p, m.unresolved, err = m.sources.resolveEnvironments(p, m.explain, m.opts.EnvOptional)
	if err != nil {
		return nil, err
	}
	return p.WithServicesLabelsResolved(false)
}
