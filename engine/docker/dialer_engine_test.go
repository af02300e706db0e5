package docker

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	moby "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"bulkhead/engine/agent"
	"bulkhead/engine/container"
	"bulkhead/engine/probe"
)

// served are services whose ports are not published: one on no network, one on one that is internal.
const served = `
services:
  alone: {image: IMAGE, network_mode: none, command: [busybox, httpd, -f, -p, '127.0.0.1:8080', -h, /etc]}
  closed: {image: IMAGE, networks: [inner], command: [busybox, httpd, -f, -p, '8080', -h, /etc]}
  host: {image: IMAGE, network_mode: host, command: [sleep, '600']}
networks: {inner: {internal: true}}
`

// elsewhere makes a Runtime take its engine for one that this machine reaches no container of.
func (b *bench) elsewhere() {
	b.Helper()
	info, err := b.rt.Info(b.ctx)
	b.ok(err)
	info.Local = false
	b.rt.connection.mu.Lock()
	b.rt.connection.info = info
	b.rt.connection.mu.Unlock()
}

// answers waits until a probe of a container is answered.
func (b *bench) answers(id, address string) {
	b.Helper()
	b.until(address+" answers", func() bool {
		ctx, cancel := context.WithTimeout(b.ctx, 2*time.Second) // as probes have it
		defer cancel()
		err := probe.Ask(ctx, b.rt, id, address)
		if errors.Is(err, container.ErrUnsupported) && ctx.Err() == nil { // else the agent is on its way
			b.Fatal(err)
		}
		return err == nil
	})
}

// Where no address leads to a container its probe goes through one agent, which has no rights.
func TestProbesGoThroughTheAgentWhereNoAddressLeads(t *testing.T) {
	if !agent.Built() {
		t.Skip(agent.ErrNotBuilt)
	}
	b := open(t, served)
	alone := b.start("alone") // on any engine
	b.answers(alone, "http://localhost:8080/passwd")
	b.elsewhere()
	closed := b.start("closed")
	b.answers(closed, "http://localhost:8080/passwd")
	b.answers(closed, "tcp://localhost:8080")

	for _, id := range []string{alone, closed} {
		if err := probe.Ask(b.ctx, b.rt, id, "tcp://localhost:9"); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("a port that nobody listens on: %v", err)
		}
		all := b.helpers(id)
		if len(all) != 1 {
			t.Fatalf("agents %v", all)
		}
		res, err := b.rt.cli.ContainerInspect(b.ctx, all[0], client.ContainerInspectOptions{})
		b.ok(err)
		c := res.Container
		h := c.HostConfig
		if len(h.CapAdd) > 0 || !slices.Equal(h.CapDrop, []string{"ALL"}) || h.Privileged ||
			!slices.Contains(h.SecurityOpt, "no-new-privileges") ||
			!h.ReadonlyRootfs || len(c.Mounts) > 0 || c.Config.Labels[labelOneOff] != oneOff ||
			h.NetworkMode != moby.NetworkMode("container:"+id) {
			t.Errorf("its container: %+v", h)
		}
	}
	// Each life has an agent of its own: the network of the one before is gone.
	before := b.helpers(closed)
	b.ok(b.rt.Stop(b.ctx, closed, 0))
	if err := probe.Ask(b.ctx, b.rt, closed, "tcp://localhost:8080"); !errors.Is(err, errNotRunning) {
		t.Errorf("a container that does not run: %v", err)
	}
	b.ok(b.rt.Start(b.ctx, b.spec("closed"), closed))
	b.answers(closed, "http://localhost:8080/passwd")
	b.until("the agent of the life before is gone", func() bool {
		all := b.helpers(closed)
		return len(all) == 1 && !slices.Contains(before, all[0])
	})
	// No agent enters the network of the host.
	host := b.start("host")
	err := probe.Ask(b.ctx, b.rt, host, "tcp://localhost:9")
	if !errors.Is(err, container.ErrUnsupported) || len(b.helpers(host)) > 0 {
		t.Errorf("in the network of the host: %v", err)
	}
	b.rt.dialer.agents.close()
	b.until("the agents are gone", func() bool { return len(b.helpers(closed))+len(b.helpers(alone)) == 0 })
}

func TestProbeAgentEndsWithTheProbes(t *testing.T) {
	if !agent.Built() {
		t.Skip(agent.ErrNotBuilt)
	}
	b := open(t, served)
	b.rt.dialer.agents.idle = 100 * time.Millisecond
	id := b.start("alone")
	b.answers(id, "tcp://localhost:8080")
	conn, err := b.rt.DialInstance(b.ctx, id, 8080) // an open connection keeps it
	b.ok(err)
	// one of before may be on its way out
	b.until("one agent alone is there", func() bool { return len(b.helpers(id)) == 1 })
	b.ok(conn.Close())
	b.ok(conn.Close())
	b.until("the agent is gone", func() bool { return len(b.helpers(id)) == 0 })
	b.answers(id, "tcp://localhost:8080") // another one
}

// patient dials from here, however long a busy machine takes for it.
func patient(ctx context.Context, network, address string) (net.Conn, error) {
	return new(net.Dialer).DialContext(context.WithoutCancel(ctx), network, address)
}

// What this machine reaches by its address needs no agent, though the network is internal.
func TestAddressesOfThisMachineNeedNoAgent(t *testing.T) {
	needLocal(t)
	b := open(t, served)
	b.rt.dialer.direct = patient
	id := b.start("closed")
	b.answers(id, "http://localhost:8080/passwd")
	if all := b.helpers(id); len(all) > 0 {
		t.Errorf("agents %v", all)
	}
}

// A network that has answered nothing yet may be one that this machine does not reach (macvlan, a
// virtual machine's): the agent takes over. One that has is not asked another way: there a silence is
// the container's own.
func TestAgentDialsWhereAnAddressIsNotReached(t *testing.T) {
	needLocal(t)
	if !agent.Built() {
		t.Skip(agent.ErrNotBuilt)
	}
	b := open(t, served)
	b.rt.dialer.agents.idle = time.Hour // however long this takes
	id := b.start("closed")
	var tries atomic.Int32
	unreached := func(context.Context, string, string) (net.Conn, error) {
		tries.Add(1)
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.EHOSTUNREACH}
	}
	b.rt.dialer.direct = unreached
	b.answers(id, "http://localhost:8080/passwd")
	first := tries.Load() // a probe that ends before the agent has come leaves the way unknown
	b.answers(id, "http://localhost:8080/passwd")
	if all := b.helpers(id); len(all) != 1 || first == 0 || tries.Load() != first {
		t.Errorf("agents %v after %d dials from here, %d of them before the first answer", all,
			tries.Load(), first)
	}

	rt, err := New(Options{})
	b.ok(err)
	defer rt.Close()
	rt.dialer.direct = patient
	b.until("it answers by its address", func() bool {
		return probe.Ask(b.ctx, rt, id, "tcp://localhost:8080") == nil
	})
	rt.dialer.direct = unreached
	if err := probe.Ask(b.ctx, rt, id, "tcp://localhost:8080"); !errors.Is(err, syscall.EHOSTUNREACH) {
		t.Errorf("a silence in a network that is reached: %v", err)
	}
	if all := b.helpers(id); len(all) != 1 {
		t.Errorf("agents %v", all)
	}
}

func TestProbesWithoutTheAgentSayWhatIsMissing(t *testing.T) {
	b := open(t, served)
	b.elsewhere()
	b.rt.dialer.agents.program = func(string) ([]byte, error) { return nil, agent.ErrNotBuilt }
	for _, service := range []string{"alone", "closed"} {
		err := probe.Ask(b.ctx, b.rt, b.start(service), "tcp://localhost:8080")
		if !errors.Is(err, container.ErrUnsupported) || !errors.Is(err, agent.ErrNotBuilt) ||
			!strings.Contains(err.Error(), "make build") {
			t.Errorf("%s: %v", service, err)
		}
	}
}
