// Package oneoff makes the containers that `run` runs beside those of a service: it changes the
// service as a person asked for on the command line, gets its image, networks and volumes ready,
// and creates the container, with the names and labels of docker compose. It starts no dependencies
// and runs nothing: ui/cli calls it, once they are up.
package oneoff

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/compose-spec/compose-go/v2/types"

	"bulkhead/engine/container"
	"bulkhead/engine/images"
	"bulkhead/engine/plan"
	"bulkhead/engine/project"
	"bulkhead/engine/resource"
	"bulkhead/engine/step"
)

// Maker makes one-offs of a project. All fields but Report are required.
type Maker struct {
	Runtime *container.Complete
	Builder container.Builder
	Project *project.Project
	Report  func(kind images.Kind, line string) // a line for each thing done; may be nil
}

// Made is a one-off that is not started yet.
type Made struct {
	ID   string
	Name string
	Spec container.CreateSpec
}

// Make creates the one-off of a service.
func (m *Maker) Make(ctx context.Context, service string, o Options) (*Made, error) {
	of := m.Project.Service(service)
	if of == nil {
		return nil, fmt.Errorf("run %s: no such service", service)
	}
	slug, err := newSlug()
	if err != nil {
		return nil, err
	}
	s, err := o.apply(m.Project, of)
	if err != nil {
		return nil, fmt.Errorf("run %s: %w", service, err)
	}
	name := o.Name
	if name == "" {
		name = strings.Join([]string{m.Project.Name, service, "run", slug[:12]},
			cmp.Or(m.Project.Separator, "-"))
	}
	s.Config.ContainerName, s.Bare.ContainerName = name, name
	if s.Hash, err = project.ServiceHash(s.Bare); err != nil {
		return nil, err
	}
	img, err := m.image(ctx, s, o)
	if err != nil {
		return nil, err
	}
	made := func(what string) { m.report(images.Making, what) }
	resources := resource.New(m.Runtime, made, func(_, _, _ string) {})
	if _, err := resources.Provide(ctx, m.Project, s, false); err != nil {
		return nil, err
	}
	spec := container.CreateSpec{
		App: step.App(m.Project), Service: step.Wanted(s), Image: img,
		Beside: &container.Beside{Slug: slug, Remove: o.Remove, Aliases: o.UseAliases, Stdin: o.Interactive},
	}
	if spec.Parents, err = m.parents(ctx, s); err != nil {
		return nil, err
	}
	if spec.Hash, err = project.ConfigHash(s, spec.Parents); err != nil {
		return nil, err
	}
	id, err := m.Runtime.Create(ctx, spec)
	if err != nil {
		return nil, container.WrapErr(err, "run %s", service)
	}
	m.report(images.Making, "container "+name+" created")
	return &Made{ID: id, Name: name, Spec: spec}, nil
}

// Start starts a one-off. Its hooks are PostStart's.
func (m *Maker) Start(ctx context.Context, made *Made) error {
	return m.Runtime.Start(ctx, made.Spec, made.ID)
}

// PostStart runs the post_start hooks of the one-off's service in it. emit gets each line of their output.
func (m *Maker) PostStart(ctx context.Context, made *Made, emit func(line []byte)) error {
	s := made.Spec.Service
	return step.RunHooks(ctx, m.Runtime, s.Name, made.ID, "post_start", s.Config.PostStart, emit)
}

func (m *Maker) report(kind images.Kind, line string) {
	if m.Report != nil {
		m.Report(kind, line)
	}
}

// newSlug is a name that no other one-off has.
func newSlug() (string, error) {
	b := make([]byte, 32)
	if _, err := rand.Read(b); err != nil {
		return "", fmt.Errorf("make a name for a one-off: %w", err)
	}
	return hex.EncodeToString(b), nil
}

// parents returns the ids of the first containers of the services that one joins or takes volumes from.
func (m *Maker) parents(ctx context.Context, s *project.Service) (map[string]string, error) {
	names := s.Parents()
	if len(names) == 0 {
		return nil, nil
	}
	all, err := m.Runtime.Instances(ctx, m.Project.Name)
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	for _, in := range all { // sorted by service and number
		if slices.Contains(names, in.Service) && out[in.Service] == "" {
			out[in.Service] = in.ID
		}
	}
	for _, name := range names {
		if out[name] == "" {
			return nil, container.WithRemedy(container.Failed("run "+s.Name,
				"it joins the container of %s, which has none", name), "`bulkhead up -d %s` makes it", name)
		}
	}
	return out, nil
}

// image finds, pulls or builds the image of a service, as an up of it would.
func (m *Maker) image(ctx context.Context, s *project.Service, o Options) (container.Image, error) {
	asked := *s
	if o.Pull != "" {
		asked.Config.PullPolicy = o.Pull
	}
	seen := plan.ImageSeen{Service: &asked, First: true, Now: time.Now()}
	if o.Build || asked.Config.PullPolicy == types.PullPolicyBuild {
		seen.Policy = plan.BuildAlways
	}
	builder := s
	if !s.Built {
		if builder = m.Project.Maker(s.Image); builder != nil {
			seen.Maker, seen.Beside = builder.Name, true // nobody else is about to build it
		}
	}
	img, err := m.Runtime.Image(ctx, s.Image, s.Config.Platform)
	switch {
	case err == nil:
		seen.Have = &img
	case !errors.Is(err, container.ErrNotFound):
		return img, container.WrapErr(err, "look for image %s", s.Image)
	}
	st, err := plan.DecideImage(seen)
	if err != nil {
		return img, err
	}
	switch st.Op {
	case plan.Build, plan.Await:
		set := &images.Set{
			Runtime: m.Runtime, Builder: m.Builder, Project: m.Project, Report: m.report,
			Warn: func(line string) { m.report(images.KindUnknown, "warning: "+line) },
		}
		_, err = set.Build(ctx, []string{builder.Name}, images.BuildOptions{})
	case plan.Pull:
		m.report(images.PullStep, s.Name+": pulling "+s.Image)
		if err = m.Runtime.Pull(ctx, s.Image, s.Config.Platform, nil); err != nil {
			err = container.WrapErr(err, "pull %s for %s", s.Image, s.Name)
		}
	default:
		return img, nil
	}
	if err != nil {
		return img, err
	}
	return m.Runtime.Image(ctx, s.Image, s.Config.Platform)
}
