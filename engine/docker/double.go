package docker

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	moby "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"bulkhead/engine/container"
)

// An engine that is asked for one network twice at the same moment makes two of one name, and then refuses
// that name as ambiguous, also to containers that are on one of them and start. What is here leaves one.

// How long a network that somebody made at the same time is given to go by its maker's hand, or to be
// taken into use: longer for those who made none of them, so that the makers decide first.
const (
	makerPatience = 2 * time.Second
	otherPatience = 4 * time.Second
	// youth is how long after a network was made another of its name may come, from somebody who had
	// not seen it: about as long as an engine takes to make one.
	youth = 500 * time.Millisecond
	// settleTries are rounds of looking and removing: one for each further network that comes in between.
	settleTries = 6
)

// namesake is one of the networks of a name.
type namesake struct {
	network.Summary
	users, running int // containers on it, and those of them that run
}

// settle leaves one network of a name, and returns it: the one that is in use, or that was made first.
// It is nil when there is none. mine is the id of the one that the caller has made just now, "" for none.
// Those that are not of the project stay, and so do those with running containers.
func (p *provisioner) settle(ctx context.Context, project, name, mine string) (*network.Summary, error) {
	for try := 1; ; try++ {
		all, err := p.namesakes(ctx, name)
		if err != nil || len(all) == 0 {
			return nil, err
		}
		first, spare := all[0], spares(project, all)
		if len(all) == 1 || try == settleTries || len(spare) == 0 && first.ID != mine {
			return &first.Summary, nil
		}
		goes := spare
		if i := slices.IndexFunc(spare, func(n namesake) bool { return n.ID == mine }); i >= 0 {
			goes = spare[i : i+1]
		} else {
			patience := otherPatience
			if first.ID == mine {
				patience = makerPatience
			}
			changed, err := p.awaitChange(ctx, name, all, patience)
			if err != nil {
				return nil, err
			}
			if changed {
				continue
			}
			// Its maker saw the other one alone, before this one was there, and goes by it.
			if first.ID == mine && first.users == 0 && all[1].serves(project, first.Labels[labelHash]) {
				goes = all[:1]
			}
		}
		if len(goes) == 0 {
			return &first.Summary, nil
		}
		for _, n := range goes {
			if err := p.removeSpare(ctx, n.ID); err != nil {
				return nil, err
			}
		}
	}
}

// serves says whether a network is as good as one of a project with a hash of its configuration: it has the same,
// or is another project's, which is used as it is.
func (n *namesake) serves(project, hash string) bool {
	return n.Labels[labelProject] != project || n.Labels[labelHash] == hash
}

// namesakes lists the networks of the exact name; where there are several, the one to keep is the first.
func (p *provisioner) namesakes(ctx context.Context, name string) ([]namesake, error) {
	list, err := p.conn.cli.NetworkList(ctx,
		client.NetworkListOptions{Filters: make(client.Filters).Add("name", name)})
	if err != nil {
		return nil, err
	}
	var all []namesake
	for _, n := range list.Items {
		if n.Name == name { // the filter also takes parts of a name
			all = append(all, namesake{Summary: n})
		}
	}
	if len(all) < 2 {
		return all, nil
	}
	for i := range all {
		on, err := p.conn.cli.ContainerList(ctx, client.ContainerListOptions{All: true,
			Filters: make(client.Filters).Add("network", all[i].ID)})
		if err != nil {
			return nil, err
		}
		all[i].users = len(on.Items)
		for _, c := range on.Items {
			if c.State == moby.StateRunning || c.State == moby.StatePaused {
				all[i].running++
			}
		}
	}
	slices.SortFunc(all, func(a, b namesake) int {
		return cmp.Or(cmp.Compare(b.running, a.running), cmp.Compare(b.users, a.users),
			a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID))
	})
	return all, nil
}

// spares are the networks that may go: those of the project beside the first, without running containers.
func spares(project string, all []namesake) (spare []namesake) {
	for _, n := range all[1:] {
		if n.Labels[labelProject] == project && n.running == 0 {
			spare = append(spare, n)
		}
	}
	return spare
}

// awaitChange waits until other networks have a name than before, for the patience at most; changed says
// whether they have.
func (p *provisioner) awaitChange(
	ctx context.Context, name string, before []namesake, patience time.Duration,
) (changed bool, err error) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for end := time.After(patience); ; {
		select {
		case <-tick.C:
		case <-end:
			return false, nil
		case <-ctx.Done():
			return false, context.Cause(ctx)
		}
		now, err := p.namesakes(ctx, name)
		if err != nil {
			return false, err
		}
		if !slices.EqualFunc(before, now, func(a, b namesake) bool {
			return a.ID == b.ID && a.running == b.running
		}) {
			return true, nil
		}
	}
}

// removeSpare removes a network, unless a container has come on it in between.
func (p *provisioner) removeSpare(ctx context.Context, id string) error {
	_, err := p.conn.cli.NetworkRemove(ctx, id, client.NetworkRemoveOptions{})
	if cerrdefs.IsNotFound(err) || cerrdefs.IsConflict(err) ||
		err != nil && strings.Contains(err.Error(), "active endpoints") {
		return nil
	}
	return err
}

// ambiguous says whether an engine refused a network's name because several have it.
func ambiguous(err error) bool {
	return err != nil && strings.Contains(err.Error(), "is ambiguous (")
}

// settled calls f, and again for as long as a network's name is ambiguous: one more may be made while one goes.
// names are those that it is about.
func (r *Runtime) settled(ctx context.Context, project string, names []string, f func() error) error {
	err := f()
	for try := 1; ambiguous(err) && try < settleTries; try++ {
		for _, name := range names {
			if _, lost := r.provisioner.settle(ctx, project, name, ""); lost != nil {
				return err // it is what went wrong first
			}
		}
		err = f()
	}
	return err
}

// settleFirst sees to it that the networks of a container have names of their own before it starts. Engines remove
// one of run --rm whose start fails, so that there is no second try.
func (r *Runtime) settleFirst(ctx context.Context, c container.CreateSpec) error {
	if c.Beside == nil || !c.Beside.Remove {
		return nil
	}
	for _, name := range networkNames(c) {
		for {
			n, err := r.provisioner.settle(ctx, c.App.Name, name, "")
			if err != nil {
				return r.wrap("look up network "+name, err)
			}
			if n == nil {
				break // the start says so
			}
			age := time.Since(n.Created)
			if age >= youth || age < -youth { // the engine has another clock
				break
			}
			select {
			case <-time.After(youth - max(age, 0)):
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
	}
	return nil
}

// connect puts a container on a network.
func (r *Runtime) connect(ctx context.Context, project, id string, ep namedEndpoint) error {
	return r.settled(ctx, project, []string{ep.network}, func() error {
		_, err := r.cli.NetworkConnect(ctx, ep.network,
			client.NetworkConnectOptions{Container: id, EndpointConfig: ep.config})
		return err
	})
}

// run starts a container that is there.
func (r *Runtime) run(ctx context.Context, id string) error {
	start := func() error {
		_, err := r.cli.ContainerStart(ctx, id, client.ContainerStartOptions{})
		return err
	}
	err := start()
	if !ambiguous(err) {
		return err
	}
	res, lost := r.cli.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
	if lost != nil || res.Container.Config == nil || res.Container.NetworkSettings == nil {
		return err // it is what went wrong first
	}
	names := slices.Sorted(maps.Keys(res.Container.NetworkSettings.Networks))
	return r.settled(ctx, res.Container.Config.Labels[labelProject], names, start)
}

// networkNames are the networks that a container of the spec is on, as the engine calls them, sorted.
func networkNames(c container.CreateSpec) (names []string) {
	s := c.Service.Config
	if s.NetworkMode != "" || len(c.App.Networks) == 0 {
		return nil
	}
	keys := s.NetworksByPriority()
	if len(keys) == 0 {
		keys = []string{networkKeyOfNone}
	}
	for _, key := range keys {
		names = append(names, c.App.Networks[key].Name)
	}
	slices.Sort(names)
	return names
}
