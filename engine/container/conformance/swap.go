package conformance

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/types"

	"bulkhead/engine/container"
)

var swapCases = []Case{
	{Name: "a swap puts another container in the place of one", Run: swaps},
	{Name: "a swap that is given up leaves the old one running", Run: swapGivenUp},
	{Name: "an overlap ends the old one once the new one is ready", Run: swapOverlaps},
}

// swap has a new container of s take the place of old.
func (b *bench) swap(old string, s container.CreateSpec, change func(*container.SwapSpec)) (string, error) {
	o := container.SwapSpec{Old: old, New: s, Grace: time.Minute,
		Made:  func(context.Context, string) error { return nil },
		Stage: func(string, time.Duration) {}}
	change(&o)
	return b.rt.Swap(b.ctx, o)
}

// onlyRuns looks that one container of the project runs, and no other is there.
func (b *bench) onlyRuns(id string) {
	b.Helper()
	all, err := b.rt.Instances(b.ctx, b.Project)
	b.ok(err)
	if len(all) != 1 || all[0].ID != id || all[0].State != container.StateRunning {
		b.Errorf("there is %+v; want %s, running, alone", all, id)
	}
}

func swaps(t *testing.T, h Harness) {
	b := open(t, h)
	if b.lacks(b.rt.Caps.Swap, "Swapper") {
		return
	}
	old := b.start("web", Program{Out: []string{"ready"}, OnStop: "TERM", Last: "bye"})
	was := b.inspect(old)
	var stages []string
	made, lived := "", true
	id, err := b.swap(old, b.spec("web", Program{Out: []string{"second"}, OnStop: "TERM"}), func(o *container.SwapSpec) {
		o.Made = func(_ context.Context, id string) error {
			made = id
			lived = id != old && !b.inspect(id).Started.IsZero()
			return nil
		}
		o.Stage = func(stage string, _ time.Duration) { stages = append(stages, stage) }
	})
	b.ok(err)
	if made != id || lived {
		b.Errorf("made %s, in whose place %s runs; it had lived: %t", made, id, lived)
	}
	for _, stage := range []string{"create", "stop", "start"} {
		if !slices.Contains(stages, stage) {
			b.Errorf("stages %q without %s", stages, stage)
		}
	}
	b.onlyRuns(id)
	in := b.inspect(id)
	if in.Service != "web" || in.Replica != 1 || !in.Started.After(was.Started) {
		b.Errorf("the new one is %+v", in)
	}
	b.until("its first line", func() bool {
		all := texts(b.log(id, container.LogOptions{Tail: 1}))
		return len(all) == 1 && all[0] == "second"
	})
}

func swapGivenUp(t *testing.T, h Harness) {
	b := open(t, h)
	if b.lacks(b.rt.Caps.Swap, "Swapper") {
		return
	}
	old := b.start("web", waits())
	no := errors.New("no")
	_, err := b.swap(old, b.spec("web", waits()), func(o *container.SwapSpec) {
		o.Made = func(context.Context, string) error { return no }
	})
	b.is("a swap that is given up", err, no)
	b.onlyRuns(old)
	_, err = b.swap(old, b.spec("web", handlesNoSignal(), func(c *types.ServiceConfig) {
		c.Command = types.ShellCommand{"/no/such/program"}
	}), func(*container.SwapSpec) {})
	if err == nil {
		b.Error("a program that is not there was started")
	}
	b.onlyRuns(old)
}

func swapOverlaps(t *testing.T, h Harness) {
	b := open(t, h)
	if b.lacks(b.rt.Caps.Swap, "Swapper") {
		return
	}
	interval := types.Duration(200 * time.Millisecond)
	checked := func(file string) set {
		return func(c *types.ServiceConfig) {
			c.HealthCheck = &types.HealthCheckConfig{Test: []string{"CMD", "cat", file}, Interval: &interval}
		}
	}
	events := b.record()
	old := b.start("web", waits())
	id, err := b.swap(old, b.spec("web", waits(), checked("/etc/passwd")), func(o *container.SwapSpec) {
		o.Overlap = patience
	})
	b.ok(err)
	b.onlyRuns(id)
	events.until(old, "removed")
	order := events.order()
	if ready, over := slices.Index(order, id+" health healthy"), slices.Index(order, old+" died 0"); ready < 0 || over < ready {
		b.Errorf("events %q: the old one ended before the new one was ready", order)
	}
	_, err = b.swap(id, b.spec("web", waits(), checked("/no/file")), func(o *container.SwapSpec) {
		o.Overlap = time.Second
	})
	if err == nil {
		b.Error("one that does not become ready has taken the place")
	}
	b.onlyRuns(id)
}

// order is what happened so far, as "ID died 0".
func (r *recorder) order() (out []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.events {
		out = append(out, e.ID+" "+word(e))
	}
	return out
}
