package conformance

import (
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/types"

	"bulkhead/engine/container"
)

var policyCases = []Case{
	{Name: "a restart policy begins the next life", Run: policies},
	{Name: "what somebody stopped or killed stays down", Run: policyIdles},
	{Name: "a signal that is neither KILL nor the stop signal is a crash", Run: crash},
}

func restart(policy string) set { return func(c *types.ServiceConfig) { c.Restart = policy } }

func policies(t *testing.T, h Harness) {
	b := open(t, h)
	id := b.start("always", Program{Exits: true}, restart("always"))
	b.until("a second restart", func() bool { return b.inspect(id).Restarts >= 2 })
	b.ok(b.rt.Stop(b.ctx, id, 0))
	if in := b.ended(id); in.ExitCode != 0 && in.ExitCode != 137 { // the stop may meet one of its short lives
		b.Errorf("stopped: %+v", in)
	}

	id = b.start("failure", Program{Exits: true, Code: 5}, restart("on-failure:2"))
	b.until("its last restart", func() bool {
		in := b.inspect(id)
		return in.State == container.StateExited && in.Restarts == 2
	})
	if in := b.inspect(id); in.ExitCode != 5 {
		b.Errorf("after its last restart: %+v", in)
	}
	b.ok(b.rt.Start(b.ctx, container.CreateSpec{}, id))
	b.until("the restarts counted from the start",
		func() bool { in := b.inspect(id); return in.State == container.StateExited && in.Restarts == 2 })

	id = b.start("success", Program{Exits: true}, restart("on-failure"))
	if in := b.ended(id); in.Restarts != 0 {
		b.Errorf("one that did what it had to was restarted: %+v", in)
	}
}

func policyIdles(t *testing.T, h Harness) {
	b := open(t, h)
	for _, policy := range []string{"always", "unless-stopped", "on-failure"} {
		events := b.record()
		id := b.start("web", waits(), restart(policy))
		b.ok(b.rt.Kill(b.ctx, id, "KILL"))
		b.ended(id)
		b.ok(b.rt.Start(b.ctx, container.CreateSpec{}, id))
		b.until("its handler", func() bool { return len(b.log(id, container.LogOptions{Tail: -1})) > 1 })
		b.ok(b.rt.Kill(b.ctx, id, "TERM"))
		b.ended(id)
		b.ok(b.rt.Start(b.ctx, container.CreateSpec{}, id))
		b.until("its handler", func() bool { return len(b.log(id, container.LogOptions{Tail: -1})) > 2 })
		b.ok(b.rt.Stop(b.ctx, id, time.Minute))
		if in := b.ended(id); in.Restarts != 0 {
			b.Errorf("%s: restarted %d times", policy, in.Restarts)
		}
		events.are(policy, id, "created", "started", "killed 9", "died 137", "started", "killed 15", "died 0",
			"started", "killed 15", "died 0", "stopped")
		b.ok(b.rt.Remove(b.ctx, id, true, true))
		events.close()
	}
}

func crash(t *testing.T, h Harness) {
	b := open(t, h)
	// Docker's engine knows a crash only where the stop signal is written down.
	known := func(c *types.ServiceConfig) { c.StopSignal = "SIGTERM" }
	id := b.start("web", Program{Out: []string{"ready"}, OnStop: "USR1", Code: 6}, restart("always"), known)
	before := b.inspect(id)
	b.ok(b.rt.Kill(b.ctx, id, "USR1"))
	b.until("its next life", func() bool {
		in := b.inspect(id)
		return in.State == container.StateRunning && in.Restarts == 1
	})
	if in := b.inspect(id); !in.Started.After(before.Started) || in.Finished.Before(before.Started) {
		b.Errorf("in its next life: %+v", in)
	}
}
