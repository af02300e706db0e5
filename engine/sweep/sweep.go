// Package sweep removes what is left of a project beside the containers of its services: orphans,
// containers of hooks, one-offs, networks, volumes and images, as a command says, and names what it
// leaves alone. It decides nothing about services and keeps nothing; the engine calls it for down, kill
// and the first up.
package sweep

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"bulkhead/engine/command"
	"bulkhead/engine/container"
	"bulkhead/engine/plan"
	"bulkhead/engine/project"
	"bulkhead/engine/state"
	"bulkhead/engine/step"
)

// Sweeper sweeps one project. All of its fields must be set; its methods may be called from any goroutine.
type Sweeper struct {
	Project string
	Runtime *container.Complete
	State   *state.State
	Steps   *step.Runner
}

// Orphans stops and removes containers whose service the file does not name, all at the same time.
func (sw Sweeper) Orphans(ctx context.Context, strays plan.Plan, volumes bool) error {
	errs := make([]error, len(strays))
	var wg sync.WaitGroup
	for i, st := range strays {
		wg.Go(func() {
			errs[i] = container.Guard("orphan "+st.Seen.Name, func() error {
				return sw.Steps.Remove(ctx, step.Service{Conf: &project.Service{Name: st.Service}},
					st.Seen, st.Reason, volumes)
			})
		})
	}
	wg.Wait()
	return container.Join(errs...)
}

// Strays removes the containers of services that the file does not name, or with a notice leaves
// them, as the command says.
func (sw Sweeper) Strays(ctx context.Context, c command.Command) error {
	instances, err := sw.Runtime.Instances(ctx, sw.Project)
	if err != nil {
		return container.WrapErr(err, "look at project %s", sw.Project)
	}
	strays := plan.Orphans(sw.State.Project(), instances)
	if c.Orphans {
		return sw.Orphans(ctx, strays, c.Volumes)
	}
	for _, st := range strays {
		sw.State.Notice("orphan", st.Seen.Name+
			": left alone, the file does not name its service; --remove-orphans removes it")
	}
	return nil
}

// Orphaned returns the steps that remove what up counts among orphans, as docker compose does: containers of services
// that the file does not name, and one-offs that have ended. gone are both where they are to be removed, and
// nothing else. instances are those of services.
func (sw Sweeper) Orphaned(
	ctx context.Context, instances []container.Instance, remove bool,
) (gone, strays, ended plan.Plan) {
	oneOffs, err := sw.Runtime.OneOffs(ctx, sw.Project)
	if err != nil {
		sw.State.Warn(err.Error()) // they stay, and the next up finds them
	}
	for _, in := range oneOffs {
		if in.State == container.StateExited {
			ended = append(ended, plan.Step{Service: in.Service, Op: plan.Remove, Reason: "one-off that has ended",
				Seen: in})
		}
	}
	if strays = plan.Orphans(sw.State.Project(), instances); remove {
		gone = slices.Concat(strays, ended)
	}
	return gone, strays, ended
}

// NetworksEarly removes the project's networks as soon as no container of its services runs, beside the removal of
// the containers: one that has ended holds no network. The returned function ends that, and names them. What could
// not be removed by then is for Rest, and so is why.
func (sw Sweeper) NetworksEarly(ctx context.Context) (end func()) {
	waiting, giveUp := context.WithCancel(ctx)
	networks, _ := sw.own()
	gone := make(chan []string, 1)
	go func() {
		var swept container.Swept
		_ = container.Guard("networks", func() (err error) {
			if err = sw.State.Await(waiting, func(v *state.View) (bool, error) {
				return allEnded(v), nil
			}); err == nil {
				swept, err = sw.Runtime.RemoveNetworks(ctx, sw.Project, networks)
			}
			return err
		})
		gone <- swept.Removed
	}()
	return func() {
		giveUp()
		sw.noteRemoved("network", <-gone)
	}
}

// own are the names of the networks that the project's file declares for itself, and of its volumes.
// Both are nil for a project that is known by its labels alone: it owns all that carries its name.
func (sw Sweeper) own() (networks, volumes []string) {
	p := sw.State.Project()
	if len(p.Files) == 0 {
		return nil, nil
	}
	networks, volumes = []string{}, []string{}
	for _, n := range p.Networks {
		if !n.External {
			networks = append(networks, n.Name)
		}
	}
	for _, v := range p.Volumes {
		if !v.External {
			volumes = append(volumes, v.Name)
		}
	}
	return networks, volumes
}

// external says whether the file has a network or volume of that name as somebody else's.
func (sw Sweeper) external(what, name string) bool {
	p := sw.State.Project()
	if what == "network" {
		for _, n := range p.Networks {
			if n.Name == name {
				return bool(n.External)
			}
		}
	}
	for _, v := range p.Volumes {
		if what == "volume" && v.Name == name {
			return bool(v.External)
		}
	}
	return false
}

func allEnded(v *state.View) bool {
	for _, s := range v.Services {
		for _, r := range s.Replicas {
			if at := r.Instance.State; at.TakesSignals() || at == container.StateRestarting {
				return false
			}
		}
	}
	return true
}

// note names what was removed, and after the end of the whole project what is left of it.
func (sw Sweeper) note(what string, all container.Swept, c command.Command) {
	sw.noteRemoved(what, all.Removed)
	if len(c.Services) > 0 {
		return
	}
	for _, name := range all.Spared {
		if sw.external(what, name) {
			continue // that it stays is what the file says
		}
		sw.State.Notice("left",
			fmt.Sprintf("%s %s: left alone, the file does not declare it as its own; `docker %s rm %s` removes it", what, name, what, name))
	}
}

func (sw Sweeper) noteRemoved(what string, names []string) {
	for _, n := range names {
		sw.State.Notice("removed", what+" "+n+" removed")
	}
}

// Rest removes what is left of a project once its containers are gone: networks, and if asked volumes and images.
func (sw Sweeper) Rest(ctx context.Context, c command.Command) error {
	var errs []error
	networks, volumes := sw.own()
	gone, err := sw.Runtime.RemoveNetworks(ctx, sw.Project, networks)
	errs = append(errs, err)
	sw.note("network", gone, c)
	if len(c.Services) == 0 {
		errs = append(errs, sw.nameGuests(ctx))
	}
	if c.Volumes {
		gone, err := sw.Runtime.RemoveVolumes(ctx, sw.Project, volumes)
		errs = append(errs, err)
		sw.note("volume", gone, c)
	}
	if c.AllImages {
		errs = append(errs, sw.removeAllImages(ctx, c))
	}
	if c.Images || c.AllImages {
		errs = append(errs, sw.removeOwnImages(ctx))
	}
	return container.Join(errs...)
}

// nameGuests says which containers keep networks of the project in use.
func (sw Sweeper) nameGuests(ctx context.Context) error {
	guests, err := sw.Runtime.Guests(ctx, sw.Project)
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(guests)) {
		sw.State.Notice("left", fmt.Sprintf("network %s stays: %s %s in it", name,
			strings.Join(guests[name], ", "), isOrAre(len(guests[name]))))
	}
	return nil
}

func isOrAre(n int) string {
	if n == 1 {
		return "is"
	}
	return "are"
}

// removeAllImages removes the images that the services run, by their names.
func (sw Sweeper) removeAllImages(ctx context.Context, c command.Command) error {
	var errs []error
	done := map[string]bool{}
	for _, s := range sw.State.Project().Services {
		if done[s.Image] || len(c.Services) > 0 && !slices.Contains(c.Services, s.Name) {
			continue
		}
		done[s.Image] = true
		if _, err := sw.Runtime.Image(ctx, s.Image, ""); errors.Is(err, container.ErrNotFound) {
			continue
		}
		gone, err := sw.Runtime.Untag(ctx, s.Image)
		switch {
		case err != nil:
			errs = append(errs, err)
		case gone:
			sw.State.Notice("removed", "image "+s.Image+" removed")
		default:
			sw.State.Notice("left", "image "+s.Image+" stays: another container uses it")
		}
	}
	return container.Join(errs...)
}

// untagBuilt takes names of an image away that the file has for what it builds, as docker compose does: those that
// services have by themselves, and the first of all; tags are the image's. What else it is called stays.
func (sw Sweeper) untagBuilt(ctx context.Context, tags []string) error {
	var named, gone []string
	for _, s := range sw.State.Project().Services {
		if !s.Built {
			continue
		}
		for _, name := range append([]string{s.Image}, s.Config.Build.Tags...) {
			tag := project.ImageTag(name)
			if !slices.Contains(tags, tag) {
				continue
			}
			if named = append(named, tag); name == s.Image && s.Config.Image == "" {
				gone = append(gone, tag)
			}
		}
	}
	if len(named) > 0 {
		gone = append(gone, slices.Min(named))
	}
	slices.Sort(gone)
	var errs []error
	for _, tag := range slices.Compact(gone) {
		_, err := sw.Runtime.Untag(ctx, tag) // one that a container uses stays, and is named
		errs = append(errs, err)
	}
	return container.Join(errs...)
}

// removeOwnImages removes the images that were built for the project.
func (sw Sweeper) removeOwnImages(ctx context.Context) error {
	ids, err := sw.Runtime.ProjectImages(ctx, sw.Project, true)
	errs := []error{err}
	for _, id := range ids {
		img, lost := sw.Runtime.Image(ctx, id, "")
		errs = append(errs, sw.untagBuilt(ctx, img.Tags))
		gone, err := sw.Runtime.RemoveImage(ctx, id, true)
		if !gone && lost == nil {
			var after error
			img, after = sw.Runtime.Image(ctx, id, "")
			gone = errors.Is(after, container.ErrNotFound) // with its last name
		}
		switch {
		case err != nil:
			errs = append(errs, container.WrapErr(err, "remove image %s", container.ShortID(id)))
		case gone:
			sw.State.Notice("removed", "image "+container.ShortID(id)+" removed")
		case lost == nil && len(img.Tags) > 0:
			sw.State.Notice("left",
				fmt.Sprintf("image %s stays: it has the name %s, or a container uses it",
					container.ShortID(id), strings.Join(img.Tags, ", ")))
		}
	}
	return container.Join(errs...)
}

// Beside removes what stands beside the containers of services: those of hooks always, one-offs
// when orphans go too; else they are named and left.
func (sw Sweeper) Beside(ctx context.Context, c command.Command) error {
	hooks, err := sw.Runtime.Hooks(ctx, sw.Project)
	errs := []error{err}
	for _, in := range hooks {
		errs = append(errs, sw.Runtime.Remove(ctx, in.ID, true, true))
	}
	oneOffs, err := sw.Runtime.OneOffs(ctx, sw.Project)
	errs = append(errs, err)
	if c.Orphans {
		var p plan.Plan
		for _, in := range oneOffs {
			p = append(p, plan.Step{Service: in.Service, Op: plan.Remove, Reason: "one-off", Seen: in})
		}
		return container.Join(append(errs, sw.Orphans(ctx, p, c.Volumes))...)
	}
	for _, in := range oneOffs {
		sw.State.Notice("orphan",
			fmt.Sprintf("%s: left alone, it is a one-off of %s (%s); --remove-orphans removes it",
				in.Name, in.Service, in.State))
	}
	return container.Join(errs...)
}

// Kill sends the signal of a kill to what else it is for: where it names no service to one-offs, and
// where it says so to the containers of services that the file does not name.
func (sw Sweeper) Kill(ctx context.Context, c command.Command) error {
	var also []container.Instance
	var errs []error
	if c.Orphans {
		instances, err := sw.Runtime.Instances(ctx, sw.Project)
		errs = append(errs, err)
		for _, st := range plan.Orphans(sw.State.Project(), instances) {
			also = append(also, st.Seen)
		}
	}
	if len(c.Services) == 0 {
		oneOffs, err := sw.Runtime.OneOffs(ctx, sw.Project)
		errs, also = append(errs, err), append(also, oneOffs...)
	}
	for _, in := range also {
		if !in.State.TakesSignals() {
			continue
		}
		err := sw.Runtime.Kill(ctx, in.ID, cmp.Or(c.Signal, "SIGKILL"))
		if !errors.Is(err, container.ErrNotFound) && !errors.Is(err, container.ErrConflict) { // it has ended meanwhile
			errs = append(errs, err)
		}
	}
	return container.Join(errs...)
}
