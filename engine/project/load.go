package project

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/consts"
	"github.com/compose-spec/compose-go/v2/graph"
	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/compose-spec/compose-go/v2/utils"
	"go.yaml.in/yaml/v4"

	"bulkhead/engine/hostfile"
)

// overlayName is the file beside the first Compose file that is merged last.
const overlayName = "compose.bulkhead.yaml"

// slowLoad is when Options.Slow is called.
const slowLoad = 2 * time.Second

// Load reads the files and gives the project. Bad input, a missing file included, is a *LoadError. Loads run one after
// another, whoever calls. When ctx ends Load returns at once with its error, though a read of a pipe or of a file on a
// network may be stuck where nothing interrupts it: the goroutine that does it is left behind.
func Load(ctx context.Context, o Options) (*Project, error) {
	if o.Typed == nil {
		o.Typed = &Typed{}
	}
	type outcome struct {
		p   *Project
		err error
	}
	done := make(chan outcome, 1)
	go func() {
		p, err := o.load(ctx)
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
			return nil, fmt.Errorf("load the Compose files: %w", ctx.Err())
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
	l := &loading{opts: o}
	logged := listen(func() {
		registerRaw()
		p, err = l.load(ctx)
	})
	if err != nil {
		return nil, l.explain(err)
	}
	p.Warnings = l.warnings(p, logged)
	return p, nil
}

// loading is one load under way.
type loading struct {
	opts     Options
	compose  *cli.ProjectOptions // finds the files and the environment
	found    bool                // the files were found, not named
	details  types.ConfigDetails // without the overlay
	named    bool                // a file has `name:`
	overlay  string              // absolute; it need not exist
	sources  *sources
	findings []loader.UnsupportedAttribute
}

func (l *loading) load(ctx context.Context) (*Project, error) {
	if err := l.find(); err != nil {
		return nil, err
	}
	if err := l.read(); err != nil {
		return nil, err
	}
	bare, err := l.parse(ctx, l.details)
	if err != nil {
		return nil, err
	}
	full := bare
	with, err := l.readOverlay(bare)
	if err != nil {
		return nil, err
	}
	if with != nil {
		details := l.details
		details.ConfigFiles = append(slices.Clone(details.ConfigFiles), *with)
		if full, err = l.parse(ctx, details); err != nil {
			return nil, err
		}
	}
	p := &Project{
		Name:     full.Name,
		Dir:      full.WorkingDir,
		Profiles: slices.DeleteFunc(slices.Clone(full.Profiles), func(s string) bool { return s == "" }),
	}
	if len(l.opts.EnvFiles) > 0 {
		p.EnvFiles = l.opts.EnvFiles
	}
	for _, f := range l.details.ConfigFiles {
		p.Files = append(p.Files, f.Filename)
	}
	return p, l.fill(p, bare, full)
}

// find settles which files to read and the environment to read them with, in docker compose's order: .env beside the
// current folder may set COMPOSE_FILE, and the .env of the project's folder is read once that is known.
func (l *loading) find() error {
	env := l.opts.Env
	if env == nil {
		env = os.Environ()
	}
	environment := utils.GetAsEqualsMap(env)
	cwd, err := os.Getwd()
	if err != nil {
		return fmt.Errorf("find the current folder: %w", err)
	}
	if _, ok := environment["PWD"]; !ok {
		env = append(slices.Clone(env), "PWD="+cwd)
	}
	l.sources = &sources{extended: map[string]*source{}, inputs: map[string]bool{}, unread: map[string]error{}, cwd: cwd, dir: cwd}
	if len(l.opts.EnvFiles) == 0 {
		l.opts.EnvFiles = strings.FieldsFunc(environment["COMPOSE_ENV_FILES"], func(r rune) bool { return r == ',' })
	}
	l.opts.EnvFiles = slices.Clone(l.opts.EnvFiles)
	for i, f := range l.opts.EnvFiles {
		l.opts.EnvFiles[i] = join(cwd, f)
	}
	l.compose, err = cli.NewProjectOptions(l.opts.Files,
		cli.WithWorkingDirectory(l.opts.Dir), cli.WithEnv(env), l.envFiles, l.dotEnv,
		cli.WithConfigFileEnv, l.defaultFiles, l.envFiles, l.dotEnv, cli.WithName(l.opts.Name))
	if err != nil {
		return err
	}
	if len(l.compose.ConfigPaths) == 0 {
		dir := cwd
		if l.opts.Dir != "" {
			dir = l.opts.Dir
		}
		return &LoadError{Problem: "no Compose file in " + dir + " or the folders above it",
			Remedy: "write a compose.yaml, or name a file with -f"}
	}
	return nil
}

// envFiles names the env files to read. It is compose-go's, but for asking Options.Env instead of the process.
func (l *loading) envFiles(o *cli.ProjectOptions) error {
	if off, err := strconv.ParseBool(o.Environment[consts.ComposeDisableDefaultEnvFile]); len(l.opts.EnvFiles) > 0 || err != nil || !off {
		return cli.WithEnvFiles(l.opts.EnvFiles...)(o)
	}
	return nil
}

func (l *loading) defaultFiles(o *cli.ProjectOptions) error {
	l.found = len(o.ConfigPaths) == 0
	return cli.WithDefaultConfigPath(o)
}

// read reads the Compose files and notes what else the project depends on.
func (l *loading) read() error {
	dir, err := l.compose.GetWorkingDir()
	if err != nil {
		return fmt.Errorf("find the project folder: %w", err)
	}
	s := l.sources
	s.dir = dir
	s.env = types.Mapping(l.compose.Environment).Resolve
	l.details = types.ConfigDetails{WorkingDir: dir, Environment: l.compose.Environment}
	l.overlay = filepath.Join(dir, overlayName)
	for i, path := range l.compose.ConfigPaths {
		content, err := l.readFile(&path)
		if err != nil {
			return err
		}
		if path != "-" {
			if _, piped := l.opts.Typed.content(path); !piped {
				s.inputs[path] = true
			}
			if i == 0 {
				l.overlay = filepath.Join(filepath.Dir(path), overlayName)
			}
		}
		if err := s.add(path, dir, content); err != nil {
			return l.yamlError(path, err)
		}
		l.details.ConfigFiles = append(l.details.ConfigFiles, types.ConfigFile{Filename: path, Content: content})
		var top struct{ Name string }
		// a file of another shape has no name; what is wrong with it is said later
		_ = yaml.Unmarshal(content, &top)
		l.named = l.named || top.Name != ""
	}
	if s.endless.file != nil {
		return l.endless()
	}
	for _, f := range l.compose.EnvFiles {
		if _, piped := l.opts.Typed.content(f); !piped {
			s.inputs[f] = true
		}
	}
	if len(l.opts.EnvFiles) == 0 {
		s.inputs[filepath.Join(dir, ".env")] = true
	}
	if l.found {
		for _, name := range cli.DefaultOverrideFileNames {
			s.inputs[filepath.Join(filepath.Dir(l.details.ConfigFiles[0].Filename), name)] = true
		}
	}
	// compose-go opens these by itself, and would wait for ever for a pipe.
	return l.vetInputs()
}

func (l *loading) endless() error {
	return l.errorIn(l.sources.endless).say("an alias stands for something that it is part of itself", "remove it")
}

// readFile makes path absolute and reads it.
func (l *loading) readFile(path *string) ([]byte, error) {
	if b, ok := l.opts.Typed.content(*path); ok {
		return b, nil
	}
	*path = join(l.sources.cwd, *path)
	if b, ok := l.opts.Typed.content(*path); ok {
		return b, nil
	}
	b, err := hostfile.Read(*path, hostfile.MaxCompose)
	if err == nil {
		return b, nil
	}
	if e := l.refused(*path, err); e != nil {
		return nil, e
	}
	e := &LoadError{File: inside(l.sources.cwd, *path), Problem: "no such file", Remedy: "name an existing Compose file with -f", Err: err}
	if fi, statErr := os.Stat(*path); statErr == nil && fi.IsDir() {
		e.Problem = "is a folder"
		e.Remedy = "name the Compose file in it"
	} else if !errors.Is(err, fs.ErrNotExist) {
		e.Problem, e.Remedy = "cannot be read: "+cause(err), "make it readable"
	}
	if l.opts.Files == nil && !l.found {
		e.Remedy = "correct COMPOSE_FILE"
	}
	return nil, e
}

// parse lets compose-go load the files, and then selects services and resolves environments as docker compose does.
func (l *loading) parse(ctx context.Context, details types.ConfigDetails) (*types.Project, error) {
	details.Environment = maps.Clone(details.Environment)
	profiles := l.opts.Profiles
	if len(profiles) == 0 {
		for _, p := range strings.Split(details.Environment[consts.ComposeProfiles], ",") {
			profiles = append(profiles, strings.TrimSpace(p))
		}
	}
	p, err := loader.LoadWithContext(ctx, details, func(o *loader.Options) {
		o.SkipResolveEnvironment, o.SkipResolveLabels = true, true // what they read is looked at first
		o.Profiles = profiles
		o.ConvertWindowsPaths = utils.StringToBool(details.Environment["COMPOSE_CONVERT_WINDOWS_PATHS"])
		switch name := details.Environment[consts.ComposeProjectName]; {
		case l.opts.Name != "":
			o.SetProjectName(l.opts.Name, true)
		case name != "":
			o.SetProjectName(name, true)
		case !l.named:
			o.SetProjectName(loader.NormalizeProjectName(filepath.Base(details.WorkingDir)), false)
		}
	}, loader.WithSupportedAttributes(carriedOut(), nil),
		loader.WithUnsupportedAttributesCheck(notCarriedOut(), func(found []loader.UnsupportedAttribute) { l.findings = found }))
	if err != nil {
		return nil, err
	}
	for _, f := range details.ConfigFiles {
		p.ComposeFiles = append(p.ComposeFiles, f.Filename)
	}
	if p, err = l.choose(p); err != nil {
		return nil, err
	}
	if err := l.scale(p); err != nil {
		return nil, err
	}
	if err := l.platforms(p); err != nil {
		return nil, err
	}
	if err := l.check(p); err != nil {
		return nil, err
	}
	if err := l.vetNamed(p); err != nil {
		return nil, err
	}
	if p, err = p.WithServicesEnvironmentResolved(true); err != nil {
		return nil, err
	}
	return p.WithServicesLabelsResolved(false)
}

// choose enables the services that were asked for with all they depend on, and drops what then nobody uses.
func (l *loading) choose(p *types.Project) (*types.Project, error) {
	if len(l.opts.Services) > 0 {
		all := p.AllServices()
		wanted := map[string]bool{}
		var want func(name, by string) error
		want = func(name, by string) error {
			s, ok := all[name]
			if !ok {
				return l.noService(name, all)
			}
			if wanted[name] {
				return nil
			}
			wanted[name] = true
			for dep, d := range s.DependsOn {
				// an optional dependency comes along when it is enabled anyway
				if _, enabled := p.Services[dep]; enabled || d.Required {
					if err := want(dep, name); err != nil {
						return err
					}
				}
			}
			return nil
		}
		for _, name := range l.opts.Services {
			if err := want(name, ""); err != nil {
				return nil, err
			}
		}
		var err error
		if p, err = p.WithServicesEnabled(slices.Collect(maps.Keys(wanted))...); err != nil {
			return nil, err
		}
		if p, err = p.WithSelectedServices(l.opts.Services); err != nil {
			return nil, err
		}
	}
	return p.WithoutUnnecessaryResources(), nil
}

// check repeats compose-go's checks where they saw a service that was still disabled by its profile, and adds those that
// the engine would otherwise make when half of the project runs.
func (l *loading) check(p *types.Project) error {
	for name, s := range p.Services {
		undefined := func(kind, resource string) error { return l.undefinedResource([]string{name, kind, resource}) }
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
		for _, c := range s.Configs {
			if _, ok := p.Configs[c.Source]; !ok {
				return undefined("config", c.Source)
			}
		}
		for _, c := range s.Secrets {
			if _, ok := p.Secrets[c.Source]; !ok {
				return undefined("secret", c.Source)
			}
		}
		policy, retries, _ := strings.Cut(s.Restart, ":")
		policies := []string{"no", "always", "on-failure", "unless-stopped"}
		if _, err := strconv.Atoi(retries); s.Restart != "" && !slices.Contains(policies, policy) || retries != "" && (err != nil || policy != "on-failure") {
			return l.errorAt("services", name, "restart").say(fmt.Sprintf("services.%s.restart: %q is not known", name, s.Restart),
				orNearest(policy, policies, "write one of no, always, on-failure, on-failure:3, unless-stopped"))
		}
	}
	byName := map[string]string{}
	for _, name := range p.ServiceNames() {
		container := p.Services[name].ContainerName
		if other := byName[container]; other != "" && container != "" {
			return l.errorAt("services", name, "container_name").
				say(fmt.Sprintf("%s and %s have the same container_name %s", other, name, container), "give each its own")
		}
		byName[container] = name
	}
	return graph.CheckCycle(p)
}

func (l *loading) noService(name string, all types.Services) error {
	names := slices.Sorted(maps.Keys(all))
	return &LoadError{Problem: fmt.Sprintf("no service %q", name),
		Remedy: orNearest(name, names, "there are: "+strings.Join(names, ", "))}
}

func (l *loading) scale(p *types.Project) error {
	for _, name := range slices.Sorted(maps.Keys(l.opts.Scale)) {
		n := l.opts.Scale[name]
		s, ok := p.Services[name]
		if !ok {
			return l.noService(name, p.Services)
		}
		if n < 0 {
			return &LoadError{Problem: fmt.Sprintf("scale %s=%d: less than 0", name, n), Remedy: "give 0 or more"}
		}
		if n > 1 && s.ContainerName != "" {
			e := l.errorAt("services", name, "container_name")
			e.Problem = fmt.Sprintf("%s has a container_name, so it cannot run %d times", name, n)
			e.Remedy = "remove container_name"
			return e
		}
		s.SetScale(n)
		p.Services[name] = s
	}
	return nil
}

// platforms puts DOCKER_DEFAULT_PLATFORM on services that are built, and leaves a build at most the one platform that
// the container will run on.
func (l *loading) platforms(p *types.Project) error {
	def := p.Environment["DOCKER_DEFAULT_PLATFORM"]
	for name, s := range p.Services {
		if s.Build == nil {
			continue
		}
		from := "platform"
		if s.Platform == "" && def != "" {
			s.Platform, from = def, "DOCKER_DEFAULT_PLATFORM"
		}
		b := *s.Build
		if s.Platform != "" && len(b.Platforms) > 0 && !slices.Contains(b.Platforms, s.Platform) {
			e := l.errorAt("services", name, "build", "platforms")
			e.Problem = fmt.Sprintf("services.%s.build.platforms does not have %s, which %s asks for", name, s.Platform, from)
			e.Remedy = "add it to the list"
			return e
		}
		switch {
		case s.Platform != "":
			b.Platforms = types.StringList{s.Platform}
		case len(b.Platforms) > 1:
			b.Platforms = nil
		}
		s.Build = &b
		p.Services[name] = s
	}
	return nil
}
