package images

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"
	"github.com/distribution/reference"
	"golang.org/x/sync/errgroup"

	"bulkhead/engine/container"
	"bulkhead/engine/project"
)

// PullOptions say which images to fetch.
type PullOptions struct {
	Names           []string // of services
	Policy          string   // missing or always, over the file's; "": the file's
	IgnoreFailures  bool     // what is not fetched is a warning
	IgnoreBuildable bool     // images that services build are left out
}

// Pull fetches the images of services: a person asked for it, so those without a pull_policy, and
// those whose time has not come yet, are fetched too. One that fails and can be built
// does not end the others.
func (s *Set) Pull(ctx context.Context, o PullOptions) error {
	images, err := part[container.ImageStore](s.Runtime, "pull images")
	if err != nil {
		return err
	}
	p := &pulling{set: s, o: o, images: images, begun: map[string]bool{}}
	p.g, p.ctx = errgroup.WithContext(ctx)
	for _, name := range o.Names {
		svc := s.Project.Service(name)
		if svc == nil {
			continue
		}
		if err := p.service(svc); err != nil {
			return errors.Join(err, p.g.Wait())
		}
	}
	if err := p.g.Wait(); err != nil {
		return err
	}
	if len(p.toBuild) > 0 {
		s.warn("images that no registry has are built by `bulkhead build %s`", strings.Join(p.toBuild, " "))
	}
	return errors.Join(p.errs...)
}

// pulling is one Pull.
type pulling struct {
	set    *Set
	o      PullOptions
	images container.ImageStore
	g      *errgroup.Group
	ctx    context.Context
	begun  map[string]bool // images

	// guarded by set.mu
	toBuild []string // services
	errs    []error  // of those
}

func (p *pulling) service(svc *project.Service) error {
	conf, policy := svc.Config, svc.Config.PullPolicy
	if p.o.Policy != "" && conf.Image != "" {
		policy = p.o.Policy
	}
	switch {
	case conf.Image == "":
		p.set.report(Making, "%s: skipped, it names no image", svc.Name)
	case conf.Build != nil && p.o.IgnoreBuildable:
		p.set.report(Making, "%s: skipped %s, it can be built", svc.Name, conf.Image)
	default:
		if err := p.image(svc, conf.Image, policy, conf.Build != nil); err != nil {
			return err
		}
	}
	if policy == types.PullPolicyBuild {
		policy = types.PullPolicyMissing // what only hooks and volumes use cannot be built
	}
	for _, ref := range dependentImages(svc) {
		if err := p.image(svc, ref, policy, false); err != nil {
			return err
		}
	}
	return nil
}

// image begins to fetch one, unless its policy says that it need not be.
func (p *pulling) image(svc *project.Service, ref, policy string, buildable bool) error {
	if p.begun[ref] {
		return nil
	}
	p.begun[ref] = true
	switch policy {
	case types.PullPolicyNever, types.PullPolicyBuild:
		p.set.report(Making, "%s: skipped %s, its pull_policy is %s", svc.Name, ref, policy)
		return nil
	case types.PullPolicyMissing, types.PullPolicyIfNotPresent:
		_, err := p.images.Image(p.ctx, ref, svc.Config.Platform)
		if err == nil && !isLatest(ref) {
			p.set.report(Making, "%s: skipped %s, it is here", svc.Name, ref)
			return nil
		}
		if err != nil && !errors.Is(err, container.ErrNotFound) {
			return err
		}
	}
	p.g.Go(func() error { return p.pull(svc, ref, buildable) })
	return nil
}

func (p *pulling) pull(svc *project.Service, ref string, buildable bool) error {
	platform := svc.Config.Platform
	if platform == "" {
		platform = p.set.Project.Compose.Environment["DOCKER_DEFAULT_PLATFORM"]
	}
	p.set.report(PullStep, "%s: pulling %s", svc.Name, ref)
	shown := ""
	err := p.images.Pull(p.ctx, ref, platform, func(at container.PullProgress) {
		if at.Status != shown {
			shown = at.Status
			p.set.report(PullStep, "%s: pulling %s: %s", svc.Name, ref, at.Status)
		}
	})
	switch {
	case err == nil:
		p.set.report(PullStep, "%s: pulled %s", svc.Name, ref)
		return nil
	case p.ctx.Err() != nil:
		return err
	case p.o.IgnoreFailures:
		p.set.warn("%s: %v", svc.Name, err)
		return nil
	case buildable: // the others are fetched all the same
		p.set.mu.Lock()
		defer p.set.mu.Unlock()
		p.toBuild = append(p.toBuild, svc.Name)
		p.errs = append(p.errs, fmt.Errorf("%s: %w", svc.Name, err))
		return nil
	}
	return fmt.Errorf("%s: %w", svc.Name, err)
}

// isLatest says whether a name's tag is one that is expected to move.
func isLatest(ref string) bool {
	named, err := reference.ParseDockerRef(ref)
	if err != nil {
		return false
	}
	tagged, ok := named.(reference.Tagged)
	return ok && tagged.Tag() == "latest"
}
