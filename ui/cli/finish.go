package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"bulkhead/engine"
	"bulkhead/engine/container"
	"bulkhead/engine/project"
)

// reloadLimit is how long a reload of the Compose files may take. It ends one that hangs, as on a
// disk of the network that went away: what runs goes on as it is.
const reloadLimit = 30 * time.Second

// reloaded loads within the limit.
func reloaded(
	ctx context.Context, load func(context.Context) (*project.Project, error),
) (*project.Project, error) {
	limited, cancel := context.WithTimeout(ctx, reloadLimit)
	defer cancel()
	p, err := load(limited)
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		return nil, fmt.Errorf(
			"the Compose files could not be read within %s; save one again to try again",
			container.Brief(reloadLimit))
	}
	return p, err
}

// finish does to the project what was asked for. A signal that comes once that was shown for a
// second kills; signalled says that it is not the first one. An engine that does not answer is
// given up after a while.
func (s *session) finish(end engine.Ending, signalled bool) error {
	cmd := end.Command()
	switch cmd.Verb {
	case "":
		return nil
	case engine.VerbStop:
		if s.attach != nil {
			cmd.Services = s.attach.named
		}
	}
	cmd.Cause, cmd.Grace, cmd.Images = "bulkhead ends", s.grace, s.images
	cmd.Orphans = cmd.Orphans || s.images
	defer s.a.interrupts.hold()()
	s.a.interrupts.acknowledge() // before the line itself: its reader may be stuck
	ctx, cancel := context.WithCancel(s.tasks.ctx)
	defer cancel()
	key := "ctrl+c"
	if signalled {
		key = "ctrl+c again"
	}
	w := &stopWatch{s: s, silent: make(chan struct{}), first: runningReplicas(s.ending()),
		notice: stopNotice{verb: cmd.Verb, name: s.p.Name, p: s.p, grace: s.grace, hint: key + " kills"}}
	done := make(chan error, 1)
	s.tasks.Go("stop", func(context.Context) error {
		done <- s.e.Do(ctx, cmd)
		return nil
	})
	defer w.watch(ctx)()
	defer cancel()
	select {
	case err := <-done:
		if err != nil {
			err = fmt.Errorf("%s %s: %w", cmd.Verb, s.p.Name, err)
		}
		return err
	case <-s.ran:
		return fmt.Errorf("%s %s: the engine ended before it was done; `bulkhead %s` tries again",
			cmd.Verb, s.p.Name, cmd.Verb)
	case <-w.silent:
		return s.engineSilent(cmd.Verb)
	case <-s.a.interrupts.again:
	}
	return s.kill(cmd.Verb, done, w, signalled)
}

// kill ends a stop that takes too long for the person who waits.
func (s *session) kill(verb engine.Verb, done <-chan error, w *stopWatch, signalled bool) error {
	limit := 10 * time.Second
	if w.late() {
		limit = time.Second // a last try
	}
	if err := s.killAll(limit); errors.Is(err, context.DeadlineExceeded) {
		return s.engineSilent(verb)
	} else if err != nil {
		return fmt.Errorf("kill %s: %w; `bulkhead kill` tries again", s.p.Name, err)
	}
	// The stop under way ends with the containers.
	select {
	case <-done:
	case <-s.ran:
	case <-time.After(10 * time.Second):
	}
	signal := "a signal"
	if signalled {
		signal = "a second signal"
	}
	return &exit{code: exitFailed, err: fmt.Errorf("%s %s: killed by %s", verb, s.p.Name, signal)}
}

// engineSilent is the end of a stop whose engine does not answer.
func (s *session) engineSilent(verb engine.Verb) error {
	s.a.interrupts.hurry()
	return fmt.Errorf("%s %s: %w; what may still run: %s; `bulkhead %s` when it answers again", verb, s.p.Name,
		&silentError{where: s.a.conn.engineName()}, orDash(listReplicas(runningReplicas(s.ending()))), verb)
}

// verdict is what a session has come to that has stopped its project and is only to end.
func (s *session) verdict(err error) error {
	if err == nil {
		return fmt.Errorf(
			"up %s: it is stopped, but the rest of the output could not be written, or work under way did not end", s.p.Name)
	}
	return err
}

// alive says whether a container of this state has processes.
func alive(state engine.State) bool {
	switch state {
	case engine.StateStarting, engine.StateRunning, engine.StatePaused, engine.StateStopping,
		engine.StateRestarting, engine.StateCrashing:
		return true
	}
	return false
}

// runningReplicas are the replicas that run.
func runningReplicas(services []engine.Service) []replica {
	var out []replica
	for _, svc := range services {
		for _, r := range svc.Replicas {
			if alive(r.State) {
				out = append(out, replica{service: svc.Name, number: r.Number})
			}
		}
	}
	return out
}

// ending are the services that the end of the session stops: those that were named where the session is attached in
// docker compose's manner, else all.
func (s *session) ending() []engine.Service {
	all := s.e.Snapshot().Services
	if s.attach == nil || len(s.attach.named) == 0 {
		return all
	}
	var out []engine.Service
	for _, svc := range all {
		if slices.Contains(s.attach.named, svc.Name) {
			out = append(out, svc)
		}
	}
	return out
}

// killAll kills every container of the session, also those that are being stopped: without asking
// the lanes, which wait for them.
func (s *session) killAll(limit time.Duration) error {
	ctx, cancel := context.WithTimeout(s.tasks.ctx, limit)
	defer cancel()
	var (
		mu   sync.Mutex
		errs []error
	)
	g := &group{ctx: ctx}
	for _, svc := range s.ending() {
		for _, r := range svc.Replicas {
			if !alive(r.State) || r.Identity.ID == "" {
				continue
			}
			g.Go("kill "+svc.Name, func(ctx context.Context) error {
				err := s.a.conn.rt.Kill(ctx, r.Identity.ID, "SIGKILL")
				// it has ended by itself
				if err != nil && !errors.Is(err, engine.ErrNotFound) && !errors.Is(err, engine.ErrConflict) {
					mu.Lock()
					defer mu.Unlock()
					errs = append(errs, err)
				}
				return nil
			})
		}
	}
	if err := g.Wait(); err != nil {
		errs = append(errs, err) // a panic
	}
	return errors.Join(errs...)
}

// stopWatch says who is waited for while a project stops, and looks whether the engine goes on answering.
type stopWatch struct {
	s      *session
	first  []replica // who ran before the stop began
	notice stopNotice
	silent chan struct{} // closed when the engine has not answered for fellSilent

	mu    sync.Mutex
	asked time.Time // when the question that waits for its answer was asked; zero: none does
}

// watch does both until ctx ends; wait is to be called then.
func (w *stopWatch) watch(ctx context.Context) (wait func()) {
	printed := background("say who stops", func() error { w.printWaits(ctx); return nil })
	polled := background("look after the engine", func() error { w.awaitSilence(ctx); return nil })
	return func() {
		<-polled
		select {
		case <-printed:
		case <-time.After(time.Second): // the reader of stderr is stuck
		}
	}
}

// late says whether the engine owes an answer for longer than usual.
func (w *stopWatch) late() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return !w.asked.IsZero() && time.Since(w.asked) >= slowAnswer
}

func (w *stopWatch) mark(at time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked = at
}

// printWaits prints who is waited for, whenever one of them has ended, until ctx ends.
func (w *stopWatch) printWaits(ctx context.Context) {
	changed, stop := w.s.e.Subscribe()
	defer stop()
	for running := w.first; ; running = runningReplicas(w.s.ending()) {
		if text := w.notice.next(running); text != "" {
			w.s.a.console.printError(text)
		}
		// Of services that end together one line is enough.
		if awaitChange(ctx, changed, 500*time.Millisecond); ctx.Err() != nil {
			return
		}
	}
}

// awaitSilence looks whether the engine answers until ctx ends, or it has not for fellSilent.
func (w *stopWatch) awaitSilence(ctx context.Context) {
	answered := time.Now()
	for sleep(ctx, slowAnswer) {
		w.mark(time.Now())
		slow := w.s.a.conn.noticeIfSlow(slowAnswer)
		asked, cancel := context.WithTimeout(ctx, fellSilent)
		err := w.s.a.conn.list(asked, w.s.p.Name)
		cancel()
		slow.Stop()
		if err == nil {
			answered = time.Now()
			w.s.a.conn.answered()
			w.mark(time.Time{})
		}
		if ctx.Err() == nil && time.Since(answered) >= fellSilent {
			close(w.silent)
			return
		}
	}
}
