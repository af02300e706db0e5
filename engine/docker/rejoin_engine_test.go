package docker

import (
	"fmt"
	"slices"
	"testing"

	"github.com/moby/moby/client"
)

// joinedAs describes how a container is on its networks, without what the engine chose.
func (b *bench) joinedAs(id string) (all []string) {
	b.Helper()
	res, err := b.rt.cli.ContainerInspect(b.ctx, id, client.ContainerInspectOptions{})
	b.ok(err)
	for name, ep := range res.Container.NetworkSettings.Networks {
		fixed := ""
		if ep.IPAMConfig != nil {
			fixed = ep.IPAMConfig.IPv4Address.String()
		}
		aliases := slices.Sorted(slices.Values(ep.Aliases))
		all = append(all, fmt.Sprintf("%s %s as %q at %s links %v", name, ep.NetworkID, slices.Compact(aliases), fixed, ep.Links))
	}
	slices.Sort(all)
	return all
}

func TestContainerThatWasTakenOffItsNetworksIsBackAsItWas(t *testing.T) {
	b := open(t, `
services:
  web:
    image: IMAGE
    links: [db:base]
    networks:
      front: {aliases: [shop], priority: 5}
      back: {ipv4_address: 10.213.77.9}
  db: {image: IMAGE, networks: [back]}
networks:
  front: {}
  back: {ipam: {config: [{subnet: 10.213.77.0/24}]}}`)
	b.start("db")
	id := b.start("web")
	before := b.joinedAs(id)
	b.ok(b.rt.Stop(b.ctx, id, 0))
	for _, key := range []string{"front", "back"} {
		_, err := b.rt.cli.NetworkDisconnect(b.ctx, b.p.Networks[key].Name,
			client.NetworkDisconnectOptions{Container: id, Force: true})
		b.ok(err)
	}
	b.ok(b.rt.Start(b.ctx, b.spec("web"), id))
	if after := b.joinedAs(id); len(before) != 2 || !slices.Equal(after, before) {
		t.Errorf("it is on\n%q\nand was on\n%q", after, before)
	}
}

// The state that a sudden end leaves in the middle of a renewal: the old network is gone or not, and the
// containers are on none.
func TestSuddenEndWhileANetworkIsMadeAgainIsMended(t *testing.T) {
	b := open(t, "services: {web: {image: IMAGE, networks: {front: {aliases: [shop]}}}}\nnetworks: {front: {}}")
	id := b.start("web")
	for _, removed := range []bool{false, true} {
		spec := b.network("front")
		spec.Hash = fmt.Sprint("another ", removed)
		found, again, err := b.rt.compareNetwork(b.ctx, spec)
		b.ok(err)
		b.ok(again.leave(b.ctx))
		if removed {
			_, err := b.rt.cli.NetworkRemove(b.ctx, found.ID, client.NetworkRemoveOptions{})
			b.ok(err)
		}
		fresh, made, err := b.rt.EnsureNetwork(b.ctx, spec)
		b.ok(err)
		b.ok(b.rt.Start(b.ctx, b.spec("web"), id))
		if got := b.inspect(id).Networks[spec.Config.Name]; !made || got != fresh {
			t.Errorf("removed %t: made %t as %s, and the container is on %v", removed, made, fresh, got)
		}
	}
}
