package docker

import (
	"fmt"
	"sync"
	"testing"

	"github.com/moby/moby/client"

	"bulkhead/engine/container"
)

// doubled makes a network past all checks, as the engine does when it is asked twice at the same moment.
func (b *bench) doubled(spec container.NetworkSpec) {
	b.Helper()
	opt, err := networkOptions(spec)
	b.ok(err)
	b.until("the engine has two networks of the name", func() bool {
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() { b.rt.cli.NetworkCreate(b.ctx, spec.Config.Name, opt) }) // a conflict is tried again
		}
		wg.Wait()
		all := b.namesakes(spec)
		for len(all) == 1 { // the engine was too careful this time
			_, err := b.rt.cli.NetworkRemove(b.ctx, all[0].ID, client.NetworkRemoveOptions{})
			b.ok(err)
			all = nil
		}
		return len(all) > 1
	})
}

func (b *bench) namesakes(spec container.NetworkSpec) []namesake {
	b.Helper()
	all, err := b.rt.provisioner.namesakes(b.ctx, spec.Config.Name)
	b.ok(err)
	return all
}

func TestNetworkThatIsMadeTwiceAtOnceIsMadeOnce(t *testing.T) {
	b := open(t, "services: {web: {image: IMAGE}}")
	for round := range 15 {
		spec := b.network("default")
		spec.Config.Name = fmt.Sprintf("%s_%d", b.p.Name, round)
		var wg sync.WaitGroup
		var ids [3]string
		var made [3]bool
		for i := range ids {
			wg.Go(func() {
				var err error
				if ids[i], made[i], err = b.rt.EnsureNetwork(b.ctx, spec); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		all := b.namesakes(spec)
		if len(all) != 1 {
			t.Fatalf("round %d: the engine has %d networks of the name", round, len(all))
		}
		makers := 0
		for i, id := range ids {
			if id != all[0].ID {
				t.Errorf("round %d: network %s is there, and %s was returned", round, all[0].ID, id)
			}
			if made[i] {
				makers++
			}
		}
		if makers > 1 {
			t.Errorf("round %d: %d say that they made it", round, makers)
		}
	}
}

func TestSecondNetworkOfANameIsRemovedByUp(t *testing.T) {
	b := open(t, "services: {web: {image: IMAGE, networks: [front]}}\nnetworks: {front: {}}")
	spec := b.network("front")
	id := b.create("web")
	_, err := b.rt.RemoveNetworks(b.ctx, b.p.Name, nil)
	b.ok(err)
	b.doubled(spec)
	if found, err := b.rt.FindNetwork(b.ctx, spec); err != nil || !found.Doubled || !found.There {
		t.Errorf("found %+v, %v", found, err)
	}
	kept, made, err := b.rt.EnsureNetwork(b.ctx, spec)
	if all := b.namesakes(spec); err != nil || made || len(all) != 1 || all[0].ID != kept {
		t.Errorf("kept %s, made %t, %v; there are %+v", kept, made, err, all)
	}
	if found, err := b.rt.FindNetwork(b.ctx, spec); err != nil || found != (container.Found{There: true, ID: kept}) {
		t.Errorf("found %+v, %v", found, err)
	}
	b.ok(b.rt.Start(b.ctx, b.spec("web"), id))
}

func TestContainerStartsThoughItsNetworkWasMadeTwice(t *testing.T) {
	b := open(t, "services: {web: {image: IMAGE, networks: [front]}}\nnetworks: {front: {}}")
	spec := b.network("front")
	id := b.create("web")
	_, err := b.rt.RemoveNetworks(b.ctx, b.p.Name, nil)
	b.ok(err)
	b.doubled(spec)
	b.ok(b.rt.Start(b.ctx, b.spec("web"), id))
	all := b.namesakes(spec)
	if len(all) != 1 || b.inspect(id).Networks[spec.Config.Name] != all[0].ID {
		t.Errorf("it is on %v; there are %+v", b.inspect(id).Networks, all)
	}
}

// An engine removes a container of run --rm whose start fails: there is one try.
func TestContainerOfRunStartsThoughItsNetworkWasMadeTwice(t *testing.T) {
	b := open(t, "services: {web: {image: IMAGE, networks: [front]}}\nnetworks: {front: {}}")
	spec := b.spec("web")
	spec.Beside = &container.Beside{Slug: "one", Remove: true}
	id, err := b.rt.Create(b.ctx, spec)
	b.ok(err)
	_, err = b.rt.RemoveNetworks(b.ctx, b.p.Name, nil)
	b.ok(err)
	b.doubled(b.network("front"))
	b.ok(b.rt.Start(b.ctx, spec, id))
	if all := b.namesakes(b.network("front")); len(all) != 1 || b.inspect(id).State != container.StateRunning {
		t.Errorf("it is %s; there are %+v", b.inspect(id).State, all)
	}
}
