package conformance

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/types"

	"bulkhead/engine/container"
)

var lifeCases = []Case{
	{Name: "a container is made, started, stopped and removed", Run: oneLife},
	{Name: "the fields of an instance say what it was made of", Run: fields},
	{Name: "instances are sorted and of one project", Run: sorted},
	{Name: "a name is taken once", Run: names},
	{Name: "a program that is not there does not start", Run: noProgram},
	{Name: "what is not there is not found", Run: notFound},
	{Name: "a paused container does nothing", Run: paused},
	{Name: "a healthcheck says how a container is", Run: health},
	{Name: "those that join a container need it to run", Run: joins},
}

var stopCases = []Case{
	{Name: "a stop waits for the program", Run: stops},
	{Name: "a program that handles no stop signal is killed after its grace", Run: grace},
	{Name: "a kill of what does not run is a conflict", Run: kills},
	{Name: "the stop signal is the service's", Run: stopSignal},
	{Name: "who handles the stop signal can be known", Run: handles},
}

func oneLife(t *testing.T, h Harness) {
	b := open(t, h)
	s := b.spec("web", waits())
	id := b.create(s)
	in := b.inspect(id)
	if in.State != container.StateCreated || !in.Started.IsZero() || !in.Finished.IsZero() ||
		in.Created.IsZero() {
		b.Errorf("created: %+v", in)
	}
	b.ok(b.rt.Start(b.ctx, s, id))
	b.ok(b.rt.Start(b.ctx, s, id)) // of one that runs it is no error
	in = b.inspect(id)
	if in.State != container.StateRunning || in.Started.Before(in.Created) || !in.Finished.IsZero() ||
		in.ExitCode != 0 {
		b.Errorf("running: %+v", in)
	}
	b.until("its handler", func() bool { return len(b.log(id, container.LogOptions{Tail: -1})) > 0 })
	b.is("removal of what runs", b.rt.Remove(b.ctx, id, false, false), container.ErrConflict)
	b.ok(b.rt.Stop(b.ctx, id, time.Minute))
	in = b.inspect(id)
	if in.State != container.StateExited || in.ExitCode != 0 || in.Finished.Before(in.Started) || in.OOM {
		b.Errorf("stopped: %+v", in)
	}
	first := in
	b.ok(b.rt.Start(b.ctx, container.CreateSpec{}, id)) // as it is
	in = b.inspect(id)
	if in.State != container.StateRunning || !in.Started.After(first.Finished) || in.ID != first.ID ||
		in.Restarts != 0 {
		b.Errorf("started again: %+v, was %+v", in, first)
	}
	if !in.Finished.Equal(first.Finished) {
		b.Errorf("while it runs again, the end before is %v; want %v", in.Finished, first.Finished)
	}
	b.ok(b.rt.Remove(b.ctx, id, true, true))
	_, err := b.rt.Inspect(b.ctx, id)
	b.is("inspect of a removed one", err, container.ErrNotFound)
	b.ok(b.rt.Remove(b.ctx, id, true, true)) // of one that is gone it is no error
}

func fields(t *testing.T, h Harness) {
	b := open(t, h)
	grace := types.Duration(7 * time.Second)
	timeout := types.Duration(5 * time.Second)
	s := b.spec("web", waits(), func(c *types.ServiceConfig) {
		c.StopGracePeriod = &grace
		c.Tty = true
		c.HealthCheck = &types.HealthCheckConfig{Test: types.HealthCheckTest{"CMD", "true"}, Timeout: &timeout}
	})
	s.Replica, s.Content = 3, "content"
	s.Service.DependsOn = map[string]types.ServiceDependency{
		"db": {Condition: types.ServiceConditionHealthy, Restart: true, Required: true},
		"mq": {Condition: types.ServiceConditionStarted, Required: true},
	}
	in := b.inspect(b.create(s))
	if in.Service != "web" || in.Replica != 3 || in.Number != "3" ||
		b.rt.Caps.Rename && in.Name != b.Project+"-web-3" {
		b.Errorf("names: %+v", in)
	}
	if in.Hash != "hash-of-web" || in.Content != "content" || in.ImageRef != b.Image ||
		b.rt.Caps.Images && in.ImageID != s.Image.ID || in.Digest != s.Image.Digest {
		b.Errorf("made of: %+v", in)
	}
	if in.StopGrace != 7*time.Second || !in.TTY || fmt.Sprint(in.Check) != "[true]" ||
		in.HealthTimeout != 5*time.Second {
		b.Errorf("configuration: %+v", in)
	}
	if !reflect.DeepEqual(in.DependsOn, s.Service.DependsOn) {
		b.Errorf("depends on %v, want %v", in.DependsOn, s.Service.DependsOn)
	}
	plain := b.inspect(b.create(b.spec("plain", waits())))
	if plain.DependsOn != nil || plain.Health != container.HealthNone || len(plain.Check) != 0 ||
		plain.StopGrace != 0 || plain.TTY || plain.Content != "" {
		b.Errorf("without any of it: %+v", plain)
	}
}

func sorted(t *testing.T, h Harness) {
	b := open(t, h)
	for _, one := range []struct {
		service string
		replica int
	}{{"b", 1}, {"a", 10}, {"a", 2}, {"a", 1}} {
		s := b.spec(one.service, handlesNoSignal())
		s.Replica = one.replica
		b.create(s)
	}
	all, err := b.rt.Instances(b.ctx, b.Project)
	b.ok(err)
	var got []string
	for _, in := range all {
		got = append(got, fmt.Sprintf("%s/%d", in.Service, in.Replica))
	}
	b.same("instances", got, []string{"a/1", "a/2", "a/10", "b/1"})
	if all, err := b.rt.Instances(b.ctx, b.Project+"x"); err != nil || len(all) != 0 {
		b.Errorf("another project has %v, %v", all, err)
	}
}

func names(t *testing.T, h Harness) {
	b := open(t, h)
	if b.lacks(b.rt.Caps.Rename, "Renamer") {
		return
	}
	s := b.spec("web", handlesNoSignal())
	id := b.create(s)
	_, err := b.rt.Create(b.ctx, s)
	b.is("a second one of the name", err, container.ErrConflict)
	s.Name = b.Project + "-other"
	other := b.create(s)
	b.is("rename to a name that is taken", b.rt.Rename(b.ctx, other, b.Project+"-web-1"), container.ErrConflict)
	b.ok(b.rt.Rename(b.ctx, id, b.Project+"-moved"))
	b.ok(b.rt.Rename(b.ctx, other, b.Project+"-web-1"))
	if got := b.inspect(other).Name + " " + b.inspect(id).Name; got != b.Project+"-web-1 "+b.Project+"-moved" {
		b.Errorf("names after the renames: %s", got)
	}
}

func noProgram(t *testing.T, h Harness) {
	b := open(t, h)
	s := b.spec("web", handlesNoSignal(), func(c *types.ServiceConfig) {
		c.Command = types.ShellCommand{"/no/such/program"}
	})
	id := b.create(s)
	err := b.rt.Start(b.ctx, s, id)
	if err == nil || !strings.Contains(err.Error(), "/no/such/program") {
		b.Errorf("start: %v", err)
	}
	if in := b.inspect(id); in.State == container.StateRunning || in.ExitCode != 127 ||
		!strings.Contains(in.Error, "/no/such/program") || !in.Started.IsZero() {
		b.Errorf("after it did not start: %+v", in)
	}
}

func notFound(t *testing.T, h Harness) {
	b := open(t, h)
	const id = "0123456789ab0123456789ab0123456789ab0123456789ab0123456789abcdef"
	_, err := b.rt.Inspect(b.ctx, id)
	b.is("inspect", err, container.ErrNotFound)
	b.is("start", b.rt.Start(b.ctx, container.CreateSpec{}, id), container.ErrNotFound)
	b.is("stop", b.rt.Stop(b.ctx, id, 0), container.ErrNotFound)
	b.is("kill", b.rt.Kill(b.ctx, id, "KILL"), container.ErrNotFound)
	b.is("logs", b.rt.Logs(b.ctx, id, container.LogOptions{}, nil), container.ErrNotFound)
	_, err = b.rt.Exec(b.ctx, id, container.ExecOptions{Cmd: []string{"true"}})
	b.is("exec", err, container.ErrNotFound)
	if b.rt.Caps.Pause {
		b.is("pause", b.rt.Pause(b.ctx, id), container.ErrNotFound)
		b.is("unpause", b.rt.Unpause(b.ctx, id), container.ErrNotFound)
	}
	if b.rt.Caps.Rename {
		b.is("rename", b.rt.Rename(b.ctx, id, b.Project+"-x"), container.ErrNotFound)
	}
	if b.rt.Caps.Images {
		_, err := b.rt.Image(b.ctx, b.Project+"-no-such-image", "")
		b.is("image", err, container.ErrNotFound)
	}
}

func paused(t *testing.T, h Harness) {
	b := open(t, h)
	if b.lacks(b.rt.Caps.Pause, "Pauser") {
		return
	}
	id := b.start("web", waits())
	if err := b.rt.Unpause(b.ctx, id); err == nil {
		b.Error("what runs can be unpaused")
	}
	b.ok(b.rt.Pause(b.ctx, id))
	if s := b.inspect(id).State; s != container.StatePaused {
		b.Errorf("paused, it is %s", s)
	}
	b.is("a second pause", b.rt.Pause(b.ctx, id), container.ErrConflict)
	_, err := b.rt.Exec(b.ctx, id, container.ExecOptions{Cmd: []string{"true"}})
	b.is("exec in a paused one", err, container.ErrConflict)
	b.ok(b.rt.Unpause(b.ctx, id))
	if s := b.inspect(id).State; s != container.StateRunning {
		b.Errorf("going on, it is %s", s)
	}
	b.ok(b.rt.Pause(b.ctx, id))
	b.ok(b.rt.Kill(b.ctx, id, "KILL"))
	if in := b.ended(id); in.ExitCode != 137 {
		b.Errorf("killed while it was paused: %+v", in)
	}
	b.is("pause of what does not run", b.rt.Pause(b.ctx, id), container.ErrConflict)
}

func health(t *testing.T, h Harness) {
	b := open(t, h)
	interval, retries := types.Duration(200*time.Millisecond), uint64(2)
	timeout := types.Duration(time.Minute)
	checked := func(test ...string) set {
		return func(c *types.ServiceConfig) {
			c.HealthCheck = &types.HealthCheckConfig{Test: test, Interval: &interval,
				Timeout: &timeout, Retries: &retries}
		}
	}
	events := b.record()
	s := b.spec("web", waits(), checked("CMD", "cat", "/tmp/up"))
	id := b.create(s)
	b.ok(b.rt.Start(b.ctx, s, id))
	if in := b.inspect(id); in.Health != container.HealthStarting && in.Health != container.Unhealthy {
		b.Errorf("just started it is %s", in.Health)
	}
	b.until("two failures", func() bool { return b.inspect(id).Health == container.Unhealthy })
	if _, code := b.exec(id, "touch", "/tmp/up"); code != 0 {
		b.Fatalf("touch ended with %d", code)
	}
	b.until("a success", func() bool { return b.inspect(id).Health == container.Healthy })
	b.same("events", events.until(id, "health healthy")[1:], []string{"started", "health unhealthy",
		"health healthy"})
	b.ok(b.rt.Stop(b.ctx, id, 0))
	if in := b.ended(id); in.Health != container.Unhealthy {
		b.Errorf("when its life is over it is %s", in.Health)
	}
	b.ok(b.rt.Start(b.ctx, s, id))
	b.until("a success of the next life", func() bool { return b.inspect(id).Health == container.Healthy })

	said := b.start("words", waits(), checked("CMD", "cat", "/no/table"))
	b.until("what a check says", func() bool {
		return strings.Contains(b.inspect(said).HealthOutput, "/no/table")
	})
}

func joins(t *testing.T, h Harness) {
	b := open(t, h)
	parent := b.start("parent", waits())
	member := func(f func(*types.ServiceConfig)) container.CreateSpec {
		s := b.spec("member", waits(), f)
		s.Parents = map[string]string{"parent": parent}
		return s
	}
	net := member(func(c *types.ServiceConfig) { c.NetworkMode = "service:parent" })
	none := net
	none.Parents = nil
	if _, err := b.rt.Create(b.ctx, none); err == nil || !strings.Contains(err.Error(), "parent") {
		b.Errorf("without a parent: %v", err)
	}
	id := b.create(net)
	if in := b.inspect(id); len(in.Joins) != 1 || in.Joins[0] != parent {
		b.Errorf("joins %v, want %s", in.Joins, parent)
	}
	b.ok(b.rt.Start(b.ctx, net, id))
	b.ok(b.rt.Stop(b.ctx, parent, 0))
	if in := b.inspect(id); in.State != container.StateRunning {
		b.Errorf("one that shares a network that is gone is %s", in.State)
	}
	b.ok(b.rt.Remove(b.ctx, id, true, true))

	pid := member(func(c *types.ServiceConfig) { c.Pid = "service:parent" })
	id = b.create(pid)
	if err := b.rt.Start(b.ctx, pid, id); err == nil {
		b.Error("it joins the PID namespace of what does not run")
	}
	b.ok(b.rt.Start(b.ctx, container.CreateSpec{}, parent))
	b.ok(b.rt.Start(b.ctx, pid, id))
	b.ok(b.rt.Kill(b.ctx, parent, "KILL"))
	if in := b.ended(id); in.ExitCode != 137 {
		b.Errorf("with the namespace it ended with %d", in.ExitCode)
	}
}

func stops(t *testing.T, h Harness) {
	b := open(t, h)
	id := b.start("web", Program{Out: []string{"ready"}, OnStop: "TERM", Last: "bye", Code: 3})
	b.ok(b.rt.Stop(b.ctx, id, time.Minute))
	if in := b.inspect(id); in.State != container.StateExited || in.ExitCode != 3 {
		b.Errorf("stopped: %+v", in)
	}
	b.same("its lines", texts(b.log(id, container.LogOptions{Tail: -1})), []string{"ready", "bye"})
	b.ok(b.rt.Stop(b.ctx, id, time.Minute)) // of one that does not run it is no error
	if in := b.inspect(id); in.ExitCode != 3 {
		b.Errorf("stopped twice: %+v", in)
	}
}

func grace(t *testing.T, h Harness) {
	b := open(t, h)
	own := types.Duration(time.Second)
	for name, one := range map[string]struct {
		grace time.Duration
		least time.Duration
		sets  []set
	}{
		"none":       {0, 0, nil},
		"rounded up": {100 * time.Millisecond, time.Second, nil},
		"its own":    {-1, time.Second, []set{func(c *types.ServiceConfig) { c.StopGracePeriod = &own }}},
	} {
		events := b.record()
		id := b.start("web", handlesNoSignal(), one.sets...)
		began := time.Now()
		b.ok(b.rt.Stop(b.ctx, id, one.grace))
		if took := time.Since(began); took < one.least { // a lower bound
			b.Errorf("%s: killed after %v, before %v were over", name, took, one.least)
		}
		if in := b.inspect(id); in.State != container.StateExited || in.ExitCode != 137 {
			b.Errorf("%s: %+v", name, in)
		}
		events.are(name, id, "created", "started", "killed 15", "killed 9", "died 137", "stopped")
		b.ok(b.rt.Remove(b.ctx, id, true, true))
		events.close()
	}
}

func kills(t *testing.T, h Harness) {
	b := open(t, h)
	s := b.spec("web", waits())
	id := b.create(s)
	b.is("kill of what never ran", b.rt.Kill(b.ctx, id, "KILL"), container.ErrConflict)
	b.ok(b.rt.Start(b.ctx, s, id))
	b.until("its handler", func() bool { return len(b.log(id, container.LogOptions{Tail: -1})) > 0 })
	b.ok(b.rt.Kill(b.ctx, id, "USR2")) // it has no effect on a first process that does not handle it
	if in := b.inspect(id); in.State != container.StateRunning {
		b.Errorf("after a signal that it does not handle it is %s", in.State)
	}
	for _, name := range []string{"TERM", "SIGTERM", "15"} {
		b.ok(b.rt.Kill(b.ctx, id, name))
		if in := b.ended(id); in.ExitCode != 0 {
			b.Errorf("%s: %+v", name, in)
		}
		b.is("kill of a dead one", b.rt.Kill(b.ctx, id, "KILL"), container.ErrConflict)
		lines := len(b.log(id, container.LogOptions{Tail: -1}))
		b.ok(b.rt.Start(b.ctx, s, id))
		b.until("its handler", func() bool { return len(b.log(id, container.LogOptions{Tail: -1})) > lines })
	}
	b.ok(b.rt.Kill(b.ctx, id, "SIGKILL"))
	if in := b.ended(id); in.ExitCode != 137 {
		b.Errorf("killed: %+v", in)
	}
	if err := b.rt.Kill(b.ctx, id, "NOSUCH"); err == nil || errors.Is(err, container.ErrNotFound) {
		b.Errorf("kill by a signal that there is not: %v", err)
	}
}

func stopSignal(t *testing.T, h Harness) {
	b := open(t, h)
	events := b.record()
	id := b.start("web", Program{Out: []string{"ready"}, OnStop: "USR1", Code: 4},
		func(c *types.ServiceConfig) { c.StopSignal = "SIGUSR1" })
	b.ok(b.rt.Stop(b.ctx, id, time.Minute))
	if in := b.inspect(id); in.ExitCode != 4 {
		b.Errorf("stopped: %+v", in)
	}
	events.are("events", id, "created", "started", "killed 10", "died 4", "stopped")
}

func handles(t *testing.T, h Harness) {
	b := open(t, h)
	if _, known := b.rt.HandlesStop(b.ctx, b.start("probe", waits())); b.lacks(known,
		"SignalReader that can know") {
		return
	}
	for service, want := range map[string]bool{"waits": true, "nosignal": false} {
		p := handlesNoSignal()
		if want {
			p = waits()
		}
		id := b.start(service, p)
		if got, known := b.rt.HandlesStop(b.ctx, id); !known || got != want {
			b.Errorf("%s: handles %t, known %t", service, got, known)
		}
	}
}
