package lane

import (
	"context"
	"errors"
	"maps"
	"os"
	"slices"

	"bulkhead/engine/container"
	"bulkhead/engine/filesync"
	"bulkhead/engine/hostcmd"
	"bulkhead/engine/plan"
	"bulkhead/engine/project"
	"bulkhead/engine/state"
)

// PrepareError is an x-bulkhead.prepare that did not succeed.
type PrepareError struct {
	Service string
	Command string
	Err     error // a *hostcmd.Error
}

func (p *PrepareError) Error() string { return "prepare " + p.Service + ": " + p.Err.Error() }

// Reason is why the command did not work, without which one it was.
func (p *PrepareError) Reason() string {
	var h *hostcmd.Error
	switch {
	case !errors.As(p.Err, &h):
		return p.Err.Error()
	case h.Place != "":
		return h.Place
	case len(h.Tail) > 0:
		return h.Tail[len(h.Tail)-1]
	}
	return h.Err.Error()
}

func (p *PrepareError) Unwrap() error { return p.Err }

// Subject returns the service.
func (p *PrepareError) Subject() string { return p.Service }

// WithoutService returns the error as it reads beside the service's name.
func (p *PrepareError) WithoutService() error { return p.Err }

// Explain implements container.Explainer.
func (p *PrepareError) Explain() (text, remedy string) {
	text, remedy = container.Explain(p.Err)
	return "prepare " + p.Service + ": " + text, remedy
}

// PrepareSeen gathers what is known of a service's host command; nothing asks for it.
func PrepareSeen(y *filesync.Syncer, conf *project.Service) plan.PrepareSeen {
	p := plan.PrepareSeen{Service: conf}
	if conf.Extra.Prepare != nil {
		p.Ran, p.Changed, p.Missing = y.Prepares.Ran(conf.Name) != "", y.Prepares.Needs(conf), missing(conf)
	}
	return p
}

// missing is the first path that the rules of the file name and that is not there, "" when all are.
func missing(conf *project.Service) string {
	for _, r := range conf.Rules {
		if _, err := os.Stat(r.Path); err != nil && !r.Default {
			return r.Path
		}
	}
	return ""
}

// prepare runs a service's host command. When its inputs change while it runs, it is begun again.
func (c *convergence) prepare(ctx context.Context) error {
	l, e, p := c.l, c.l.p, c.l.conf.Extra.Prepare
	if p == nil {
		return nil
	}
	if err := c.prepareSlot(ctx); err != nil {
		return err
	}
	defer func() { <-e.prepares }()
	var err error
	fingerprint, again := "", true
	for times := 0; again && times <= maxRebuildRestarts && ctx.Err() == nil; times++ {
		err = c.supersedable(ctx, "preparing", func(ctx context.Context) error {
			e.Sync.Prepares.Begin(l.conf)
			err := c.k.Time("prepare", func() error { return c.runPrepare(ctx, p) })
			fingerprint, again = e.Sync.Prepares.End(l.conf)
			return err
		}, func() error { return nil })
	}
	if ctx.Err() == nil {
		l.m.Files.SetUnprepared(err != nil)
	}
	if err == nil {
		e.Sync.Prepares.Record(l.name, fingerprint)
		c.w.Prepare = false // whatever comes next, such as the build, need not ask for it again
	}
	return err
}

// prepareSlot waits until a prepare command may run beside those of other services.
func (c *convergence) prepareSlot(ctx context.Context) error {
	slots := c.l.p.prepares
	select {
	case slots <- struct{}{}:
		return nil
	default:
	}
	c.l.m.Lane.SetDoing("queued to prepare")
	defer c.l.m.Lane.SetDoing("")
	select {
	case slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// supersedable does what a newer change of its inputs ends and begins again, so that of a burst of
// changes only the last state is made. again is called before each but the first time, with the work as
// it is then.
func (c *convergence) supersedable(
	ctx context.Context, doing string, do func(context.Context) error, again func() error,
) error {
	for times := 0; ; times++ {
		sctx, done := c.l.q.imagingContext(ctx, doing, times)
		err := do(sctx)
		superseded := errors.Is(context.Cause(sctx), errSuperseded)
		done()
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case !superseded:
			return err
		}
		if newer := c.l.q.takeWork(); newer != nil {
			c.w.Merge(newer)
		}
		if err := again(); err != nil {
			return err
		}
	}
}

// makeImage carries out the step that makes a service's image: a build, or a pull.
func (c *convergence) makeImage(ctx context.Context, st plan.Step) (*container.Image, error) {
	l := c.l
	before, build := l.unit().Image.ID, st.Op == plan.Build
	err := c.supersedable(ctx, "", func(ctx context.Context) error {
		if !build {
			return c.k.Time("pull", func() error { return l.p.Images.Pull(ctx, l.conf, c.t.Cause) })
		}
		return c.k.Time("build", func() error {
			return l.p.Images.Build(ctx, l.conf, before, st.Reason, c.t.Cause)
		})
	}, func() error {
		if !c.w.Prepare {
			return nil
		}
		return c.prepare(ctx)
	})
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	l.m.Files.SetUnbuilt(build && err != nil)
	if err != nil {
		return nil, err
	}
	return l.p.Images.Made(ctx, l.conf)
}

// runPrepare runs the command once, with its output in the builds.
func (c *convergence) runPrepare(ctx context.Context, p *project.Prepare) error {
	l, cause := c.l, c.t.Cause
	if cause == "" {
		cause = "up"
	}
	cmd := hostcmd.Command{Dir: l.p.Dir, Shell: p.Run, Terms: termsOf(l.conf, "prepare")}
	if err := l.p.Trust.Check(cmd.Terms); err != nil {
		return &PrepareError{Service: l.name, Command: p.Run, Err: err}
	}
	row := l.p.State.Builds.Begin(state.Build{Services: []string{l.name}, Kind: "prepare",
		Image: p.Run, Cause: cause})
	for _, key := range slices.Sorted(maps.Keys(p.Env)) {
		cmd.Env = append(cmd.Env, key+"="+p.Env[key])
	}
	err := hostcmd.Run(ctx, l.p.Trust, cmd, row.Output)
	canceled := context.Cause(ctx)
	if err != nil && canceled == nil {
		err = &PrepareError{Service: l.name, Command: p.Run, Err: err}
	}
	row.Close(err, canceled)
	return err
}
