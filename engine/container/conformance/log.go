package conformance

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/types"

	"bulkhead/engine/container"
)

var logCases = []Case{
	{Name: "a log has all lines of all lives", Run: logLives},
	{Name: "a log is read from a time on, up to a time, and by its end", Run: logParts},
	{Name: "a log that is followed ends with the life", Run: logFollow},
	{Name: "a log that cannot be read is attached to", Run: logAttach},
	{Name: "a line without an end is seen, and held back by the log", Run: logPreview},
}

func logLives(t *testing.T, h Harness) {
	b := open(t, h)
	p := Program{Out: []string{"one", "two"}, Err: []string{"bad"}, Open: "open", Exits: true}
	s := b.spec("web", p)
	id := b.create(s)
	all := []string{"one", "two", "open"}
	var want []string
	for range 2 {
		b.ok(b.rt.Start(b.ctx, s, id))
		b.ended(id)
		want = append(want, all...)
	}
	in := b.inspect(id)
	var out []string
	errs := 0
	lines := b.log(id, container.LogOptions{Tail: -1})
	for _, l := range lines {
		if l.stream == container.Stderr {
			errs++
		} else {
			out = append(out, l.text)
		}
		if l.at.Before(in.Created) {
			b.Errorf("%q is of %v, before its container was made", l.text, l.at)
		}
	}
	b.same("stdout", out, want)
	if errs != 2 {
		b.Errorf("%d lines of stderr, want 2", errs)
	}

	tty := b.start("tty", Program{Out: []string{"one"}, Err: []string{"bad"}},
		func(c *types.ServiceConfig) { c.Tty = true })
	for _, l := range b.log(tty, container.LogOptions{Tail: -1}) {
		if l.stream != container.Stdout {
			b.Errorf("a terminal's line is of %s", l.stream)
		}
	}
}

func logParts(t *testing.T, h Harness) {
	b := open(t, h)
	id := b.start("web", Program{Out: []string{"1", "2", "3", "4"}, Exits: true})
	b.ended(id)
	all := b.log(id, container.LogOptions{Tail: -1})
	if len(all) != 4 {
		b.Fatalf("lines: %+v", all)
	}
	second := all[1].at
	b.same("since the second", texts(b.log(id, container.LogOptions{Tail: -1, Since: second})),
		[]string{"2", "3", "4"})
	b.same("after the second", texts(b.log(id, container.LogOptions{Tail: -1, Since: second.Add(1)})),
		[]string{"3", "4"})
	b.same("until the second", texts(b.log(id, container.LogOptions{Tail: -1, Until: second})),
		[]string{"1", "2"})
	b.same("the last two", texts(b.log(id, container.LogOptions{Tail: 2})), []string{"3", "4"})
	b.same("none of the past", texts(b.log(id, container.LogOptions{Tail: 0})), nil)
	b.same("followed, when it is over", texts(b.log(id, container.LogOptions{Tail: -1, Follow: true})),
		[]string{"1", "2", "3", "4"})
}

// collector keeps lines that come while a log is followed.
type collector struct {
	mu  sync.Mutex
	all []line
}

func (c *collector) add(l container.Line) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all = append(c.all, line{l.Stream, l.Time, string(l.Text)})
}

func (c *collector) texts() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return texts(c.all)
}

func logFollow(t *testing.T, h Harness) {
	b := open(t, h)
	id := b.start("web", Program{Out: []string{"ready"}, OnStop: "TERM", Last: "bye"})
	var c collector
	ended := make(chan error, 1)
	go func() { ended <- b.rt.Logs(b.ctx, id, container.LogOptions{Tail: -1, Follow: true}, c.add) }()
	b.until("the first line", func() bool { return len(c.texts()) > 0 })
	b.ok(b.rt.Stop(b.ctx, id, time.Minute))
	b.ok(<-ended)
	b.same("followed to its end", c.texts(), []string{"ready", "bye"})

	b.ok(b.rt.Start(b.ctx, container.CreateSpec{}, id))
	var whole []line
	b.until("the next life's line", func() bool {
		whole = b.log(id, container.LogOptions{Tail: -1})
		return len(whole) == 3
	})
	since := whole[1].at.Add(1) // a runtime may stamp a last line later than the end itself
	var next collector
	ctx, cancel := context.WithCancel(b.ctx)
	go func() {
		ended <- b.rt.Logs(ctx, id, container.LogOptions{Tail: -1, Since: since, Follow: true}, next.add)
	}()
	b.until("the next life's line", func() bool { return len(next.texts()) > 0 })
	cancel()
	b.is("the end of its context", <-ended, context.Canceled)
	b.same("of the next life", next.texts(), []string{"ready"})

	go func() { ended <- b.rt.Logs(b.ctx, id, container.LogOptions{Follow: true}, next.add) }()
	b.ok(b.rt.Remove(b.ctx, id, true, true))
	<-ended // with or without an error, as far as the removal had come when it began
}

func logAttach(t *testing.T, h Harness) {
	b := open(t, h)
	if b.lacks(b.rt.Caps.Attach, "Attacher") {
		return
	}
	s := b.spec("web", Program{Out: []string{"one"}, Err: []string{"two"}, Open: "open", Exits: true},
		func(c *types.ServiceConfig) {
			c.Logging = &types.LoggingConfig{Driver: "none"}
		})
	id := b.create(s)
	if in := b.inspect(id); in.LogDriver != "none" {
		b.Errorf("its logging driver is %q", in.LogDriver)
	}
	b.is("its log", b.rt.Logs(b.ctx, id, container.LogOptions{Tail: -1}, func(container.Line) {}),
		container.ErrUnsupported)
	for range 2 {
		var c collector
		attached, ended := make(chan struct{}), make(chan error, 1)
		go func() { ended <- b.rt.Attach(b.ctx, id, attached, c.add) }()
		<-attached
		b.ok(b.rt.Start(b.ctx, s, id))
		b.ok(<-ended)
		var out []string
		errs := 0
		for _, l := range c.all {
			if l.stream == container.Stderr {
				errs++
			} else {
				out = append(out, l.text)
			}
		}
		b.same("attached before the start", out, []string{"one", "open"})
		if errs != 1 {
			b.Errorf("%d lines of stderr, want 1", errs)
		}
		b.ended(id)
	}
}

func logPreview(t *testing.T, h Harness) {
	b := open(t, h)
	if b.lacks(b.rt.Caps.Preview, "Previewer") {
		return
	}
	s := b.spec("web", Program{Out: []string{"one"}, Open: "50 of 100\r100 of 100, ", OnStop: "TERM",
		Last: "done"})
	id := b.create(s)
	for range 2 {
		var c collector
		attached, ended := make(chan struct{}), make(chan error, 1)
		go func() { ended <- b.rt.Preview(b.ctx, id, attached, c.add) }()
		<-attached
		b.ok(b.rt.Start(b.ctx, s, id))
		b.until("the line without an end", func() bool {
			return slices.Contains(c.texts(), "50 of 100\r100 of 100, ")
		})
		b.same("the log by then", texts(b.log(id, container.LogOptions{Tail: 1})), []string{"one"})

		ctx, cancel := context.WithCancel(b.ctx)
		var late collector
		here, left := make(chan struct{}), make(chan error, 1)
		go func() { left <- b.rt.Preview(ctx, id, here, late.add) }()
		<-here
		cancel()
		b.is("the end of its context", <-left, context.Canceled)
		b.same("what was written before", late.texts(), nil)

		b.ok(b.rt.Stop(b.ctx, id, time.Minute))
		b.ok(<-ended)
		all := c.texts()
		if last := all[len(all)-1]; last != "" {
			b.Errorf("the line has ended, and %q is open", last)
		}
		for _, l := range c.all {
			if l.stream != container.Stdout {
				b.Errorf("%q is of %s", l.text, l.stream)
			}
		}
		b.same("the log at the end", texts(b.log(id, container.LogOptions{Tail: 1})),
			[]string{"50 of 100\r100 of 100, done"})
		b.ended(id)
	}
}
