package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v4"

	"bulkhead/engine/container"
	"bulkhead/engine/logs"
	"bulkhead/engine/project"
)

type configVerb struct {
	app            *app
	asJSON, quiet  bool
	format, output string
	hash           string
	digests, lock  bool
	render         project.Rendering
	// one of them prints a list in the place of the project
	services, volumes, networks, models, profiles, images, variables, environment bool
}

func (v *configVerb) command() *cobra.Command {
	c := &cobra.Command{
		Use:               "config [SERVICE…]",
		Aliases:           []string{"convert"},
		Short:             "Print the loaded project",
		Long:              "Print the loaded project as YAML: merged, interpolated, with compose.bulkhead.yaml. Exit code 2 when it does not load.",
		ValidArgsFunction: v.app.loader.completeServices,
		RunE:              func(cmd *cobra.Command, services []string) error { return v.run(cmd, services) },
	}
	fs := c.Flags()
	fs.BoolVar(&v.asJSON, "json", false, "as --format json")
	fs.StringVar(&v.format, "format", "", "`how` to print: yaml or json; --variables: table too")
	fs.StringVarP(&v.output, "output", "o", "", "write to a `file`")
	fs.BoolVarP(&v.quiet, "quiet", "q", false, "print nothing; the exit code says whether it loads")
	fs.StringVar(&v.hash, "hash", "",
		"lines of service and hash, by which docker compose recreates containers: of all `services`, or of those named")
	fs.Lookup("hash").NoOptDefVal = "*"
	fs.BoolVar(&v.digests, "resolve-image-digests", false,
		"with the digests that the registries have for the tags of images")
	fs.BoolVar(&v.lock, "lock-image-digests", false, "as an override file with the digests of the images alone")
	fs.BoolVar(&v.render.NoInterpolation, "no-interpolate", false, "leave variables as they are written")
	fs.BoolVar(&v.render.NoNormalization, "no-normalize", false,
		"do not add what the specification adds by itself")
	fs.BoolVar(&v.render.NoPaths, "no-path-resolution", false, "leave paths as they are written")
	fs.BoolVar(&v.render.NoConsistency, "no-consistency", false, "do not compare the parts with each other")
	fs.BoolVar(&v.render.NoEnvironment, "no-env-resolution", false, "do not read env_file")
	fs.BoolVar(&v.services, "services", false, "names of services only, after those that they depend on")
	fs.BoolVar(&v.volumes, "volumes", false, "names of volumes only")
	fs.BoolVar(&v.networks, "networks", false, "names of networks only")
	fs.BoolVar(&v.models, "models", false, "names of models only")
	fs.BoolVar(&v.profiles, "profiles", false, "names of profiles only")
	fs.BoolVar(&v.images, "images", false, "names of images only")
	fs.BoolVar(&v.variables, "variables", false,
		"the variables that the files refer to, with what stands for them")
	fs.BoolVar(&v.environment, "environment", false, "the variables that there are for them")
	completeWords(c, "format", "yaml", "json", "table")
	exclusive(c, "json", "hash", "quiet")
	exclusive(c, "json", "format")
	return c
}

func (v *configVerb) run(cmd *cobra.Command, services []string) error {
	ctx := cmd.Context()
	out, err := v.text(ctx, cmd.Flags().Changed("hash"), services)
	if err != nil || v.quiet {
		return err
	}
	if v.output != "" && len(out) > 0 {
		if err := os.WriteFile(v.output, out, 0o666); err != nil {
			return fmt.Errorf("config: write %s: %w", v.output, err)
		}
		return nil
	}
	_, err = v.app.console.stdout.Write(out)
	return err
}

// text is what is to be printed.
func (v *configVerb) text(ctx context.Context, hash bool, services []string) ([]byte, error) {
	switch {
	case v.asJSON:
		v.format = "json"
	case v.format == "" && !v.variables:
		v.format = "yaml"
	}
	if !v.variables && v.format != "yaml" && v.format != "json" {
		return nil, usagef("config: --format %s: write yaml or json", v.format)
	}
	v.render.NoNormalization = v.render.NoNormalization || v.app.loader.flags.compatible
	switch {
	case hash:
		return v.hashes(ctx, services)
	case v.variables:
		return v.variableLines(ctx)
	case v.services || v.volumes || v.networks || v.models || v.profiles || v.images || v.environment:
		return v.names(ctx, services)
	case v.render.NoInterpolation:
		return v.model(ctx, services)
	}
	return v.project(ctx, services)
}

// load is the project as docker compose loads it for printing. Where nothing is left out it is the
// one that up runs, judged in the same way.
func (v *configVerb) load(ctx context.Context, services []string) (*types.Project, error) {
	o := v.app.loader.options()
	o.Services = services
	// what prints names alone reads no env_file, as docker compose has it
	o.EnvOptional = v.services || v.volumes || v.networks || v.models
	if v.render != (project.Rendering{}) {
		return project.Render(ctx, o, v.render)
	}
	p, err := project.Load(ctx, o)
	if err != nil {
		return nil, err
	}
	v.app.console.printWarnings(p)
	return p.Compose, nil
}

func (v *configVerb) project(ctx context.Context, services []string) ([]byte, error) {
	p, err := v.load(ctx, services)
	if err == nil && (v.digests || v.lock) {
		p, err = v.withDigests(ctx, p)
	}
	if err != nil {
		return nil, err
	}
	if v.lock {
		p = imagesOnly(p)
	}
	var out []byte
	if v.format == "json" {
		out, err = p.MarshalJSON()
		out = escaped(out)
		if v.asJSON {
			out = append(out, '\n')
		}
	} else {
		out, err = p.MarshalYAML()
	}
	if err != nil {
		return nil, fmt.Errorf("write project %s: %w", p.Name, err)
	}
	return escapeDollars(out), nil
}

// escapeDollars writes each dollar sign twice, as docker compose does, so that what is printed loads
// again as the same project.
func escapeDollars(out []byte) []byte { return bytes.ReplaceAll(out, []byte("$"), []byte("$$")) }

// withDigests replaces the tags of images by what their registries have for them.
func (v *configVerb) withDigests(ctx context.Context, p *types.Project) (*types.Project, error) {
	if err := v.app.conn.reach(ctx); err != nil {
		return nil, err
	}
	registry, err := capability[container.Pusher](v.app.conn.rt, "ask registries for digests")
	if err != nil {
		return nil, err
	}
	return p.WithImagesResolved(func(named reference.Named) (digest.Digest, error) {
		d, err := registry.RemoteDigest(ctx, named.String())
		return digest.Digest(d), err
	})
}

// imagesOnly leaves the images of services, and the volumes that are images.
func imagesOnly(p *types.Project) *types.Project {
	out := &types.Project{Services: types.Services{}}
	for name, s := range p.Services {
		service := types.ServiceConfig{ContainerSpec: types.ContainerSpec{Image: s.Image}}
		for _, vol := range s.Volumes {
			if vol.Type == types.VolumeTypeImage {
				service.Volumes = append(service.Volumes, vol)
			}
		}
		out.Services[name] = service
	}
	return out
}

// model is the tree of the files, whose variables stand as they are written.
func (v *configVerb) model(ctx context.Context, services []string) ([]byte, error) {
	if v.digests || v.lock {
		return nil, usagef(
			"config: an image whose variables are not replaced has no digest; leave --no-interpolate out")
	}
	if len(services) > 0 {
		v.app.console.printWarning("config: --no-interpolate prints all services")
	}
	model, err := project.Model(ctx, v.app.loader.options(), v.render)
	if err != nil {
		return nil, err
	}
	if v.format == "json" {
		out, err := json.MarshalIndent(model, "", "  ")
		return escaped(out), err
	}
	var out bytes.Buffer
	e := yaml.NewEncoder(&out)
	e.SetIndent(2)
	err = e.Encode(model)
	return out.Bytes(), err
}

// hashes are lines of service and hash. --hash takes names itself, and those after it.
func (v *configVerb) hashes(ctx context.Context, services []string) ([]byte, error) {
	services = strings.FieldsFunc(strings.Join(append(services, v.hash), ","), func(r rune) bool {
		return r == ',' || r == '*'
	})
	p, err := v.app.loader.load(ctx, services...)
	if err != nil {
		return nil, err
	}
	v.app.console.printWarnings(p)
	for _, name := range services {
		if p.Service(name) == nil {
			return nil, fmt.Errorf("config --hash %s: it is not enabled; enable its profile", name)
		}
	}
	var out []byte
	for _, s := range p.Services {
		if len(services) == 0 || slices.Contains(services, s.Name) {
			out = fmt.Appendf(out, "%s %s\n", s.Name, s.Hash)
		}
	}
	return out, nil
}

func (v *configVerb) variableLines(ctx context.Context) ([]byte, error) {
	all, err := project.Variables(ctx, v.app.loader.options())
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	switch v.format {
	case "yaml":
		tree := map[string]any{}
		for _, x := range all {
			tree[x.Name] = map[string]any{"name": x.Name, "defaultvalue": x.Default,
				"presencevalue": x.Presence, "required": x.Required}
		}
		b, err := yaml.Marshal(tree)
		return b, err
	case "json":
		tree := map[string]any{}
		for _, x := range all {
			tree[x.Name] = map[string]any{"Name": x.Name, "DefaultValue": x.Default,
				"PresenceValue": x.Presence, "Required": x.Required}
		}
		b, err := plainJSON(tree, "    ")
		return append(b, '\n'), err
	}
	err = writeList(&out, v.format, false, []string{"NAME", "REQUIRED", "DEFAULT VALUE",
		"ALTERNATE VALUE"}, all,
		func(x project.Variable) []any { return []any{x.Name, x.Required, x.Default, x.Presence} })
	return out.Bytes(), err
}

// names are the lists that stand in the place of the project.
func (v *configVerb) names(ctx context.Context, services []string) ([]byte, error) {
	if v.render.NoInterpolation && v.services {
		return v.modelServices(ctx)
	}
	p, err := v.load(ctx, services)
	if err != nil {
		return nil, err
	}
	var lines []string
	text := clean
	switch {
	case v.services:
		err = p.ForEachService(p.ServiceNames(), func(name string, _ *types.ServiceConfig) error {
			lines = append(lines, name)
			return nil
		})
	case v.volumes:
		lines = slices.Sorted(maps.Keys(p.Volumes))
	case v.networks:
		lines = slices.Sorted(maps.Keys(p.Networks))
	case v.models:
		for _, name := range slices.Sorted(maps.Keys(p.Models)) {
			if model := p.Models[name].Model; model != "" {
				lines = append(lines, model)
			}
		}
	case v.profiles:
		lines = p.AllServices().GetProfiles()
		slices.Sort(lines)
		lines = slices.Compact(lines)
	case v.images:
		lines = v.imageNames(p)
	default:
		// A value of several lines, as that of a key, stays so.
		for _, l := range slices.Sorted(slices.Values(p.Environment.Values())) {
			lines = append(lines, strings.Split(l, "\n")...)
		}
		text = func(l string) string { return string(logs.Tabbed(nil, []byte(l), false)) }
	}
	var out []byte
	for _, l := range lines {
		out = fmt.Appendln(out, text(l))
	}
	return out, err
}

// imageNames are those of services and of their hooks.
func (v *configVerb) imageNames(p *types.Project) []string {
	separator := "-"
	if v.app.loader.flags.compatible {
		separator = "_"
	}
	var lines []string
	for _, name := range p.ServiceNames() {
		s := p.Services[name]
		image := s.Image
		if image == "" {
			image = p.Name + separator + name
		}
		lines = append(lines, image)
		for _, h := range s.PreStart {
			if h.Image != "" && h.Image != image {
				lines = append(lines, h.Image)
			}
		}
	}
	return lines
}

// modelServices are the names in files whose variables are not replaced.
func (v *configVerb) modelServices(ctx context.Context) ([]byte, error) {
	model, err := project.Model(ctx, v.app.loader.options(), v.render)
	if err != nil {
		return nil, err
	}
	services, ok := model["services"].(map[string]any)
	if !ok {
		return nil, errors.New("config: the files have no services")
	}
	var out []byte
	for _, name := range slices.Sorted(maps.Keys(services)) {
		out = fmt.Appendln(out, clean(name))
	}
	return out, nil
}
