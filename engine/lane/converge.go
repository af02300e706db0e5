package lane

import (
	"context"
	"maps"

	"bulkhead/engine/command"
	"bulkhead/engine/container"
	"bulkhead/engine/image"
	"bulkhead/engine/plan"
	"bulkhead/engine/project"
	"bulkhead/engine/state"
	"bulkhead/engine/step"
)

// convergence is one service on its way to what the project wants: its image, its containers, their
// start. Changed files that come meanwhile are merged into its work.
type convergence struct {
	l       *worker
	t       *Task
	w       *plan.Work
	k       *state.Timing
	parents map[string]string // ids of the containers whose namespaces it joins
	outlook Outlook           // of the first up; else empty
}

func (l *worker) converging(t *Task, w *plan.Work, k *state.Timing) *convergence {
	return &convergence{l: l, t: t, w: w, k: k}
}

// carryOut brings image and containers of a service to what is wanted.
func (c *convergence) carryOut(ctx context.Context) (changed bool, err error) {
	l, t := c.l, c.t
	if l.p.AsIs && (t.Verb == command.Start || l.conf.Labelled || t.Follows && !t.Renewed) {
		return c.startAsIs(ctx)
	}
	if t.Planned != nil {
		c.outlook, _ = l.p.OutlookOf(ctx, l.conf, l.instances()) // its error is met again where it is acted upon
		t.Planned(&c.outlook.Outlook)
	}
	if l.conf.Provided() {
		return l.provide(ctx, t, c.k)
	}
	why, err := c.buildWhy()
	if err != nil {
		return false, err
	}
	// What follows from a step is decided once it is done: what a prepare writes may ask for a build, and
	// what a build comes to says which containers may stay.
	if st := plan.DecidePrepare(c.prepareSeen()); st.Op == plan.Prepare {
		if err := c.prepare(ctx); err != nil {
			return false, err
		}
		c.outlook.image = nil // what the image is made from is another
	}
	if err := l.complete(ctx); err != nil {
		return false, err
	}
	if c.parents, err = l.waits().parents(ctx, t.Verb != Batch); err != nil {
		return false, err
	}
	wanted, seen, err := c.compare()
	if err != nil {
		return false, err
	}
	c.asked(&wanted)
	ask := image.Ask{Service: l.conf, Pull: t.Cmd.Pull, Build: why, First: t.First,
		Fresh: len(seen.Instances) == 0, Seen: c.outlook.image}
	img, err := l.p.Images.Provide(ctx, ask, func(st plan.Step) (*container.Image, error) { return c.makeImage(ctx, st) })
	defer img.Release()
	if err != nil {
		return false, err
	}
	wanted.Image = img.Image
	if img.Built {
		defer l.renewUsers()
	}
	l.m.SetImage(img.Image)
	if seen, err = c.provideResources(ctx, &wanted, seen); err != nil {
		return false, err
	}

	changed, err = c.walk(*img.Image, wanted).run(ctx, plan.Decide(wanted, seen))
	// A swap that was cut short leaves an image without a name, so the first up looks for such, too.
	if err == nil && l.conf.Built && (changed || t.First) {
		l.p.Images.CleanLater()
	}
	return changed, err
}

// provideResources makes the networks and volumes of the service, as its plan says, and returns its
// containers as they are on them.
func (c *convergence) provideResources(ctx context.Context, wanted *plan.Want, seen plan.Seen) (plan.Seen, error) {
	ids, err := c.l.p.Resources.Provide(ctx, c.l.p.State.Project(), c.l.conf, c.t.First)
	if err != nil {
		return seen, err
	}
	maps.Copy(wanted.Networks, ids)
	return c.moved(ctx, seen, ids)
}

// complete puts into the service's configuration what others say: its providers, and the images that it mounts.
func (l *worker) complete(ctx context.Context) error {
	if err := l.takeProvided(ctx); err != nil {
		return err
	}
	return l.takeImages(ctx)
}

// takeImages finds the images that the service mounts.
func (l *worker) takeImages(ctx context.Context) error {
	if !l.conf.MountsImages() {
		return nil
	}
	names, digests, err := l.p.Images.Volumes(ctx, l.conf)
	if err != nil {
		return err
	}
	conf, err := l.conf.WithImages(names, digests)
	if err != nil {
		return container.WrapErr(err, "create %s", l.name)
	}
	l.conf = conf
	l.m.SetConf(conf)
	return nil
}

// asked puts in what the first up, or a command, asks for beside what the project wants.
func (c *convergence) asked(wanted *plan.Want) {
	l, cmd := c.l, c.t.Cmd
	if c.t.First {
		wanted.Recreate, wanted.NoStart = l.p.Replace.Of(l.name), l.p.NoStart
	}
	switch {
	case cmd.Renew || cmd.Recreate == command.Always:
		wanted.Recreate = plan.Every
	case cmd.Recreate == command.Never:
		wanted.Recreate = plan.None
	}
	wanted.NoStart = wanted.NoStart || cmd.NoStart
}

// buildWhy says why the image is to be built whatever else is found, "" when nothing asks for it.
func (c *convergence) buildWhy() (string, error) {
	switch {
	case c.t.Verb == command.Rebuild && !c.l.conf.Built:
		what := container.FailedTo("rebuild", c.l.name,
			"it has no build: in the Compose file, so there is nothing to build")
		return "", what
	case c.t.Verb == command.Rebuild:
		return c.t.Cause, nil
	case c.w.Rebuild:
		return c.w.Cause(c.l.p.Dir), nil
	}
	return "", nil
}

// prepareSeen is what is known of the service's host command, and what asks for it.
func (c *convergence) prepareSeen() plan.PrepareSeen {
	var p plan.PrepareSeen
	if o := c.outlook.prepare; o != nil {
		p = *o
	} else {
		p = PrepareSeen(c.l.p.Sync, c.l.conf)
	}
	p.First = c.t.First
	switch {
	case c.w.Prepare:
		p.Asked = c.w.Cause(c.l.p.Dir)
	case c.t.Verb == command.Rebuild:
		p.Asked = c.t.Cause
	case c.l.m.Files.Unprepared():
		p.Asked = "it failed the last time"
	}
	return p
}

// startAsIs starts what a service has, whatever the file says by now.
func (c *convergence) startAsIs(ctx context.Context) (changed bool, err error) {
	if c.t.Verb != command.Start && !c.t.Follows {
		what := container.FailedTo(string(c.t.Verb), c.l.name, "no Compose file describes it")
		return false, container.WithRemedy(what, "name the file with -f")
	}
	if c.parents, err = c.l.waits().parents(ctx, false); err != nil {
		return false, err
	}
	wanted, seen, err := c.compare()
	if err != nil {
		return false, err
	}
	wanted.AsIs = true
	return c.walk(container.Image{}, plan.Want{Hash: wanted.Hash}).run(ctx, plan.Decide(wanted, seen))
}

// moved looks again at containers that were on a network which has been made again meanwhile: it may
// have taken them along.
func (c *convergence) moved(ctx context.Context, seen plan.Seen, ids map[string]string) (plan.Seen, error) {
	again := false
	for _, in := range seen.Instances {
		for name, id := range ids {
			if at := in.Networks[name]; at != "" && at != id {
				again = true
				if err := c.l.p.Refresh(ctx, c.l.m, in.ID, "network "+name+" was made again"); err != nil {
					return seen, err
				}
				break
			}
		}
	}
	if !again {
		return seen, nil
	}
	_, seen, err := c.compare()
	return seen, err
}

// compare gathers what is wanted of a service and what is seen of it.
func (c *convergence) compare() (plan.Want, plan.Seen, error) {
	l := c.l
	wanted, err := l.p.wantOf(l.p.State.Project(), l.conf, c.parents)
	if err != nil {
		return wanted, plan.Seen{}, err
	}
	seen := plan.Seen{Completed: l.p.Journal.Completed(), Stopping: l.p.Journal.StopsBegun()}
	wanted.Joined, wanted.JoinedWhy = l.p.State.View().Services.Joined(l.conf)
	seen.Instances = l.instances()
	if c.t.Verb == command.Start && len(c.t.Cmd.Services) > 0 || c.t.First && l.p.Replace.Again {
		// a job that is done is asked for once more
		seen.Completed, wanted.OneShot = nil, false
	}
	return wanted, seen, nil
}

// instances are all containers of the service, as they are known.
func (l *worker) instances() []container.Instance {
	var all []container.Instance
	for _, h := range l.m.Holders(0) {
		all = append(all, h.Instance)
	}
	return append(all, l.m.Spare.List()...)
}

// walk is the walk of the steps that make containers from an image.
func (c *convergence) walk(img container.Image, wanted plan.Want) *walk {
	l := c.l
	base := l.spec(img, c.parents, wanted.Content, wanted.Hash)
	base.Fresh = c.t.First && l.p.Replace.Renewed || c.t.Cmd.Renew
	return &walk{
		l: l, t: c.t, k: c.k, u: step.Service{Conf: l.conf, Image: img}, base: base, noStart: wanted.NoStart,
		starts: map[int]func(context.Context) error{}, swaps: map[int]func(context.Context) error{},
	}
}

// wantOf gathers what the project asks of a service. A runtime that makes no networks and volumes has none
// that a container could lack.
func (e *Parts) wantOf(p *project.Project, conf *project.Service, parents map[string]string) (plan.Want, error) {
	hash, err := project.ConfigHash(conf, parents)
	if err != nil {
		return plan.Want{}, err
	}
	w := plan.Want{Name: conf.Name, Replicas: conf.Replicas, Hash: hash, Restarts: conf.Restarts(), Overlap: conf.Extra.Swap == project.Overlap}
	w.VolumeImages = conf.VolumeImages
	w.Content, w.Program = project.ContentHash(p, conf), conf.Extra.Restart == project.ProcessScope
	w.Networks = map[string]string{}
	around := e.Runtime.Caps.Provision
	if around && conf.Config.NetworkMode == "" {
		for key := range conf.Config.Networks {
			if n, ok := p.Networks[key]; ok {
				w.Networks[n.Name] = ""
			}
		}
	}
	for _, v := range conf.Config.Volumes {
		if vol, ok := p.Volumes[v.Source]; around && ok && v.Type == "volume" {
			w.Volumes = append(w.Volumes, vol.Name)
		}
	}
	for _, o := range p.Services {
		if d, ok := o.DependsOn[conf.Name]; ok && d.Condition == "service_completed_successfully" {
			w.OneShot = true
		}
	}
	return w, nil
}
