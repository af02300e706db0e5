package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"bulkhead/engine/container"
	"bulkhead/engine/filesync"
	"bulkhead/engine/project"
)

// imageNeed looks for a service's image and says why it must be built, "" when it need not. A nil image without a reason is to be pulled.
func (e *Engine) imageNeed(ctx context.Context, s *service, t *task, why string, fresh bool) (*Image, string, error) {
	conf := s.conf
	img, err := e.lookUp(ctx, conf)
	var have *Image
	switch {
	case err == nil:
		have = &img
	case !errors.Is(err, ErrNotFound):
		return nil, "", say(err, "look for image %s", conf.Image)
	}
	if !conf.Built {
		if maker := e.makerOf(conf); maker != "" {
			if _, err := e.awaitImage(ctx, "create "+s.name+": it runs the image of "+maker, maker); err != nil {
				return nil, "", err
			}
			img, err := e.rt.Image(ctx, conf.Image, conf.Config.Platform)
			if err != nil {
				return nil, "", say(err, "create %s", s.name)
			}
			return &img, "", nil
		}
		pull, err := needsPull(conf, have, t.first)
		if err != nil || pull {
			return nil, "", err
		}
		return have, "", nil
	}
	switch {
	case why != "":
		return have, why, nil
	case t.first && e.opts.Build == BuildAlways:
		return have, "--build", nil
	case have == nil && e.opts.Build == BuildNever:
		return nil, "", fmt.Errorf("create %s: image %s is not there and --no-build was given; run `bulkhead rebuild %s`", s.name, conf.Image, s.name)
	case have == nil:
		return nil, "no image", nil
	case t.first && e.opts.Build != BuildNever && conf.Config.PullPolicy == "build":
		return have, "pull_policy: build", nil
	case !t.first || e.opts.Build == BuildNever || e.opts.NoWatch || s.mode != project.Auto:
		return have, "", nil
	}
	// What the image was built from is known only for images that we built. Changed while nobody watched: catch up.
	switch {
	case fresh && e.sync.ContextChanged(conf, have.ID):
		return have, "files changed since the image was built", nil
	case !fresh && e.sync.RebuildChanged(conf, have.ID):
		return have, "files changed while nobody watched", nil
	}
	return have, "", nil
}

// lookUp looks for the image that a service runs. Services that run the same one and begin at the same time share the answer.
func (e *Engine) lookUp(ctx context.Context, conf *project.Service) (Image, error) {
	answer := e.lookUps.DoChan(conf.Image+" "+conf.Config.Platform, func() (img any, err error) {
		// The one who asks first may be aborted, and the others not.
		err = guarded("image", func() error {
			img, err = e.rt.Image(context.WithoutCancel(ctx), conf.Image, conf.Config.Platform)
			return err
		})
		return img, err
	})
	select {
	case a := <-answer:
		if a.Err != nil {
			return Image{}, a.Err
		}
		return a.Val.(Image), nil
	case <-ctx.Done():
		return Image{}, context.Cause(ctx)
	}
}

// makerOf names the service that builds the image which a service without build: only names; "" when there is none.
func (e *Engine) makerOf(conf *project.Service) string {
	for _, o := range e.project().Services {
		if o.Built && o.Image == conf.Image {
			return o.Name
		}
	}
	return ""
}

// renew looks again at the services that run the image which s builds, after it was built anew.
func (e *Engine) renew(s *service) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, o := range e.svcs {
		if o != s && !o.conf.Built && o.conf.Image == s.conf.Image && o.settled && !o.byHand {
			o.enqueue(&task{verb: verbRenew, cause: s.name + " has built its image anew", done: make(chan error, 1)})
		}
	}
}

// needsPull applies a service's pull_policy.
func needsPull(conf *project.Service, have *Image, first bool) (bool, error) {
	policy := conf.Config.PullPolicy
	switch {
	case have == nil && policy == "never":
		return false, fmt.Errorf("create %s: image %s is not there and its pull_policy is never; load it, or change the policy", conf.Name, conf.Image)
	case have == nil:
		return true, nil
	case !first:
		return false, nil
	case policy == "always":
		return true, nil
	}
	_, every, err := conf.Config.GetPullPolicy()
	if err != nil {
		return false, say(err, "pull %s", conf.Name)
	}
	return every > 0 && time.Since(have.LastTag) > every, nil
}

// provideImage finds, builds or pulls the image of a service. It is not removed until release is called, which is never nil. buildWhy
// is why it was built, "" when it was not.
func (e *Engine) provideImage(ctx context.Context, s *service, t *task, w *work, k *change, why string, fresh bool) (img *Image, buildWhy string, release func(), err error) {
	release = func() {}
	if err := e.images.make(ctx); err != nil {
		return nil, "", release, err
	}
	defer func() {
		id := ""
		if err == nil && img != nil {
			id = img.ID
			release = func() { e.images.release(id) }
		}
		if e.images.made(id) {
			e.launch("old images", func(ctx context.Context) error { e.dropImages(ctx); return nil })
		}
	}()
	img, buildWhy, err = e.imageNeed(ctx, s, t, why, fresh)
	if err != nil || buildWhy == "" && img != nil {
		return img, buildWhy, release, err
	}
	img, err = e.makeImage(ctx, s, w, k, buildWhy, t.cause)
	return img, buildWhy, release, err
}

// imaging marks that a lane makes or fetches an image, in a way that a newer change can end; times is how often that has happened. done
// must be called.
func (e *Engine) imaging(ctx context.Context, s *service, text string, times int) (ictx context.Context, done func()) {
	ictx, cancel := context.WithCancelCause(ctx)
	e.mu.Lock()
	s.lane.imaging, s.doing = true, text
	if times < supersedings {
		s.lane.image = cancel
	}
	e.settle(s)
	e.mu.Unlock()
	return ictx, func() {
		e.mu.Lock()
		s.lane.image, s.lane.imaging, s.doing = nil, false, ""
		e.settle(s)
		e.mu.Unlock()
		cancel(nil)
	}
}

// makeImage builds a service's image, or pulls it when there is no reason to build. A build whose inputs changed while it ran is
// begun anew, so that of a burst of changes only the last state is built.
func (e *Engine) makeImage(ctx context.Context, s *service, w *work, k *change, why, cause string) (*Image, error) {
	before := e.unit(s).Image.ID
	for times := 0; ; times++ {
		var err error
		var inputs filesync.BuildInputs
		ictx, done := e.imaging(ctx, s, "", times)
		if why == "" {
			err = timed(k, "pull", func() error { return e.pull(ictx, s, cause) })
		} else {
			// What is read before the build can only be older than what is built: a change in between is built once more, and none is missed.
			inputs = e.sync.BuildInputs(s.conf, before)
			err = timed(k, "build", func() error { return e.build(ictx, s, why, cause) })
		}
		superseded := errors.Is(context.Cause(ictx), errSuperseded)
		done()
		if superseded && ctx.Err() == nil {
			e.mu.Lock()
			if newer := s.takeWork(); newer != nil {
				w.merge(newer)
			}
			e.mu.Unlock()
			if w.prepare {
				if err := e.prepare(ctx, s, w, k, cause, true); err != nil {
					return nil, err
				}
			}
			continue
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		e.mu.Lock()
		s.unbuilt = why != "" && err != nil
		e.mu.Unlock()
		if err != nil {
			return nil, err
		}
		img, err := e.rt.Image(ctx, s.conf.Image, s.conf.Config.Platform)
		if err != nil {
			return nil, say(err, "look for image %s, just made", s.conf.Image)
		}
		if why != "" {
			e.sync.RecordBuild(s.name, img.ID, before, inputs)
		}
		return &img, nil
	}
}

// dropImages removes the images that were built for the project and that neither a name nor a container holds any more: the ones that
// swaps replaced, and those of builds that were overtaken.
func (e *Engine) dropImages(ctx context.Context) {
	kept, ok := e.images.beginCleaning()
	if !ok {
		return // the last of those that make images now does it
	}
	defer e.images.endCleaning()
	dangling, err := e.rt.ProjectImages(ctx, e.name, false)
	if err != nil {
		return // tidying is tried again at the next swap
	}
	for _, id := range dangling {
		if kept[id] > 0 {
			continue
		}
		if _, err := e.rt.RemoveImage(ctx, id, false); err != nil && ctx.Err() == nil {
			e.warn(fmt.Sprintf("remove old image %s: %s", short(id), firstLine(err)))
		}
	}
}

// short is an id as people write it.
func short(id string) string { return container.ShortID(id) }

// openBuild adds a row to the builds.
func (e *Engine) openBuild(b Build) *Build {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.buildSeq++
	b.ID, b.Began = e.buildSeq, time.Now()
	e.builds = append(e.builds, &b)
	if len(e.builds) > keptBuilds {
		e.builds = slices.Clone(e.builds[1:])
	}
	e.record(Record{Kind: "build", Service: b.Services[0], Action: b.Kind, Cause: b.Cause, Text: fmt.Sprintf("%s: %s begun (%s)", strings.Join(b.Services, ", "), b.Kind, b.Cause)})
	return &b
}

// closeBuild notes how it ended; canceled is why it was ended from outside, nil when it was not.
func (e *Engine) closeBuild(b *Build, err, canceled error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	b.Ended, b.Canceled = time.Now(), canceled != nil
	took := b.Ended.Sub(b.Began)
	r := Record{Kind: "build", Service: b.Services[0], Action: b.Kind, Cause: b.Cause, Stages: []Stage{{Name: b.Kind, Took: took}},
		Text: fmt.Sprintf("%s: %s done in %s", strings.Join(b.Services, ", "), b.Kind, container.Brief(took))}
	switch {
	case canceled != nil:
		why := canceled.Error()
		if errors.Is(canceled, context.Canceled) {
			why = "bulkhead ends"
		}
		r.Text = fmt.Sprintf("%s: %s cancelled after %s: %s", b.Services[0], b.Kind, container.Brief(took), why)
	case err != nil:
		b.Err = firstLine(err)
		r.Err = b.Err
		why := strings.TrimPrefix(b.Err, b.Kind+" "+b.Services[0]+": ")
		r.Text = fmt.Sprintf("%s: %s failed after %s: %s", b.Services[0], b.Kind, container.Brief(took), why)
	case b.Kind == "build" && b.Cached == b.Total && b.Total > 0:
		r.Text += ", all cached"
	}
	e.record(r)
}

// addLines appends output to a build, bounded. Callers hold mu.
func (b *Build) addLines(lines []string) {
	// A new array each time it is cut: snapshots share the old one.
	b.Lines = append(b.Lines[:len(b.Lines):len(b.Lines)], lines...)
	if over := len(b.Lines) - keptLines; over > 0 {
		b.Lines = b.Lines[over:]
	}
}

// build builds a service's image.
func (e *Engine) build(ctx context.Context, s *service, why, cause string) error {
	req, err := e.buildRequest(ctx, s)
	if err != nil {
		return err
	}
	if cause == "" {
		cause = why
	}
	b := e.openBuild(Build{Services: []string{s.name}, Kind: "build", Image: s.conf.Image, Cause: cause})
	res, err := e.opts.Builder.Build(ctx, req, func(p container.BuildProgress) {
		e.mu.Lock()
		defer e.mu.Unlock()
		b.Done, b.Total, b.Cached = p.Done, p.Total, p.Cached
		b.Steps = make([]BuildStep, len(p.Steps))
		for i, st := range p.Steps {
			b.Steps[i] = BuildStep{Name: st.Name, Cached: st.Cached, Began: st.Started, Ended: st.Ended, Err: st.Err}
		}
		if len(p.Output) > 0 {
			b.addLines(p.Output)
		}
		s.doing = "building"
		if p.Total > 0 {
			s.doing = fmt.Sprintf("building %d/%d", p.Done, p.Total)
		}
		e.bump()
	})
	e.closeBuild(b, err, context.Cause(ctx))
	for _, n := range res.Notices {
		e.warn(s.name + ": " + n)
	}
	return err
}

// pull fetches a service's image.
func (e *Engine) pull(ctx context.Context, s *service, cause string) error {
	b := e.openBuild(Build{Services: []string{s.name}, Kind: "pull", Image: s.conf.Image, Cause: cause})
	shown := time.Time{}
	err := e.rt.Pull(ctx, s.conf.Image, s.conf.Config.Platform, func(p PullProgress) {
		if time.Since(shown) < 50*time.Millisecond {
			return
		}
		shown = time.Now()
		e.mu.Lock()
		defer e.mu.Unlock()
		b.Current, b.Size = p.Current, p.Total
		s.doing = "pulling"
		if p.Total > 0 {
			s.doing = fmt.Sprintf("pulling %d%%", 100*p.Current/p.Total)
		}
		e.bump()
	})
	e.closeBuild(b, err, context.Cause(ctx))
	if err != nil {
		return say(err, "pull %s for %s", s.conf.Image, s.name)
	}
	return nil
}

// buildRequest translates a service's build: section.
func (e *Engine) buildRequest(ctx context.Context, s *service) (container.BuildRequest, error) {
	p, b := e.project(), s.conf.Config.Build
	leader := s.name
	r := container.BuildRequest{
		Key: s.conf.BuildKey, Service: s.name, Context: b.Context, Dockerfile: b.Dockerfile, DockerfileInline: b.DockerfileInline, Target: b.Target,
		Args: map[string]string{}, Labels: map[string]string{}, CacheFrom: b.CacheFrom, CacheTo: b.CacheTo, NoCacheFilter: b.NoCacheFilter,
		Platforms: b.Platforms, Entitlements: b.Entitlements, ExtraHosts: b.ExtraHosts.AsList("="), NoCache: b.NoCache, Pull: b.Pull,
		Privileged: b.Privileged, Network: b.Network, ShmSize: int64(b.ShmSize), Provenance: b.Provenance, SBOM: b.SBOM,
		AdditionalContexts: map[string]string{},
	}
	// A service's image is for this engine: of several platforms its own is taken.
	if len(r.Platforms) > 1 {
		r.Platforms = nil
	}
	if p := s.conf.Config.Platform; p != "" {
		r.Platforms = []string{p}
	}
	// Equal builds are done once, so they carry the tags of all, and the label of the first.
	for _, o := range p.Services {
		if o.Built && o.BuildKey == s.conf.BuildKey {
			r.Tags = append(r.Tags, o.Image)
			leader = min(leader, o.Name)
		}
	}
	r.Tags = append(r.Tags, b.Tags...)
	for k, v := range b.Args {
		if v != nil {
			r.Args[k] = *v
		} else if v, ok := p.Compose.Environment[k]; ok {
			r.Args[k] = v
		}
	}
	for k, v := range b.Labels {
		r.Labels[k] = v
	}
	r.Labels["com.docker.compose.project"] = e.name
	r.Labels["com.docker.compose.service"] = leader
	r.Labels["com.docker.compose.version"] = "bulkhead"
	for name, u := range b.Ulimits {
		if r.Ulimits == nil {
			r.Ulimits = map[string][2]int64{}
		}
		soft, hard := int64(u.Soft), int64(u.Hard)
		if u.Single != 0 {
			soft, hard = int64(u.Single), int64(u.Single)
		}
		r.Ulimits[name] = [2]int64{soft, hard}
	}
	for name, where := range b.AdditionalContexts {
		if of, ok := strings.CutPrefix(where, "service:"); ok {
			img, err := e.awaitImage(ctx, "build "+s.name+": additional_contexts names "+of, of)
			if err != nil {
				return r, err
			}
			where = "docker-image://" + img
		}
		r.AdditionalContexts[name] = where
	}
	for _, ref := range b.Secrets {
		sec, ok := p.Compose.Secrets[ref.Source]
		if !ok {
			return r, fmt.Errorf("build %s: secret %s is not declared in the secrets of the file", s.name, ref.Source)
		}
		id := ref.Target
		if id == "" {
			id = ref.Source
		}
		x := container.BuildSecret{ID: id, File: sec.File}
		if sec.Environment != "" {
			x.Env = p.Compose.Environment[sec.Environment]
		}
		r.Secrets = append(r.Secrets, x)
	}
	for _, k := range b.SSH {
		x := container.BuildSSH{ID: k.ID}
		if k.Path != "" {
			x.Paths = []string{k.Path}
		}
		r.SSH = append(r.SSH, x)
	}
	return r, nil
}

// buildOnly builds the image of a service that is not enabled, because the build of another one needs it; ok is false when it is
// enabled, or not known. Those who need it at the same time share the build.
func (e *Engine) buildOnly(ctx context.Context, of, cause string) (name string, ok bool, err error) {
	all := e.project().BuildOnly
	i := slices.IndexFunc(all, func(s *project.Service) bool { return s.Name == of })
	if i < 0 {
		return "", false, nil
	}
	conf := all[i]
	built := e.lookUps.DoChan("build "+of, func() (any, error) {
		// The one who asks first may be aborted, and the others not.
		return nil, guarded("build of "+of, func() error { return e.build(context.WithoutCancel(ctx), newService(conf), cause, cause) })
	})
	select {
	case b := <-built:
		return conf.Image, true, b.Err
	case <-ctx.Done():
		return "", true, context.Cause(ctx)
	}
}

// awaitImage waits until another service's image is there, and returns its name. One that is not enabled is built for it.
func (e *Engine) awaitImage(ctx context.Context, what, of string) (string, error) {
	if name, ok, err := e.buildOnly(ctx, of, what); ok {
		return name, err
	}
	var name string
	err := e.await(ctx, func() (bool, error) {
		d := e.svcs[of]
		if d == nil {
			return false, fmt.Errorf("%s, which is not enabled; enable its profile", what)
		}
		name = d.conf.Image
		if d.settled && d.image == nil {
			return false, fmt.Errorf("%s, whose image could not be made", what)
		}
		return d.image != nil, nil
	})
	return name, err
}
