package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"bulkhead/engine"
	"bulkhead/engine/logs"
	"bulkhead/engine/project"
)

// group runs goroutines and waits for them. A panic in one becomes its error.
type group struct {
	ctx context.Context
	wg  sync.WaitGroup

	mu  sync.Mutex
	err error // the first one
}

// Go starts f, which has to return soon after the group's ctx ended.
func (g *group) Go(name string, f func(ctx context.Context) error) {
	g.wg.Add(1)
	go func() {
		defer g.wg.Done()
		err := guarded(name, func() error { return f(g.ctx) })
		g.mu.Lock()
		defer g.mu.Unlock()
		if g.err == nil {
			g.err = err
		}
	}()
}

// Wait returns the first error once all have ended.
func (g *group) Wait() error {
	g.wg.Wait()
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.err
}

// guarded turns a panic of f into an error with its stack.
func guarded(name string, f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%s: panic: %v\n%s", name, r, debug.Stack())
		}
	}()
	return f()
}

// session is one engine that runs in this process, with its control socket and its signals.
type session struct {
	a    *app
	e    *engine.Engine
	p    *project.Project
	sigs <-chan os.Signal
	keep bool // leave the project running whatever ends the session
	// whenSignalled is what a signal leads to; the zero value stands for Stop.
	whenSignalled Outcome
	images        bool     // down removes the project's own images too
	printer       *printer // nil: nothing is streamed
	// eventsOnly keeps log lines from the printer.
	eventsOnly bool

	tasks   *group // end with the engine
	end     context.CancelFunc
	ran     chan struct{} // closed when the engine has ended
	runErr  error         // of the engine; read after ran
	downed  chan struct{} // closed when the project was taken down over the socket
	release func()
}

// open claims the project and starts an engine for it. sigs may be nil. Callers go on with run.
func (a *app) open(ctx context.Context, p *project.Project, o engine.Options, load func(context.Context) (*project.Project, error), sigs <-chan os.Signal) (*session, error) {
	l, release, err := a.claim(p.Name)
	if err != nil {
		return nil, err
	}
	o.Runtime, o.Builder, o.Project = a.rt, a.builder, p
	if o.StateDir == "" {
		o.StateDir = a.stateDir()
	}
	if !o.NoWatch {
		o.Load = load
	}
	// The engine outlives ctx: the project is stopped through it.
	ectx, end := context.WithCancel(context.WithoutCancel(ctx))
	s := &session{a: a, e: engine.New(o), p: p, sigs: sigs, tasks: &group{ctx: ectx}, end: end,
		ran: make(chan struct{}), downed: make(chan struct{}), release: release}
	if a.env["GOGC"] == "" && a.env["GOMEMLIMIT"] == "" {
		stop := keepGarbageLow(s.e.Logs().Bytes)
		s.release = func() { stop(); release() }
	}
	var once sync.Once
	c := &control{e: s.e, rt: a.rt, hello: a.hello(p.Name), downs: func() { once.Do(func() { close(s.downed) }) }}
	s.tasks.Go("control socket", func(ctx context.Context) error { return c.serve(ctx, l) })
	s.tasks.Go("engine", func(ctx context.Context) error {
		defer close(s.ran)
		s.runErr = guarded("engine", func() error { return s.e.Run(ctx) })
		return nil
	})
	return s, nil
}

// run carries out a session: show is what it is for, and returns what is to happen to the project then. Its ctx ends when something
// else ends the session.
func (s *session) run(show func(ctx context.Context) (Outcome, error)) (err error) {
	ctx, cancel := context.WithCancelCause(s.tasks.ctx)
	var watching sync.WaitGroup
	watching.Go(func() {
		select {
		case <-s.sigs:
			cancel(errSignal)
		case <-s.downed:
			cancel(errDowned)
		case <-s.ran:
			cancel(s.runErr)
		case <-ctx.Done():
		}
	})
	printing := s.print()
	outcome := Leave
	err = guarded("show", func() (err error) { outcome, err = show(ctx); return err })
	cause := context.Cause(ctx)
	cancel(nil)
	watching.Wait()
	switch {
	case errors.Is(cause, errSignal):
		outcome = max(Stop, s.whenSignalled)
	case cause != nil:
		outcome = Leave // there is nothing left to stop, or nobody who could
		if !errors.Is(cause, errDowned) && err == nil {
			err = cause
		}
	}
	if s.keep && outcome == Stop {
		outcome = Leave
	}
	if finish := s.finish(outcome, errors.Is(cause, errSignal)); err == nil || stdoutClosed(err) && finish != nil {
		err = finish
	}
	s.end()
	<-s.ran
	if err == nil {
		err = s.runErr
	}
	printing()
	if tasks := s.tasks.Wait(); err == nil {
		err = tasks
	}
	s.release()
	return err
}

// finish does to the project what was asked for. A signal that comes meanwhile kills; signalled says that it is the second one.
func (s *session) finish(o Outcome, signalled bool) error {
	cmd := engine.Command{Verb: engine.VerbStop, Cause: "bulkhead ends", Images: s.images, Orphans: s.images}
	switch o {
	case Leave:
		return nil
	case Down:
		cmd.Verb = engine.VerbDown
	case DownVolumes:
		cmd.Verb, cmd.Volumes = engine.VerbDown, true
	}
	ctx, cancel := context.WithCancel(s.tasks.ctx)
	defer cancel()
	done := make(chan error, 1)
	s.tasks.Go("stop", func(context.Context) error {
		done <- s.e.Do(ctx, cmd)
		return nil
	})
	select {
	case err := <-done:
		if err != nil {
			err = fmt.Errorf("%s %s: %w", cmd.Verb, s.p.Name, err)
		}
		return err
	case <-s.sigs:
	case <-s.ran:
		return fmt.Errorf("%s %s: the engine ended before it was done; `bulkhead %s` tries again", cmd.Verb, s.p.Name, cmd.Verb)
	}
	if err := s.killAll(); err != nil {
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
	return &exit{code: exitFailed, err: fmt.Errorf("%s %s: killed by %s", cmd.Verb, s.p.Name, signal)}
}

// killAll kills every container of the session, also those that are being stopped: without asking the lanes, which wait for them.
func (s *session) killAll() error {
	ctx, cancel := context.WithTimeout(s.tasks.ctx, 10*time.Second)
	defer cancel()
	var errs []error
	for _, svc := range s.e.Snapshot().Services {
		for _, r := range svc.Replicas {
			switch r.State {
			case engine.StateStarting, engine.StateRunning, engine.StatePaused, engine.StateStopping, engine.StateRestarting:
			default:
				continue
			}
			err := s.a.rt.Kill(ctx, r.Identity.ID, "SIGKILL")
			if err != nil && !errors.Is(err, engine.ErrNotFound) && !errors.Is(err, engine.ErrConflict) { // it has ended by itself
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(errs...)
}

// print streams events and logs to the printer, if there is one. The returned function prints the rest, once the engine has ended,
// and returns then.
func (s *session) print() (rest func()) {
	if s.printer == nil {
		return func() {}
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(s.tasks.ctx))
	streams := &group{ctx: ctx}
	streams.Go("print events", func(ctx context.Context) error {
		return eachRecord(ctx, s.e, 0, func(recs []engine.Record) error {
			if len(recs) > 0 {
				s.printer.records(recs, s.buildOutput)
			}
			return nil
		})
	})
	rest = func() {
		stop()
		if err := streams.Wait(); err != nil {
			s.a.complain(err.Error())
		}
	}
	many := map[string]bool{}
	for _, svc := range s.p.Services {
		many[svc.Name] = svc.Replicas > 1
	}
	name := func(l logs.Line) string {
		if many[l.Service] || l.Replica > 1 {
			return fmt.Sprintf("%s/%d", l.Service, l.Replica)
		}
		return l.Service
	}
	if s.eventsOnly {
		return rest
	}
	follower := s.e.Logs().Follow(logs.Filter{})
	streams.Go("print logs", func(ctx context.Context) error {
		printLogs(ctx, follower, s.printer, name)
		return nil
	})
	return rest
}

// printLogs prints lines until ctx ends and none is left, and says how many left the store before they could be written.
func printLogs(ctx context.Context, f *logs.Follower, p *printer, name func(logs.Line) string) {
	var buf []logs.Line
	missed := f.Missed()
	for {
		var err error
		buf, err = f.Next(ctx, buf)
		if n := f.Missed() - missed; n > 0 {
			missed += n
			p.records([]engine.Record{{Kind: "notice", Notice: "missed", Time: time.Now(),
				Text: fmt.Sprintf("%d log lines came faster than they could be written, and are left out", n)}}, nil)
		}
		p.lines(buf, name)
		if err != nil {
			return // ctx has ended, and no line is left
		}
	}
}

// buildOutput gives the last words of the build that a record is about.
func (s *session) buildOutput(r engine.Record) []string {
	builds := s.e.Snapshot().Builds
	for i := len(builds) - 1; i >= 0; i-- {
		if b := builds[i]; b.Err != "" && slices.Contains(b.Services, r.Service) {
			return b.Lines[max(0, len(b.Lines)-quoted):]
		}
	}
	return nil
}
