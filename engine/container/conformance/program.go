package conformance

import (
	"errors"
	"testing"
	"time"

	"bulkhead/engine/container"
)

var programCases = []Case{
	{Name: "a program is restarted, and its container goes on", Run: programAlone},
	{Name: "a program that handles no stop signal ends by it", Run: programDeaf},
	{Name: "a program that ends by itself ends its container", Run: programEnds},
}

// program is the spec of a container whose program can be restarted alone.
func (b *bench) program(service string, p Program) container.CreateSpec {
	b.Helper()
	s := b.spec(service, p)
	s.Service.Program = true
	return s
}

// restarts restarts a program once its handlers are there; ok is false when the runtime cannot.
func (b *bench) restarts(s container.CreateSpec) (id string, end container.ProgramEnd, ok bool) {
	b.Helper()
	id = b.create(s)
	b.ok(b.rt.Start(b.ctx, s, id))
	b.until("its first line", func() bool { return len(b.log(id, container.LogOptions{Tail: -1})) > 0 })
	err := b.rt.RestartProgram(b.ctx, id, time.Minute, func(e container.ProgramEnd) { end = e })
	if b.lacks(!errors.Is(err, container.ErrUnsupported), "ProgramRestarter that can restart") {
		return id, end, false
	}
	b.ok(err)
	return id, end, true
}

func programAlone(t *testing.T, h Harness) {
	b := open(t, h)
	id, end, ok := b.restarts(b.program("web", Program{Out: []string{"ready"}, OnStop: "TERM",
		Last: "bye", Code: 7}))
	if !ok {
		return
	}
	if end.ExitCode != 7 || end.Killed || end.At.IsZero() {
		b.Errorf("the program ended so: %+v", end)
	}
	in := b.inspect(id)
	if in.State != container.StateRunning || in.Restarts != 0 || !in.Program || in.Booted.IsZero() ||
		!in.Started.After(in.Booted) ||
		in.Started.Before(end.At) || !in.Finished.Equal(end.At) || !in.Since().Equal(in.Booted) {
		b.Errorf("afterwards: %+v", in)
	}
	b.until("the new program", func() bool { return len(b.log(id, container.LogOptions{Tail: -1})) == 3 })
	b.same("the log", texts(b.log(id, container.LogOptions{Tail: -1})), []string{"ready", "bye", "ready"})
	events := b.record()
	if err := b.rt.RestartProgram(b.ctx, id, time.Minute, func(container.ProgramEnd) {}); err != nil {
		b.Error(err)
	}
	b.until("the third program", func() bool { return len(b.log(id, container.LogOptions{Tail: -1})) == 5 })
	again := b.inspect(id)
	if !again.Booted.Equal(in.Booted) || !again.Started.After(in.Started) || again.ID != in.ID {
		b.Errorf("after another restart %+v, was %+v", again, in)
	}
	b.ok(b.rt.Stop(b.ctx, id, time.Minute))
	if in = b.inspect(id); in.State != container.StateExited || in.ExitCode != 7 ||
		in.Finished.Before(in.Started) {
		b.Errorf("stopped: %+v", in)
	}
	b.until("the end of the container", func() bool {
		events.mu.Lock()
		defer events.mu.Unlock()
		return len(events.events) > 0 && events.events[len(events.events)-1].Kind == container.EventStopped
	})
	events.close()
	for i, e := range events.events {
		if e.Kind == container.EventStarted || e.Kind == container.EventDied && i == 0 {
			b.Errorf("the restart of the program shows in the events: %+v", events.events)
			break
		}
	}
	b.ok(b.rt.Start(b.ctx, container.CreateSpec{}, id))
	if in = b.inspect(id); !in.Booted.IsZero() || in.State != container.StateRunning {
		b.Errorf("started again: %+v", in)
	}
	// One that was not made so is left alone.
	other := b.start("other", waits())
	before := b.inspect(other)
	err := b.rt.RestartProgram(b.ctx, other, time.Minute, func(container.ProgramEnd) {})
	b.is("a program of which nobody asked it", err, container.ErrUnsupported)
	if now := b.inspect(other); !now.Started.Equal(before.Started) || now.Program {
		b.Errorf("it is %+v, was %+v", now, before)
	}
}

func programDeaf(t *testing.T, h Harness) {
	b := open(t, h)
	id, end, ok := b.restarts(b.program("web", handlesNoSignal()))
	if ok && (end.ExitCode != 128+15 || end.Killed || b.inspect(id).State != container.StateRunning) {
		b.Errorf("the program ended so: %+v", end)
	}
}

func programEnds(t *testing.T, h Harness) {
	b := open(t, h)
	s := b.program("web", Program{Exits: true, Code: 5})
	id := b.create(s)
	b.ok(b.rt.Start(b.ctx, s, id))
	if in := b.ended(id); in.ExitCode != 5 {
		b.Errorf("ended: %+v", in)
	}
}
