package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"bulkhead/engine/container"
	"bulkhead/engine/images"
	"bulkhead/engine/project"
)

type buildVerb struct {
	app                     *app
	o                       images.BuildOptions
	args                    []string
	ssh                     string
	push, quiet, deps, bake bool
}

func (v *buildVerb) command() *cobra.Command {
	c := &cobra.Command{
		Use:               "build [SERVICE…]",
		Short:             "Build images, and leave the containers as they are",
		ValidArgsFunction: v.app.loader.completeServices,
		RunE: func(cmd *cobra.Command, services []string) error {
			return v.run(cmd.Context(), services, cmd.Flags().Changed("ssh"))
		},
	}
	fs := c.Flags()
	fs.BoolVar(&v.push, "push", false, "push the images to their registries")
	fs.BoolVarP(&v.quiet, "quiet", "q", false, "print nothing but errors")
	fs.BoolVar(&v.o.Pull, "pull", false, "ask the registry for newer base images")
	fs.StringArrayVar(&v.args, "build-arg", nil,
		"`KEY=value` for the Dockerfiles, repeatable; KEY alone takes it from the environment")
	fs.StringVar(&v.ssh, "ssh", "", "forward an agent or keys: default, or `ID=PATH`")
	fs.BoolVar(&v.deps, "with-dependencies", false, "build what the services depend on, too")
	fs.StringVar(&v.o.Provenance, "provenance", "", "attest how the image was built: `true`, or mode=max")
	fs.StringVar(&v.o.SBOM, "sbom", "", "attest what is in the image: `true`")
	fs.BoolVar(&v.o.NoCache, "no-cache", false, "take nothing from the cache")
	fs.BoolVar(&v.bake, "print", false,
		"print the builds as a file for `docker buildx bake`, and build nothing")
	fs.BoolVar(&v.o.Check, "check", false, "look for faults in the Dockerfiles, and build nothing")
	return c
}

func (v *buildVerb) run(ctx context.Context, services []string, ssh bool) error {
	if err := v.readArgs(ssh); err != nil {
		return err
	}
	o := v.app.loader.lenient()
	o.Services, o.All = services, true
	p, err := project.Load(ctx, o)
	if err != nil {
		return err
	}
	v.app.console.printWarnings(p)
	names := v.builds(p, services)
	if v.bake {
		return v.printBake(p, names)
	}
	if len(names) == 0 {
		v.app.console.printWarning("no service is built")
		return nil
	}
	if v.app.wouldEach("build %s", names) {
		return nil
	}
	if err := v.app.conn.reach(ctx); err != nil {
		return err
	}
	set := v.app.images(p, v.quiet)
	if _, err := set.Build(ctx, names, v.o); err != nil {
		return v.app.buildFailed(err)
	}
	if v.push {
		return set.Push(ctx, images.PushOptions{Names: names})
	}
	return nil
}

// readArgs reads the flags that are pairs.
func (v *buildVerb) readArgs(ssh bool) error {
	v.o.Args = map[string]string{}
	for _, arg := range v.args {
		key, value, ok := strings.Cut(arg, "=")
		if ok {
			v.o.Args[key] = value
		} else if value, set := v.app.env.vars[key]; set {
			v.o.Args[key] = value
		}
	}
	if !ssh {
		return nil
	}
	id, path, ok := strings.Cut(v.ssh, "=")
	switch {
	case v.ssh == "":
		id = "default"
	case !ok && id != "default":
		return usagef("build: --ssh %s: write default, or ID=PATH", v.ssh)
	}
	key := container.BuildSSH{ID: id}
	if path != "" {
		key.Paths = []string{path}
	}
	v.o.SSH = append(v.o.SSH, key)
	return nil
}

// builds are the services to build: those named, or all; with what they depend on where that is asked for.
func (v *buildVerb) builds(p *project.Project, services []string) []string {
	var names []string
	for _, s := range p.Services {
		if s.Built && (len(services) == 0 || v.deps || slices.Contains(services, s.Name)) {
			names = append(names, s.Name)
		}
	}
	return names
}

// images is the set of a project's images, with progress on stderr.
func (a *app) images(p *project.Project, quiet bool) *images.Set {
	set := &images.Set{
		Runtime: a.conn.rt, Builder: a.conn.builder, Parallel: a.conn.parallel, Project: p,
		Warn: a.console.printWarning,
	}
	if !quiet {
		set.Output = a.console.progressPrinter().text
		set.Report = func(_ images.Kind, line string) { set.Output(line) }
	}
	return set
}

// buildFailed prints the last output of builds that failed, and returns the error.
func (a *app) buildFailed(err error) error {
	for _, e := range allErrors(err) {
		var b *container.BuildError
		if errors.As(e, &b) {
			for _, l := range b.Tail {
				fmt.Fprintf(a.console.stderr, "%s | %s\n", clean(b.Service), clean(l))
			}
		}
	}
	return err
}

// allErrors are those that one was joined from.
func allErrors(err error) []error {
	if j, ok := err.(interface{ Unwrap() []error }); ok {
		return j.Unwrap()
	}
	return []error{err}
}

// printBake prints the builds as a file for buildx bake.
func (v *buildVerb) printBake(p *project.Project, names []string) error {
	set := v.app.images(p, true)
	targets := map[string]any{}
	for _, s := range slices.Concat(p.Services, p.BuildOnly) {
		if !s.Built {
			continue
		}
		r, err := images.Request(set, s, v.o, nil)
		if err != nil {
			return err
		}
		targets[bakeName(s.Name)] = bakeTarget(s, r, v.push)
	}
	group := []string{}
	for _, n := range names {
		group = append(group, bakeName(n))
	}
	return writeJSON(v.app.console.stdout, map[string]any{
		"group": map[string]any{"default": map[string]any{"targets": group}}, "target": targets}, "  ")
}

func bakeName(service string) string { return strings.ReplaceAll(service, ".", "_") }

// bakeFields are the fields of one build in the words of bake; what is empty is left out.
type bakeFields map[string]any

func (t bakeFields) text(key, value string) {
	if value != "" {
		t[key] = value
	}
}

func (t bakeFields) list(key string, value []string) {
	if len(value) > 0 {
		t[key] = value
	}
}

func (t bakeFields) pairs(key string, value map[string]string) {
	if len(value) > 0 {
		t[key] = value
	}
}

// bakeTarget is one build in the words of bake; what is empty is left out.
func bakeTarget(s *project.Service, r container.BuildRequest, push bool) map[string]any {
	t := bakeFields{}
	t.text("context", r.Context)
	if r.DockerfileInline == "" {
		t.text("dockerfile", r.Dockerfile)
	}
	t.text("dockerfile-inline", strings.ReplaceAll(r.DockerfileInline, "${", "$${"))
	args := maps.Clone(r.Args)
	for k := range args {
		args[k] = strings.ReplaceAll(args[k], "${", "$${")
	}
	contexts := map[string]string{}
	for name, where := range s.Config.Build.AdditionalContexts {
		if of, ok := strings.CutPrefix(where, "service:"); ok {
			where = "target:" + bakeName(of)
		}
		contexts[name] = where
	}
	t.pairs("contexts", contexts)
	t.pairs("args", args)
	t.pairs("labels", r.Labels)
	t.list("tags", append(slices.Clone(s.Config.Build.Tags), s.Image))
	t.list("cache-from", r.CacheFrom)
	t.list("cache-to", r.CacheTo)
	t.text("target", r.Target)
	t.list("platforms", s.Config.Build.Platforms)
	t.text("network", r.Network)
	t.list("no-cache-filter", r.NoCacheFilter)
	t.list("entitlements", r.Entitlements)
	if r.Pull {
		t["pull"] = true
	}
	if r.NoCache {
		t["no-cache"] = true
	}
	if r.ShmSize > 0 {
		t["shm-size"] = fmt.Sprint(r.ShmSize)
	}
	var keys []string
	for _, k := range r.SSH {
		keys = append(keys, strings.TrimSuffix(k.ID+"="+strings.Join(k.Paths, ","), "="))
	}
	t.list("ssh", keys)
	switch {
	case r.Check:
		t["call"] = "lint"
	case push && s.Config.Image != "":
		t["output"] = []string{"type=registry"}
	default:
		t["output"] = []string{"type=docker"}
	}
	return t
}
