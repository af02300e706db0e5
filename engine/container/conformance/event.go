package conformance

import (
	"context"
	"slices"
	"testing"
	"time"

	"bulkhead/engine/container"
)

var eventCases = []Case{
	{Name: "events come in order, and from a time on", Run: eventOrder},
	{Name: "events are of one project", Run: eventProject},
}

func eventOrder(t *testing.T, h Harness) {
	b := open(t, h)
	events := b.record()
	id := b.start("web", Program{Out: []string{"ready"}, OnStop: "TERM", Code: 2})
	b.exec(id, "true") // it makes no event
	want := []string{"created", "started"}
	b.ok(b.rt.Stop(b.ctx, id, time.Minute))
	want = append(want, "killed 15", "died 2", "stopped")
	if b.rt.Caps.Rename {
		b.ok(b.rt.Rename(b.ctx, id, b.Project+"-renamed"))
		want = append(want, "renamed")
	}
	b.ok(b.rt.Start(b.ctx, container.CreateSpec{}, id))
	b.ok(b.rt.Remove(b.ctx, id, true, true))
	want = append(want, "started", "killed 9", "died 137", "removed")
	events.are("events", id, want...)
	events.mu.Lock()
	all := slices.Clone(events.events)
	events.mu.Unlock()
	for i, e := range all {
		if e.Service != "web" || e.Replica != 1 || e.Name == "" || e.Time.IsZero() || i > 0 &&
			e.Time.Before(all[i-1].Time) {
			b.Errorf("event %d: %+v", i, e)
		}
	}
	if last := all[len(all)-1]; b.rt.Caps.Rename && last.Name != b.Project+"-renamed" {
		b.Errorf("the last event bears the name %s", last.Name)
	}
	events.close()

	// From the time of one event on, that one is the first.
	ctx, cancel := context.WithCancel(b.ctx)
	defer cancel()
	var again []container.Event
	err := b.rt.Events(ctx, b.Project, all[3].Time, func(e container.Event) {
		if !slices.Contains(again, e) {
			again = append(again, e)
		}
		if e.Kind == container.EventRemoved {
			cancel()
		}
	})
	b.is("the end of the events", err, context.Canceled)
	if !slices.Equal(again, all[3:]) {
		b.Errorf("from %v on: %+v, want %+v", all[3].Time, again, all[3:])
	}
}

func eventProject(t *testing.T, h Harness) {
	b := open(t, h)
	events := b.record()
	id := b.create(b.spec("mine", handlesNoSignal()))
	app := *b.app
	app.Name += "x"
	s := b.spec("theirs", handlesNoSignal())
	s.App = &app
	other := b.create(s)
	b.ok(b.rt.Remove(b.ctx, other, true, true))
	b.ok(b.rt.Remove(b.ctx, id, true, true))
	events.until(id, "removed")
	if got := events.words(other); len(got) != 0 {
		b.Errorf("another project's events: %v", got)
	}
}
