package conformance

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"testing"

	"github.com/compose-spec/compose-go/v2/types"

	"bulkhead/engine/container"
)

var aroundCases = []Case{
	{Name: "a network is made once, and removed when nobody runs on it", Run: networks},
	{Name: "a container does not start without its network", Run: lostNetwork},
	{Name: "a container that was taken off its networks starts on them", Run: takenOff},
	{Name: "a volume is made once, and removed when nobody has it", Run: volumes},
	{Name: "anonymous volumes are taken over", Run: inherits},
	{Name: "a host port is taken once", Run: ports},
}

var imageCases = []Case{
	{Name: "an image goes when nobody uses or names it", Run: images},
}

func asError[T error](err error, target *T) bool { return errors.As(err, target) }

func isUnsupported(err error) bool { return errors.Is(err, container.ErrUnsupported) }

func onNetwork(keys ...string) set {
	return func(c *types.ServiceConfig) {
		c.NetworkMode, c.Networks = "", map[string]*types.ServiceNetworkConfig{}
		for _, key := range keys {
			c.Networks[key] = nil
		}
	}
}

// network makes a network of the project.
func (b *bench) network(key string) types.NetworkConfig {
	b.Helper()
	n := types.NetworkConfig{Name: b.Project + "_" + key}
	_, _, err := b.rt.EnsureNetwork(b.ctx, container.NetworkSpec{Project: b.Project, Key: key, Config: n,
		Hash: "one"})
	b.ok(err)
	return n
}

// finds looks for a network with a hash of its configuration.
func (b *bench) finds(spec container.NetworkSpec, hash string, want container.Found) {
	b.Helper()
	spec.Hash = hash
	found, err := b.rt.FindNetwork(b.ctx, spec)
	b.ok(err)
	if found != want {
		b.Errorf("looked for the network as %q: %+v, want %+v", hash, found, want)
	}
}

func networks(t *testing.T, h Harness) {
	b := open(t, h)
	if b.lacks(b.rt.Caps.Provision, "Provisioner") {
		return
	}
	n := types.NetworkConfig{Name: b.Project + "_front"}
	spec := container.NetworkSpec{Project: b.Project, Key: "front", Config: n, Hash: "one"}
	ensure := func(hash string) (string, bool) {
		b.Helper()
		spec.Hash = hash
		id, made, err := b.rt.EnsureNetwork(b.ctx, spec)
		b.ok(err)
		return id, made
	}
	b.finds(spec, "one", container.Found{})
	first, made := ensure("one")
	again, madeAgain := ensure("one")
	if !made || madeAgain || first != again || first == "" {
		b.Errorf("made %t as %s, then %t as %s", made, first, madeAgain, again)
	}
	b.finds(spec, "one", container.Found{There: true, ID: first})
	b.finds(spec, "two", container.Found{There: true, ID: first, Outdated: true})
	other, made := ensure("two")
	if !made || other == first {
		b.Errorf("one that diverged: made %t as %s, was %s", made, other, first)
	}
	b.app.Networks["front"] = n
	id := b.start("web", waits(), onNetwork("front"))
	if in := b.inspect(id); len(in.Networks) != 1 || in.Networks[n.Name] != other {
		b.Errorf("on the networks %v, want %s", in.Networks, other)
	}
	// A container on it moves over to the one that is made again, and stays the one that it is.
	third, made := ensure("three")
	if !made || third == other {
		b.Errorf("one that diverged with a container on it: made %t as %s, was %s", made, third, other)
	}
	if in := b.inspect(id); in.State != container.StateRunning || in.Networks[n.Name] != third {
		b.Errorf("its container is %s on the networks %v, want %s", in.State, in.Networks, third)
	}
	if gone, err := b.rt.RemoveNetworks(b.ctx, b.Project, nil); err != nil || len(gone.Removed) != 0 {
		b.Errorf("in use: removed %v, %v", gone, err)
	}
	b.ok(b.rt.Remove(b.ctx, id, true, true))
	gone, err := b.rt.RemoveNetworks(b.ctx, b.Project, []string{n.Name + "-other"})
	b.ok(err)
	b.same("spared", gone.Spared, []string{n.Name})
	b.same("removed though spared", gone.Removed, nil)
	gone, err = b.rt.RemoveNetworks(b.ctx, b.Project, nil)
	b.ok(err)
	b.same("removed", gone.Removed, []string{n.Name})
	external := container.NetworkSpec{Project: b.Project, Key: "x",
		Config: types.NetworkConfig{Name: b.Project + "-none", External: true}}
	_, _, err = b.rt.EnsureNetwork(b.ctx, external)
	b.is("an external one that is not there", err, container.ErrNotFound)
	_, err = b.rt.FindNetwork(b.ctx, external)
	b.is("looking for an external one that is not there", err, container.ErrNotFound)
}

func lostNetwork(t *testing.T, h Harness) {
	b := open(t, h)
	if b.lacks(b.rt.Caps.Provision, "Provisioner") {
		return
	}
	b.app.Networks["back"] = b.network("back")
	id := b.start("web", waits(), onNetwork("back"))
	b.ok(b.rt.Kill(b.ctx, id, "KILL"))
	b.ended(id)
	// One that does not run keeps no network, but knows the one that it was on.
	gone, err := b.rt.RemoveNetworks(b.ctx, b.Project, nil)
	b.ok(err)
	b.same("removed", gone.Removed, []string{b.Project + "_back"})
	if err := b.rt.Start(b.ctx, container.CreateSpec{}, id); err == nil {
		b.Error("it starts without its network")
	}
	b.network("back")
	if err := b.rt.Start(b.ctx, container.CreateSpec{}, id); err == nil {
		b.Error("it starts on another network of the same name")
	}
	if in := b.inspect(id); in.State == container.StateRunning {
		b.Errorf("it is %s", in.State)
	}
}

func takenOff(t *testing.T, h Harness) {
	b := open(t, h)
	if b.lacks(b.rt.Caps.Provision && b.TakeOff != nil, "Provisioner, or way to take a container off a network") {
		return
	}
	b.app.Networks["back"], b.app.Networks["front"] = b.network("back"), b.network("front")
	id := b.start("web", waits(), onNetwork("back", "front"))
	before := b.inspect(id).Networks
	b.ok(b.rt.Kill(b.ctx, id, "KILL"))
	b.ended(id)
	for name := range before {
		b.TakeOff(b.T, id, name)
	}
	if got := b.inspect(id).Networks; len(got) != 0 {
		b.Errorf("taken off, it is on the networks %v", got)
	}
	other := b.spec("web", waits(), onNetwork("back", "front"))
	other.Hash = "of another configuration"
	b.ok(b.rt.Start(b.ctx, other, id))
	if got := b.inspect(id).Networks; len(before) == 2 && maps.Equal(got, before) {
		b.Errorf("by a spec that is not its own it is put on the networks %v", got)
	}
	b.ok(b.rt.Kill(b.ctx, id, "KILL"))
	b.ended(id)
	b.ok(b.rt.Start(b.ctx, b.spec("web", waits(), onNetwork("back", "front")), id))
	if got := b.inspect(id).Networks; len(before) != 2 || !maps.Equal(got, before) {
		b.Errorf("started, it is on the networks %v, want %v", got, before)
	}
}

func volumes(t *testing.T, h Harness) {
	b := open(t, h)
	if b.lacks(b.rt.Caps.Provision, "Provisioner") {
		return
	}
	v := types.VolumeConfig{Name: b.Project + "_data"}
	for i, hash := range []string{"one", "one", "two"} { // one that diverged stays: it may hold data
		spec := container.VolumeSpec{Project: b.Project, Key: "data", Config: v, Hash: hash}
		found, err := b.rt.FindVolume(b.ctx, spec)
		if err != nil || found.There != (i > 0) || found.Outdated {
			b.Errorf("time %d: looked for: %+v, %v", i, found, err)
		}
		made, err := b.rt.EnsureVolume(b.ctx, spec)
		if err != nil || made != (i == 0) {
			b.Errorf("time %d: made %t, %v", i, made, err)
		}
	}
	b.app.Volumes["data"] = v
	mounted := func(c *types.ServiceConfig) {
		c.Volumes = []types.ServiceVolumeConfig{{Type: "volume", Source: "data", Target: "/data"}}
	}
	id := b.start("web", waits(), mounted)
	if in := b.inspect(id); !slices.Equal(in.Volumes, []string{v.Name}) {
		b.Errorf("its volumes are %v", in.Volumes)
	}
	b.exec(id, "touch", "/data/kept")
	b.ok(b.rt.Kill(b.ctx, id, "KILL"))
	b.ended(id)
	if gone, err := b.rt.RemoveVolumes(b.ctx, b.Project, nil); err != nil || len(gone.Removed) != 0 {
		b.Errorf("of a container that does not run: removed %v, %v", gone, err)
	}
	b.ok(b.rt.Remove(b.ctx, id, true, true))
	id = b.start("web", waits(), mounted)
	if _, code := b.exec(id, "cat", "/data/kept"); code != 0 {
		b.Error("the next container does not have what the volume keeps")
	}
	b.ok(b.rt.Remove(b.ctx, id, true, true))
	gone, err := b.rt.RemoveVolumes(b.ctx, b.Project, []string{})
	b.ok(err)
	b.same("spared", gone.Spared, []string{v.Name})
	b.same("removed though spared", gone.Removed, nil)
	gone, err = b.rt.RemoveVolumes(b.ctx, b.Project, []string{v.Name})
	b.ok(err)
	b.same("removed", gone.Removed, []string{v.Name})
	_, err = b.rt.EnsureVolume(b.ctx, container.VolumeSpec{Project: b.Project, Key: "x",
		Config: types.VolumeConfig{Name: b.Project + "-none", External: true}})
	b.is("an external one that is not there", err, container.ErrNotFound)
}

func inherits(t *testing.T, h Harness) {
	b := open(t, h)
	own := func(c *types.ServiceConfig) {
		c.Volumes = []types.ServiceVolumeConfig{{Type: "volume", Target: "/mine"}}
	}
	old := b.start("web", waits(), own)
	b.exec(old, "touch", "/mine/kept")
	b.ok(b.rt.Kill(b.ctx, old, "KILL"))
	b.ended(old)
	s := b.spec("web", waits(), own)
	s.Inherit, s.Name = old, b.Project+"-new"
	id := b.create(s)
	before := b.inspect(old).Volumes
	if in := b.inspect(id); len(in.Volumes) != 1 || !slices.Equal(in.Volumes, before) {
		b.Errorf("volumes %v, want those of the one before: %v", in.Volumes, before)
	}
	b.ok(b.rt.Remove(b.ctx, old, false, true)) // another container has its volumes, so they stay
	b.ok(b.rt.Start(b.ctx, s, id))
	if _, code := b.exec(id, "cat", "/mine/kept"); code != 0 {
		b.Error("what the volume keeps is gone")
	}
}

func ports(t *testing.T, h Harness) {
	b := open(t, h)
	if b.lacks(b.rt.Caps.Provision, "Provisioner") {
		return
	}
	b.app.Networks["default"] = b.network("default")
	published := func(text string) set {
		return func(c *types.ServiceConfig) {
			c.Ports = []types.ServicePortConfig{{Target: 80, Published: text, HostIP: "127.0.0.1",
				Protocol: "tcp"}}
		}
	}
	first := b.start("first", waits(), onNetwork("default"), published(""))
	in := b.inspect(first)
	if len(in.Ports) != 1 || in.Ports[0].Published == 0 || in.Ports[0].Target != 80 ||
		in.Ports[0].Protocol != "tcp" || in.Ports[0].Host != "127.0.0.1" {
		b.Fatalf("ports %+v", in.Ports)
	}
	s := b.spec("second", waits(), onNetwork("default"), published(strconv.Itoa(in.Ports[0].Published)))
	second := b.create(s)
	b.is("a port that is taken", b.rt.Start(b.ctx, s, second), container.ErrConflict)
	if in := b.inspect(second); in.State == container.StateRunning || in.Error == "" {
		b.Errorf("without its port: %+v", in)
	}
	b.ok(b.rt.Stop(b.ctx, first, 0))
	if got := b.inspect(first).Ports; len(got) != 0 {
		b.Errorf("one that does not run has the ports %+v", got)
	}
	b.ok(b.rt.Start(b.ctx, s, second))
	if got := b.inspect(second).Ports; fmt.Sprint(got) != fmt.Sprint(in.Ports) {
		b.Errorf("ports %+v, want %+v", got, in.Ports)
	}
}

func images(t *testing.T, h Harness) {
	b := open(t, h)
	if b.lacks(b.rt.Caps.Images && b.Build != nil, "ImageStore that it can build for") {
		return
	}
	own := b.Project + "-web"
	dangling := func(what string, want ...string) {
		b.Helper()
		got, err := b.rt.ProjectImages(b.ctx, b.Project, false)
		b.ok(err)
		slices.Sort(got)
		slices.Sort(want)
		b.same(what, got, want)
	}
	remove := func(id string, named, want bool) {
		b.Helper()
		if removed, err := b.rt.RemoveImage(b.ctx, id, named); err != nil || removed != want {
			b.Errorf("removal of %s: %t, %v; want %t", id, removed, err, want)
		}
	}
	old := b.Build(b.T, own)
	dangling("one with a name")
	img, err := b.rt.Image(b.ctx, own, "")
	b.ok(err)
	if img.ID != old || !slices.Equal(img.Tags, []string{own + ":latest"}) || img.Created.IsZero() {
		b.Errorf("image %+v, want %s", img, old)
	}
	if byID, err := b.rt.Image(b.ctx, old, ""); err != nil || byID.ID != old {
		b.Errorf("by its id: %+v, %v", byID, err)
	}
	s := b.spec("web", waits(), func(c *types.ServiceConfig) { c.Image = own })
	s.Image, s.Service.Image = img, own
	user := b.create(s)
	if in := b.inspect(user); in.ImageID != old || in.ImageRef != own {
		b.Errorf("a container of %s is made of %s, %s", own, in.ImageRef, in.ImageID)
	}
	fresh := b.Build(b.T, own)
	dangling("one that lost its name", old)
	remove(old, false, false) // a container uses it
	b.ok(b.rt.Remove(b.ctx, user, true, true))
	remove(old, false, true)
	remove(old, false, false) // it is gone
	dangling("when it is gone")
	remove(fresh, false, false) // it has a name
	if all, err := b.rt.ProjectImages(b.ctx, b.Project, true); err != nil ||
		!slices.Equal(all, []string{fresh}) {
		b.Errorf("with a name: %v, %v", all, err)
	}
	remove(fresh, true, true) // the name is one that its build gave it
	other := b.Build(b.T, "other-"+b.Project)
	remove(other, true, false) // the name is somebody's wish
	if _, err := b.rt.Image(b.ctx, "other-"+b.Project, ""); err != nil {
		b.Errorf("an image with another's name is gone: %v", err)
	}
}
