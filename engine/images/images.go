// Package images makes, fetches and sends the images of a project's services without running any of
// them: what build, pull and push do. It decides which images that are and in which order; a builder
// and a runtime, handed in by the verbs, do the work. It prints nothing: Set.Report gets the lines.
package images

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/compose-spec/compose-go/v2/types"
	"golang.org/x/sync/errgroup"

	"bulkhead/engine/container"
	"bulkhead/engine/project"
	"bulkhead/engine/step"
)

// Kind is what a line of progress is about.
type Kind uint8

const (
	KindUnknown Kind = iota
	Making           // a container or an image as a whole
	BuildStep        // a step of a build
	PullStep         // an image on its way here
)

// Set is the images of a project.
type Set struct {
	Runtime container.Runtime
	Builder container.Builder
	Project *project.Project
	// is called for each thing done; from any goroutine, one at a time; nil: nobody
	Report func(kind Kind, line string)
	Warn   func(line string) // likewise, for what a person should know
	Output func(line string) // likewise, for what builds print; nil: nobody
	// Parallel is how many builds run at a time; 0: no limit. Pulls and pushes are the runtime's to limit.
	Parallel int

	mu sync.Mutex
}

func (s *Set) report(kind Kind, format string, args ...any) {
	if s.Report != nil {
		s.line(func(line string) { s.Report(kind, line) }, format, args...)
	}
}

func (s *Set) warn(format string, args ...any) { s.line(s.Warn, format, args...) }

func (s *Set) line(to func(string), format string, args ...any) {
	if to == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	to(fmt.Sprintf(format, args...))
}

// BuildOptions change all builds of a Set.
type BuildOptions struct {
	Args             map[string]string // over those of the file
	SSH              []container.BuildSSH
	NoCache, Pull    bool
	Provenance, SBOM string // over those of the file
	Check            bool   // look at the Dockerfiles, and make no image
}

// Apply puts the options into a request.
func (o BuildOptions) Apply(r *container.BuildRequest) {
	for k, v := range o.Args {
		r.Args[k] = v
	}
	r.SSH = append(slices.Clone(r.SSH), o.SSH...)
	r.NoCache, r.Pull = r.NoCache || o.NoCache, r.Pull || o.Pull
	if o.Provenance != "" {
		r.Provenance = o.Provenance
	}
	if o.SBOM != "" {
		r.SBOM = o.SBOM
	}
	r.Check = o.Check
}

// service returns a service that has build:, also one that is only built for others.
func (s *Set) service(name string) *project.Service {
	for _, o := range slices.Concat(s.Project.Services, s.Project.BuildOnly) {
		if o.Name == name {
			return o
		}
	}
	return nil
}

// Build makes the images of services, at the same time where none begins with another's, and returns
// how many. What does not work does not end the others.
func (s *Set) Build(ctx context.Context, names []string, o BuildOptions) (made int, err error) {
	b := &building{set: s, o: o, runs: map[string]*oneBuild{}}
	if s.Parallel > 0 {
		b.slots = make(chan struct{}, s.Parallel)
	}
	var errs []error
	var started []*oneBuild
	for _, name := range names {
		if svc := s.service(name); svc != nil && svc.Built {
			started = append(started, b.start(ctx, svc))
		}
	}
	for _, r := range started {
		<-r.done
		errs = append(errs, r.err)
	}
	return len(started), errors.Join(errs...)
}

// building is one Build.
type building struct {
	set   *Set
	o     BuildOptions
	slots chan struct{} // room for the builds that run at a time; nil: no limit

	mu   sync.Mutex
	runs map[string]*oneBuild // by service
}

type oneBuild struct {
	done chan struct{}
	err  error
}

// start builds a service's image in the background, once.
func (b *building) start(ctx context.Context, svc *project.Service) *oneBuild {
	b.mu.Lock()
	defer b.mu.Unlock()
	if r := b.runs[svc.Name]; r != nil {
		return r
	}
	r := &oneBuild{done: make(chan struct{})}
	b.runs[svc.Name] = r
	go func() {
		defer close(r.done)
		defer func() {
			if p := recover(); p != nil {
				r.err = fmt.Errorf("build %s: panic: %v", svc.Name, p)
			}
		}()
		r.err = b.one(ctx, svc)
	}()
	return r
}

func (b *building) one(ctx context.Context, svc *project.Service) error {
	s := b.set
	req, err := Request(s, svc, b.o, func(of *project.Service) error {
		r := b.start(ctx, of)
		select {
		case <-r.done:
			return r.err
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	if err != nil {
		return err
	}
	if b.slots != nil {
		select {
		case b.slots <- struct{}{}:
			defer func() { <-b.slots }()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	s.report(Making, "%s: building %s", svc.Name, svc.Image)
	seen := map[string]bool{}
	res, err := s.Builder.Build(ctx, req, func(p container.BuildProgress) {
		for _, st := range p.Steps {
			if !st.Started.IsZero() && !seen[st.Name] && !st.Internal {
				seen[st.Name] = true
				s.report(BuildStep, "%s: build: %s", svc.Name, st.Name)
			}
		}
		for _, l := range p.Output {
			s.line(s.Output, "%s: | %s", svc.Name, l)
		}
	})
	for _, n := range res.Notices {
		s.warn("%s: %s", svc.Name, n)
	}
	if err == nil && !b.o.Check {
		s.report(Making, "%s: built %s", svc.Name, svc.Image)
	}
	return err
}

// Request is what a builder gets for a service. built is called for each service whose image the
// build begins with, and may be nil.
func Request(
	s *Set, svc *project.Service, o BuildOptions, built func(*project.Service) error,
) (container.BuildRequest, error) {
	req, err := step.BuildRequest(s.Project, svc, func(of string) (string, error) {
		other := s.service(of)
		if other == nil {
			return "", container.WithRemedy(
				fmt.Errorf("build %s: additional_contexts names %s, which is not enabled", svc.Name,
					of), "enable its profile")
		}
		if built == nil {
			return other.Image, nil
		}
		return other.Image, built(other)
	})
	if err == nil {
		o.Apply(&req)
	}
	return req, err
}

// PushOptions say which images to send.
type PushOptions struct {
	Names          []string // of services
	IgnoreFailures bool     // what is not sent is a warning
	IgnoreMissing  bool     // what is not here is left out
}

// Push sends the images that services build and name, with their tags.
func (s *Set) Push(ctx context.Context, o PushOptions) error {
	images, err := part[container.ImageStore](s.Runtime, "look up images")
	if err != nil {
		return err
	}
	pusher, err := part[container.Pusher](s.Runtime, "push images")
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	for _, name := range o.Names {
		svc := s.service(name)
		if svc == nil || !svc.Built || svc.Config.Image == "" {
			s.report(Making, "%s: skipped, it builds no image with a name", name)
			continue
		}
		for _, ref := range append([]string{svc.Config.Image}, svc.Config.Build.Tags...) {
			g.Go(func() error { return s.push(ctx, images, pusher, name, ref, o) })
		}
	}
	return g.Wait()
}

func (s *Set) push(
	ctx context.Context, images container.ImageStore, pusher container.Pusher, name, ref string, o PushOptions,
) error {
	if o.IgnoreMissing {
		if _, err := images.Image(ctx, ref, ""); errors.Is(err, container.ErrNotFound) {
			s.report(Making, "%s: skipped %s, it is not here", name, ref)
			return nil
		}
	}
	s.report(Making, "%s: pushing %s", name, ref)
	err := pusher.Push(ctx, ref, nil)
	switch {
	case err == nil:
		s.report(Making, "%s: pushed %s", name, ref)
	case o.IgnoreFailures && ctx.Err() == nil:
		s.warn("%s: %v", name, err)
		return nil
	}
	return err
}

// part returns an optional part of a runtime.
func part[T any](rt container.Runtime, what string) (T, error) {
	t, ok := rt.(T)
	if !ok {
		return t, fmt.Errorf("%s: %w", what, container.ErrUnsupported)
	}
	return t, nil
}

// dependentImages are those that a service's hooks and volumes need beside its own.
func dependentImages(svc *project.Service) []string {
	var out []string
	for _, h := range svc.Config.PreStart {
		if h.Image != "" && h.Image != svc.Image {
			out = append(out, h.Image)
		}
	}
	for _, v := range svc.Config.Volumes {
		if v.Type == types.VolumeTypeImage && v.Source != svc.Image {
			out = append(out, v.Source)
		}
	}
	return out
}
