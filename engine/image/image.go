// Package image finds, pulls and builds the images that services run, and removes those that nobody
// runs any more. It owns which image is being made, held or needed; it never decides what becomes of
// containers, and keeps no state of services. The lanes of the engine call it, each for its service.
package image

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
	"bulkhead/engine/state"
	"bulkhead/engine/step"
)

// Options are the parts and wishes of a Store.
type Options struct {
	Runtime *container.Complete
	Builder container.Builder
	Sync    *filesync.Syncer
	State   *state.State
	Build   plan.BuildPolicy
	NoWatch bool // files that changed while nobody watched are not looked for
	// Go runs f in the background until it returns, or until the program ends.
	Go func(name string, f func(context.Context) error)
}

// Store makes and keeps the images of one project. Its methods may be called from any goroutine.
type Store struct {
	o       Options
	use     use
	lookUps singleflight.Group
}

// New makes a Store.
func New(o Options) *Store { return &Store{o: o} }

// Ask is what is wanted of a service's image.
type Ask struct {
	Service *project.Service
	Build   string // why it has to be built; "" when nothing says so yet
	Cause   string // what it is for, for the record
	First   bool   // of the first up
	// pull policy in the place of the service's own, which is gone by as in the first up; "": its
	// own
	Pull  string
	Fresh bool            // no container of it is there
	Seen  *plan.ImageSeen // an earlier answer of Look, so that files are not compared again; may be nil
}

// Look gathers what is known of the image of a service, and what asks for another one.
func (m *Store) Look(ctx context.Context, a Ask) (plan.ImageSeen, error) {
	conf := a.Service
	i := plan.ImageSeen{
		Service: conf, Asked: a.Build, First: a.First, Policy: m.o.Build,
		Watched: !m.o.NoWatch && m.watched(conf.Name), Now: time.Now(),
	}
	if a.Pull != "" {
		other := *conf
		other.Config.PullPolicy = a.Pull
		conf, i.Service, i.First, i.Policy = &other, &other, true, plan.BuildMissing
	}
	p := m.o.State.Project()
	if maker := p.Maker(conf.Image); maker != nil && !conf.Built {
		i.Maker, i.Beside = maker.Name, p.Service(maker.Name) == nil
	}
	found, err := m.lookUp(ctx, conf)
	switch {
	case err == nil:
		i.Have = &found
	case !errors.Is(err, container.ErrNotFound):
		return i, container.WrapErr(err, "look for image %s", conf.Image)
	case conf.Config.Platform != "" && conf.Config.PullPolicy == "never":
		// What else is there under the name is only a help: without an answer the error says less.
		if other, err := m.o.Runtime.Image(ctx, conf.Image, ""); err == nil {
			i.Other = &other
		}
	}
	// What the image was built from is known only for images that we built.
	switch {
	case !i.ByFiles():
	case a.Seen != nil && a.Seen.ByFiles() && a.Seen.Have.ID == found.ID:
		i.Changed = a.Seen.Changed
	case a.Fresh && m.o.Sync.ContextChanged(conf, found.ID):
		i.Changed = "files changed since the image was built"
	case !a.Fresh && m.o.Sync.RebuildChanged(conf, found.ID):
		i.Changed = "files changed while nobody watched"
	}
	return i, nil
}

// need says what has to be done for a service's image, and waits for the one that another service builds.
// Where nothing has to be done, or only that, it is there.
func (m *Store) need(ctx context.Context, a Ask) (*container.Image, plan.Step, error) {
	seen, err := m.Look(ctx, a)
	if err != nil {
		return nil, plan.Step{}, err
	}
	st, err := plan.DecideImage(seen)
	if err != nil || st.Op != plan.Await {
		return seen.Have, st, err
	}
	if _, err := m.await(ctx, "create "+a.Service.Name+": it runs the image of "+seen.Maker,
		seen.Maker, naming(a.Service.Name)); err != nil {
		return nil, st, err
	}
	built, err := m.o.Runtime.Image(ctx, a.Service.Image, a.Service.Config.Platform)
	if err != nil {
		return nil, st, container.WrapErr(err, "create %s", a.Service.Name)
	}
	return &built, st, nil
}

// watched says whether changes of a service's files are carried out without being asked.
func (m *Store) watched(service string) bool {
	s := m.o.State.Member(service)
	return s != nil && s.Files.Automatic()
}

// lookUp looks for the image that a service runs. Services that run the same one and begin at the
// same time share the answer.
func (m *Store) lookUp(ctx context.Context, conf *project.Service) (container.Image, error) {
	answer := m.lookUps.DoChan(conf.Image+" "+conf.Config.Platform, func() (img any, err error) {
		// The one who asks first may be aborted, and the others not.
		err = container.Guard("image", func() error {
			img, err = m.o.Runtime.Image(context.WithoutCancel(ctx), conf.Image, conf.Config.Platform)
			return err
		})
		return img, err
	})
	select {
	case a := <-answer:
		if a.Err != nil {
			return container.Image{}, a.Err
		}
		return a.Val.(container.Image), nil
	case <-ctx.Done():
		return container.Image{}, context.Cause(ctx)
	}
}

// Provided is an image that stays at least until Release is called.
type Provided struct {
	Image   *container.Image
	Built   bool   // it was built for this
	Release func() // never nil
}

// Provide finds the image of a service, or has make carry out the step that makes it: a Build or a Pull.
func (m *Store) Provide(
	ctx context.Context, a Ask, make func(plan.Step) (*container.Image, error),
) (p Provided, err error) {
	p.Release = func() {}
	if err := m.use.make(ctx); err != nil {
		return p, err
	}
	defer func() {
		id := ""
		if err == nil && p.Image != nil {
			id = p.Image.ID
			p.Release = func() { m.use.release(id) }
		}
		if m.use.made(id) {
			m.CleanLater()
		}
	}()
	img, st, err := m.need(ctx, a)
	p.Image, p.Built = img, st.Op == plan.Build
	if err != nil || st.Op != plan.Build && st.Op != plan.Pull {
		return p, err
	}
	p.Image, err = make(st)
	return p, err
}

// CleanLater has Clean run in the background.
func (m *Store) CleanLater() {
	m.o.Go("old images", func(ctx context.Context) error { m.Clean(ctx); return nil })
}

// Clean removes the images that were built for the project and that neither a name nor a container
// holds any more: the ones that swaps replaced, and those of builds that were overtaken.
func (m *Store) Clean(ctx context.Context) {
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

func (m *Store) removeDangling(ctx context.Context, kept map[string]int) {
	dangling, err := m.o.Runtime.ProjectImages(ctx, m.o.State.Project().Name, false)
	if err != nil {
		return // tidying is tried again at the next swap
	}
	for _, id := range dangling {
		if kept[id] > 0 {
			continue
		}
		if _, err := m.o.Runtime.RemoveImage(ctx, id, false); err != nil && ctx.Err() == nil {
			m.o.State.Warn(fmt.Sprintf("remove old image %s: %s", container.ShortID(id),
				container.FirstLine(err.Error())))
		}
	}
}

// Build builds a service's image once. before is the image that it had.
func (m *Store) Build(ctx context.Context, conf *project.Service, before, why, cause string) error {
	// What is read before the build can only be older than what is built: a change in
	// between is built once more, and none is missed.
	inputs := m.o.Sync.BuildInputs(conf, before)
	m.o.Sync.IntendBuild(conf.Name, inputs)
	if err := m.build(ctx, conf, why, cause); err != nil || ctx.Err() != nil {
		if ctx.Err() != nil || errors.Is(err, container.ErrNoEngine) {
			m.o.Sync.AbandonBuild(conf.Name)
		}
		return err
	}
	img, err := m.Made(ctx, conf)
	if err == nil {
		m.o.Sync.RecordBuild(conf.Name, img.ID, before, inputs)
	}
	return err
}

// Made returns an image that has just been built or pulled.
func (m *Store) Made(ctx context.Context, conf *project.Service) (*container.Image, error) {
	img, err := m.o.Runtime.Image(ctx, conf.Image, conf.Config.Platform)
	if err != nil {
		return nil, container.WrapErr(err, "look for image %s, just made", conf.Image)
	}
	return &img, nil
}

func (m *Store) build(ctx context.Context, conf *project.Service, why, cause string) error {
	req, err := step.BuildRequest(m.o.State.Project(), conf, func(of string) (string, error) {
		what := "it begins with the image of " + of
		return m.await(ctx, "build "+conf.Name+": "+what, of, func(_, why string) error {
			return &container.About{Verb: "build", Service: conf.Name, Err: errors.New(what + why)}
		})
	})
	if err != nil {
		return err
	}
	if cause == "" {
		cause = why
	}
	row := m.o.State.Builds.Begin(state.Build{
		Services: []string{conf.Name}, Kind: "build", Image: conf.Image, Cause: cause,
	})
	res, err := m.o.Builder.Build(ctx, req, row.Progress)
	row.Close(err, context.Cause(ctx))
	for _, n := range res.Notices {
		m.o.State.Warn(conf.Name + ": " + n)
	}
	return err
}

// pullShown is how often the progress of a pull is shown.
const pullShown = 50 * time.Millisecond

// Pull fetches a service's image.
func (m *Store) Pull(ctx context.Context, conf *project.Service, cause string) error {
	row := m.o.State.Builds.Begin(state.Build{
		Services: []string{conf.Name}, Kind: "pull", Image: conf.Image, Cause: cause,
	})
	shown := time.Time{}
	err := m.o.Runtime.Pull(ctx, conf.Image, conf.Config.Platform, func(p container.PullProgress) {
		if time.Since(shown) < pullShown {
			return
		}
		shown = time.Now()
		row.Pulled(p)
	})
	row.Close(err, context.Cause(ctx))
	if err != nil {
		return container.WrapErr(err, "pull %s for %s", conf.Image, conf.Name)
	}
	return nil
}

// buildOnly builds the image of a service that is not enabled, because the build of another one
// needs it; ok is false when it is enabled, or not known. Those who need it at the same time share
// the build.
func (m *Store) buildOnly(ctx context.Context, of, cause string) (name string, ok bool, err error) {
	all := m.o.State.Project().BuildOnly
	i := slices.IndexFunc(all, func(s *project.Service) bool { return s.Name == of })
	if i < 0 {
		return "", false, nil
	}
	conf := all[i]
	built := m.lookUps.DoChan("build "+of, func() (any, error) {
		// The one who asks first may be aborted, and the others not: it ends with the engine.
		ended := make(chan error, 1)
		m.o.Go("build of "+of, func(ctx context.Context) error {
			ended <- container.Guard("build of "+of, func() error { return m.build(ctx, conf, cause, cause) })
			return nil
		})
		return nil, <-ended
	})
	select {
	case b := <-built:
		return conf.Image, true, b.Err
	case <-ctx.Done():
		return "", true, context.Cause(ctx)
	}
}

// naming returns the errors of an await for a service that what names.
func naming(service string) func(what, why string) error {
	return func(what, why string) error { return container.Naming(service, errors.New(what+why)) }
}

// await waits until another service's image is there, and returns its name. One that is not enabled is
// built for it, and what is the cause of that. fail makes the error of one that does not come.
func (m *Store) await(
	ctx context.Context, what, of string, fail func(what, why string) error,
) (string, error) {
	if name, ok, err := m.buildOnly(ctx, of, what); ok {
		return name, err
	}
	var name string
	err := m.o.State.Await(ctx, func(v *state.View) (bool, error) {
		d := v.Services[of]
		if d == nil {
			return false, container.WithRemedy(fail(what, ", which is not enabled"), "enable its profile")
		}
		name = d.Conf.Image
		if d.Settled && d.Image == nil {
			return false, fail(what, ", whose image could not be made")
		}
		return d.Image != nil, nil
	})
	return name, err
}
