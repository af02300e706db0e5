package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/singleflight"

	"bulkhead/engine/container"
	"bulkhead/engine/filesync"
	"bulkhead/engine/plan"
	"bulkhead/engine/project"
	"bulkhead/engine/step"
)

// images finds, pulls and builds the images that services run, and removes those that nobody runs any more.
type images struct {
	e       *Engine
	use     imageUse
	lookUps singleflight.Group
}

// watched says whether changes of a service's files are carried out without being asked.
func (e *Engine) watched(s *service) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return s.mode == project.Auto
}

// need looks for a service's image and says why it must be built, "" when it need not. A nil image
// without a reason is to be pulled.
func (m *images) need(ctx context.Context, s *service, t *task, why string, fresh bool) (*Image, string, error) {
	conf := s.conf
	img, err := m.lookUp(ctx, conf)
	var have *Image
	switch {
	case err == nil:
		have = &img
	case !errors.Is(err, ErrNotFound):
		return nil, "", wrapErr(err, "look for image %s", conf.Image)
	}
	if !conf.Built {
		if maker := m.makerOf(conf); maker != "" {
			if _, err := m.await(ctx, "create "+s.name+": it runs the image of "+maker, maker); err != nil {
				return nil, "", err
			}
			img, err := m.e.rt.Image(ctx, conf.Image, conf.Config.Platform)
			if err != nil {
				return nil, "", wrapErr(err, "create %s", s.name)
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
	case t.first && m.e.opts.Build == BuildAlways:
		return have, "--build", nil
	case have == nil && m.e.opts.Build == BuildNever:
		return nil, "", container.WithRemedy(fmt.Errorf("create %s: image %s is not there and --no-build was given", s.name, conf.Image), "run `bulkhead rebuild %s`", s.name)
	case have == nil:
		return nil, "no image", nil
	case t.first && m.e.opts.Build != BuildNever && conf.Config.PullPolicy == "build":
		return have, "pull_policy: build", nil
	case !t.first || m.e.opts.Build == BuildNever || m.e.opts.NoWatch || !m.e.watched(s):
		return have, "", nil
	}
	// What the image was built from is known only for images that we built. Changed while nobody watched: catch up.
	switch {
	case fresh && m.e.sync.ContextChanged(conf, have.ID):
		return have, "files changed since the image was built", nil
	case !fresh && m.e.sync.RebuildChanged(conf, have.ID):
		return have, "files changed while nobody watched", nil
	}
	return have, "", nil
}

// lookUp looks for the image that a service runs. Services that run the same one and begin at the
// same time share the answer.
func (m *images) lookUp(ctx context.Context, conf *project.Service) (Image, error) {
	answer := m.lookUps.DoChan(conf.Image+" "+conf.Config.Platform, func() (img any, err error) {
		// The one who asks first may be aborted, and the others not.
		err = guarded("image", func() error {
			img, err = m.e.rt.Image(context.WithoutCancel(ctx), conf.Image, conf.Config.Platform)
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
func (m *images) makerOf(conf *project.Service) string {
	for _, o := range m.e.project().Services {
		if o.Built && o.Image == conf.Image {
			return o.Name
		}
	}
	return ""
}

// renew looks again at the services that run the image which s builds, after it was built again.
func (e *Engine) renew(s *service) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, o := range e.svcs {
		if o != s && !o.conf.Built && o.conf.Image == s.conf.Image && o.settled && !o.byHand {
			o.enqueue(&task{verb: verbRenew, cause: s.name + " has built its image again", done: make(chan error, 1)})
		}
	}
}

// needsPull applies a service's pull_policy.
func needsPull(conf *project.Service, have *Image, first bool) (bool, error) {
	policy := conf.Config.PullPolicy
	switch {
	case have == nil && policy == "never":
		return false, container.WithRemedy(fmt.Errorf("create %s: image %s is not there and its pull_policy is never", conf.Name, conf.Image), "load it, or change the policy")
	case have == nil:
		return true, nil
	case !first:
		return false, nil
	case policy == "always":
		return true, nil
	}
	_, every, err := conf.Config.GetPullPolicy()
	if err != nil {
		return false, wrapErr(err, "pull %s", conf.Name)
	}
	return every > 0 && time.Since(have.LastTag) > every, nil
}

// provide finds, builds or pulls the image of a service. It is not removed until release is called,
// which is never nil. buildWhy is why it was built, "" when it was not.
func (m *images) provide(ctx context.Context, s *service, t *task, w *plan.Work, k *change, why string, fresh bool) (img *Image, buildWhy string, release func(), err error) {
	release = func() {}
	if err := m.use.make(ctx); err != nil {
		return nil, "", release, err
	}
	defer func() {
		id := ""
		if err == nil && img != nil {
			id = img.ID
			release = func() { m.use.release(id) }
		}
		if m.use.made(id) {
			m.e.launch("old images", func(ctx context.Context) error { m.clean(ctx); return nil })
		}
	}()
	img, buildWhy, err = m.need(ctx, s, t, why, fresh)
	if err != nil || buildWhy == "" && img != nil {
		return img, buildWhy, release, err
	}
	img, err = m.make(ctx, s, w, k, buildWhy, t.cause)
	return img, buildWhy, release, err
}

// imaging marks that a lane makes or fetches an image, in a way that a newer change can end; times
// is how often that has happened. done must be called.
func (e *Engine) imaging(ctx context.Context, s *service, text string, times int) (ictx context.Context, done func()) {
	ictx, cancel := context.WithCancelCause(ctx)
	e.mu.Lock()
	s.lane.imaging, s.doing = true, text
	if times < maxRebuildRestarts {
		s.lane.image = cancel
	}
	e.updateState(s)
	e.mu.Unlock()
	return ictx, func() {
		e.mu.Lock()
		s.lane.image, s.lane.imaging, s.doing = nil, false, ""
		e.updateState(s)
		e.mu.Unlock()
		cancel(nil)
	}
}

// make builds a service's image, or pulls it when there is no reason to build. A build whose inputs
// changed while it ran is begun again, so that of a burst of changes only the last state is built.
func (m *images) make(ctx context.Context, s *service, w *plan.Work, k *change, why, cause string) (*Image, error) {
	before := s.lane.unit().Image.ID
	for times := 0; ; times++ {
		var err error
		var inputs filesync.BuildInputs
		ictx, done := m.e.imaging(ctx, s, "", times)
		if why == "" {
			err = timed(k, "pull", func() error { return m.pull(ictx, s, cause) })
		} else {
			// What is read before the build can only be older than what is built: a change in
			// between is built once more, and none is missed.
			inputs = m.e.sync.BuildInputs(s.conf, before)
			err = timed(k, "build", func() error { return m.build(ictx, s, why, cause) })
		}
		superseded := errors.Is(context.Cause(ictx), errSuperseded)
		done()
		if superseded && ctx.Err() == nil {
			m.e.mu.Lock()
			if newer := s.takeWork(); newer != nil {
				w.Merge(newer)
			}
			m.e.mu.Unlock()
			if w.Prepare {
				if err := s.lane.prepare(ctx, w, k, cause, true); err != nil {
					return nil, err
				}
			}
			continue
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		m.e.mu.Lock()
		s.unbuilt = why != "" && err != nil
		m.e.mu.Unlock()
		if err != nil {
			return nil, err
		}
		img, err := m.e.rt.Image(ctx, s.conf.Image, s.conf.Config.Platform)
		if err != nil {
			return nil, wrapErr(err, "look for image %s, just made", s.conf.Image)
		}
		if why != "" {
			m.e.sync.RecordBuild(s.name, img.ID, before, inputs)
		}
		return &img, nil
	}
}

// clean removes the images that were built for the project and that neither a name nor a container
// holds any more: the ones that swaps replaced, and those of builds that were overtaken.
func (m *images) clean(ctx context.Context) {
	for {
		kept, ok := m.use.beginCleaning()
		if !ok {
			return // the last of those that make or remove images now does it
		}
		m.removeDangling(ctx, kept)
		if !m.use.endCleaning() {
			return
		}
	}
}

func (m *images) removeDangling(ctx context.Context, kept map[string]int) {
	dangling, err := m.e.rt.ProjectImages(ctx, m.e.name, false)
	if err != nil {
		return // tidying is tried again at the next swap
	}
	for _, id := range dangling {
		if kept[id] > 0 {
			continue
		}
		if _, err := m.e.rt.RemoveImage(ctx, id, false); err != nil && ctx.Err() == nil {
			m.e.warn(fmt.Sprintf("remove old image %s: %s", short(id), firstLine(err)))
		}
	}
}

// short is an id as people write it.
func short(id string) string { return container.ShortID(id) }

// build builds a service's image.
func (m *images) build(ctx context.Context, s *service, why, cause string) error {
	req, err := step.BuildRequest(m.e.project(), s.conf, func(of string) (string, error) {
		return m.await(ctx, "build "+s.name+": additional_contexts names "+of, of)
	})
	if err != nil {
		return err
	}
	if cause == "" {
		cause = why
	}
	b := m.e.openBuild(Build{Services: []string{s.name}, Kind: "build", Image: s.conf.Image, Cause: cause})
	res, err := m.e.opts.Builder.Build(ctx, req, func(p container.BuildProgress) {
		m.e.mu.Lock()
		defer m.e.mu.Unlock()
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
		m.e.bump()
	})
	m.e.closeBuild(b, err, context.Cause(ctx))
	for _, n := range res.Notices {
		m.e.warn(s.name + ": " + n)
	}
	return err
}

// pull fetches a service's image.
func (m *images) pull(ctx context.Context, s *service, cause string) error {
	b := m.e.openBuild(Build{Services: []string{s.name}, Kind: "pull", Image: s.conf.Image, Cause: cause})
	shown := time.Time{}
	err := m.e.rt.Pull(ctx, s.conf.Image, s.conf.Config.Platform, func(p PullProgress) {
		if time.Since(shown) < 50*time.Millisecond {
			return
		}
		shown = time.Now()
		m.e.mu.Lock()
		defer m.e.mu.Unlock()
		b.Current, b.Size = p.Current, p.Total
		s.doing = "pulling"
		if p.Total > 0 {
			s.doing = fmt.Sprintf("pulling %d%%", 100*p.Current/p.Total)
		}
		m.e.bump()
	})
	m.e.closeBuild(b, err, context.Cause(ctx))
	if err != nil {
		return wrapErr(err, "pull %s for %s", s.conf.Image, s.name)
	}
	return nil
}

// buildOnly builds the image of a service that is not enabled, because the build of another one
// needs it; ok is false when it is enabled, or not known. Those who need it at the same time share
// the build.
func (m *images) buildOnly(ctx context.Context, of, cause string) (name string, ok bool, err error) {
	all := m.e.project().BuildOnly
	i := slices.IndexFunc(all, func(s *project.Service) bool { return s.Name == of })
	if i < 0 {
		return "", false, nil
	}
	conf := all[i]
	built := m.lookUps.DoChan("build "+of, func() (any, error) {
		// The one who asks first may be aborted, and the others not.
		return nil, guarded("build of "+of, func() error { return m.build(context.WithoutCancel(ctx), newService(m.e, conf), cause, cause) })
	})
	select {
	case b := <-built:
		return conf.Image, true, b.Err
	case <-ctx.Done():
		return "", true, context.Cause(ctx)
	}
}

// await waits until another service's image is there, and returns its name. One that is not enabled is built for it.
func (m *images) await(ctx context.Context, what, of string) (string, error) {
	if name, ok, err := m.buildOnly(ctx, of, what); ok {
		return name, err
	}
	var name string
	err := m.e.await(ctx, func() (bool, error) {
		d := m.e.svcs[of]
		if d == nil {
			return false, container.WithRemedy(fmt.Errorf("%s, which is not enabled", what), "enable its profile")
		}
		name = d.conf.Image
		if d.settled && d.image == nil {
			return false, fmt.Errorf("%s, whose image could not be made", what)
		}
		return d.image != nil, nil
	})
	return name, err
}
