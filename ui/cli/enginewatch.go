package cli

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"bulkhead/engine"
	"bulkhead/engine/container"
)

// engineWatch asks the engine something small again and again while a verb has to do with it, since a call
// of an engine that takes connections and does not answer never ends by itself. When the engine has
// not answered for a while a notice is printed, and at last what is watched is ended with that
// reason. From reach on all that a verb does is watched, so no verb has to see to it.
type engineWatch struct {
	mu     sync.Mutex
	list   []*watched
	paused int           // sessions that are under way, whose engine copes with silence by itself
	stop   chan struct{} // nil while nobody polls
}

// watched is work that ends when the engine falls silent.
type watched struct {
	verb    bool // the whole verb, which pause leaves out
	giveUp  context.CancelCauseFunc
	project string                  // "": none
	seen    func([]engine.Instance) // receives the project's containers with each poll; may be nil
}

// add begins to watch work. forget ends it, and returns once seen is not called any more.
func (w *engineWatch) add(c *connection, one *watched) (forget func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.list = append(w.list, one)
	if w.stop == nil {
		w.stop = make(chan struct{})
		stop := w.stop
		background("look after the engine", func() error { c.pollEngine(stop); return nil })
	}
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.list = slices.DeleteFunc(w.list, func(o *watched) bool { return o == one })
		if len(w.list) == 0 {
			w.endLocked()
		}
	}
}

// pause leaves the verb itself out, until resume is called: a session's engine waits for one that is
// away, for as long as it takes.
func (w *engineWatch) pause() (resume func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.paused++
	return sync.OnceFunc(func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.paused--
	})
}

// end ends the polling, whatever is watched.
func (w *engineWatch) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.list = nil
	w.endLocked()
}

func (w *engineWatch) endLocked() {
	if w.stop != nil {
		close(w.stop)
		w.stop = nil
	}
}

// active is what is watched now; project is that of the latest that has one.
func (w *engineWatch) active() (list []*watched, project string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, one := range w.list {
		if one.verb && w.paused > 0 {
			continue
		}
		list = append(list, one)
		if one.project != "" {
			project = one.project
		}
	}
	return list, project
}

// hand passes on what a poll has found. It holds the lock, so that nothing is handed to what was forgotten.
func (w *engineWatch) hand(instances []engine.Instance) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, one := range w.list {
		if one.seen != nil {
			one.seen(instances)
		}
	}
}

// supervise returns a context for calls of the engine that all have to end soon: it ends when the
// engine has fallen silent. explain, which has to be called, turns the error of the calls into that
// reason. seen receives the project's containers with each poll, and may be nil. Faults that a
// process which died has left are healed first. Before connect it does nothing.
func (c *connection) supervise(
	ctx context.Context, project string, seen func([]engine.Instance),
) (_ context.Context, explain func(error) error) {
	if c.rt == nil {
		return ctx, func(err error) error { return err }
	}
	ctx, cancel := context.WithCancelCause(ctx)
	forget := c.watch.add(c, &watched{project: project, seen: seen, giveUp: cancel})
	c.healLeft(ctx, project)
	return ctx, func(err error) error {
		forget()
		silent := context.Cause(ctx)
		cancel(nil)
		var s *silentError
		if err != nil && errors.As(silent, &s) {
			return silent
		}
		return err
	}
}

// supervised calls f under supervise: its calls of the engine all have to end soon.
func (c *connection) supervised(ctx context.Context, project string, f func(context.Context) error) error {
	ctx, explain := c.supervise(ctx, project, nil)
	return explain(f(ctx))
}

// pollEngine is the loop of engineWatch.
func (c *connection) pollEngine(stop <-chan struct{}) {
	// Most verbs are done before the first poll, and a notice comes slowAnswer after the beginning.
	pause, slow, limit := slowAnswer/2, slowAnswer/2, noAnswer-slowAnswer/2
	for {
		select {
		case <-time.After(pause):
		case <-stop:
			return
		}
		pause = slowAnswer
		list, project := c.watch.active()
		if len(list) == 0 {
			continue
		}
		instances, err, late := c.poll(stop, project, slow, limit)
		switch {
		case late:
			list, _ = c.watch.active()
			for _, one := range list {
				one.giveUp(c.errSilent())
			}
			return
		case err == nil:
			c.answered()
			slow, limit = slowAnswer, fellSilent
			c.watch.hand(instances)
		}
	}
}

// list asks the engine for the containers of a project, where it can be asked so without a look at
// each: that look may wait for a container that is being started.
func (c *connection) list(ctx context.Context, project string) error {
	return guarded("look after the engine", func() (err error) {
		if l, ok := c.rt.(container.Lister); ok {
			_, err = l.Summaries(ctx, container.ListOptions{Project: project})
		} else {
			_, err = c.rt.Instances(ctx, project)
		}
		return err
	})
}

// poll asks the engine once. silent says that it has not answered within the limit, and has not listed
// its containers either.
func (c *connection) poll(
	stop <-chan struct{}, project string, slow, limit time.Duration,
) (_ []engine.Instance, _ error, silent bool) {
	type answer struct {
		instances []engine.Instance
		err       error
	}
	notice := c.noticeIfSlow(slow)
	defer notice.Stop()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	answers := make(chan answer, 1)
	go func() { // the call may wait for another one, whatever its context says
		var a answer
		a.err = guarded("look after the engine", func() (err error) {
			a.instances, err = c.rt.Instances(ctx, project)
			return err
		})
		answers <- a
	}()
	lists, late := make(chan error, 1), true
	for ask := time.After(slow); ; {
		select {
		case a := <-answers:
			return a.instances, a.err, late && a.err != nil && ctx.Err() != nil
		case <-ask:
			if _, ok := c.rt.(container.Lister); ok {
				go func() { lists <- c.list(ctx, project) }()
			}
		case err := <-lists:
			if err == nil {
				late = false
				c.answered()
			}
		case <-ctx.Done():
			return nil, ctx.Err(), late
		case <-stop:
			return nil, context.Canceled, false
		}
	}
}
