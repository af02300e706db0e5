package lane

import (
	"context"

	"bulkhead/engine/container"
	"bulkhead/engine/image"
	"bulkhead/engine/plan"
	"bulkhead/engine/project"
)

// Outlook is what the first up of one service begins with.
type Outlook struct {
	plan.Outlook
	// What its steps were decided from; nil where it was not looked at.
	prepare *plan.PrepareSeen
	image   *plan.ImageSeen
}

// OutlookOf looks at all that the first up of a service goes by, and does nothing. The error says
// what up would meet; the rest is there all the same. instances are the containers of the service.
func (p *Parts) OutlookOf(
	ctx context.Context, conf *project.Service, instances []container.Instance,
) (Outlook, error) {
	wanted := p.State.Project()
	w, err := p.wantOf(wanted, conf, nil)
	o := Outlook{Outlook: plan.Outlook{Want: w, Seen: plan.Seen{Completed: p.Journal.Completed(),
		Stopping: p.Journal.StopsBegun()}}}
	if err != nil {
		return o, err
	}
	o.Seen.Instances = instances
	if len(conf.Parents()) > 0 || len(ProvidersOf(wanted, conf)) > 0 {
		// Its hash has the ids of containers in it, which may be made again first, or what a provider says.
		if len(o.Seen.Instances) > 0 {
			o.Want.Hash = o.Seen.Instances[0].Hash
		}
		o.Want.Joined, o.Want.JoinedWhy = p.State.View().Services.Joined(conf)
	}
	if p.Replace.Again {
		o.Seen.Completed, o.Want.OneShot = nil, false
	}
	o.Want.Recreate, o.Want.NoStart = p.Replace.Of(conf.Name), p.NoStart
	if conf.Provided() {
		o.Want.First = []plan.Step{
			{Service: conf.Name, Op: plan.Start, Reason: "by its provider " + conf.Config.Provider.Type},
		}
		return o, nil
	}
	err = p.lookAtImage(ctx, conf, &o)
	made, err2 := p.Resources.Plan(ctx, wanted, conf)
	o.Want.First = append(o.Want.First, made...)
	return o, container.Join(err, err2)
}

// lookAtImage adds what is known of the image of a service, and of what it is made from.
func (p *Parts) lookAtImage(ctx context.Context, conf *project.Service, o *Outlook) error {
	prepare := PrepareSeen(p.Sync, conf)
	prepare.First = true
	o.prepare = &prepare
	if st := plan.DecidePrepare(prepare); st.Op == plan.Prepare {
		o.Want.First = append(o.Want.First, st)
	}
	have, err := p.Images.Look(ctx, image.Ask{Service: conf, First: true, Fresh: len(o.Seen.Instances) == 0})
	if err != nil {
		return err
	}
	o.image, o.Want.Image = &have, have.Have
	st, err := plan.DecideImage(have)
	if err != nil {
		return err
	}
	switch {
	case st.Op == plan.Await && have.Beside:
		o.Want.Renews = have.Maker + " builds its image"
	case st.Op == plan.Await:
		o.Maker = have.Maker
	}
	if st.Op != plan.Keep {
		o.Want.First = append(o.Want.First, st)
	}
	return nil
}
