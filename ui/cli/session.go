package cli

import (
	"context"
	"errors"
	"fmt"
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
	a *app
	e *engine.Engine
	p *project.Project
	// signalled is closed by the first signal; nil where another one ends the session.
	signalled <-chan struct{}
	keep      bool // leave the project running whatever ends the session
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

// open claims the project and starts an engine for it. A signal stops the project where signals
// says so. Callers go on with run.
func (a *app) open(ctx context.Context, p *project.Project, o engine.Options, load func(context.Context) (*project.Project, error), signals bool) (*session, error) {
	l, release, err := claim(a.env.socketPath(p.Name), p.Name)
	if err != nil {
		return nil, err
	}
	o.Runtime, o.Builder, o.Project = a.conn.rt, a.conn.builder, p
	if o.StateDir == "" {
		o.StateDir = a.env.stateDir()
	}
	if !o.NoWatch {
		o.Load = func(ctx context.Context) (*project.Project, error) { return reloaded(ctx, load) }
	}
	// The engine outlives ctx: the project is stopped through it.
	ectx, end := context.WithCancel(context.WithoutCancel(ctx))
	s := &session{a: a, e: engine.New(o), p: p, tasks: &group{ctx: ectx}, end: end,
		ran: make(chan struct{}), downed: make(chan struct{}), release: release}
	if signals {
		s.signalled = a.interrupts.first
	}
	if a.env.get("GOGC") == "" && a.env.get("GOMEMLIMIT") == "" {
		stop := keepGarbageLow(s.e.Logs().Bytes)
		s.release = func() { stop(); release() }
	}
	var once sync.Once
	c := &control{e: s.e, rt: a.conn.rt, hello: a.conn.hello(p.Name), downs: func() { once.Do(func() { close(s.downed) }) }}
	s.tasks.Go("control socket", func(ctx context.Context) error { return c.serve(ctx, l) })
	s.tasks.Go("engine", func(ctx context.Context) error {
		defer close(s.ran)
		s.runErr = guarded("engine", func() error { return s.e.Run(ctx) })
		return nil
	})
	return s, nil
}

// run carries out a session: show is what it is for, and returns what is to happen to the project
// then. Its ctx ends when something else ends the session.
func (s *session) run(show func(ctx context.Context) (Outcome, error)) (err error) {
	ctx, cancel := context.WithCancelCause(s.tasks.ctx)
	var watching sync.WaitGroup
	watching.Go(func() {
		select {
		case <-s.signalled:
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
		outcome = Leave // there is nothing left to stop, or no engine to stop it
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
	if outcome != Leave {
		s.a.setVerdict(s.verdict(err))
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

// print streams events and logs to the printer, if there is one. The returned function prints the
// rest, once the engine has ended, and returns then.
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
			s.a.console.printError(err.Error())
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

// printLogs prints lines until ctx ends and none is left, and says how many left the store before
// they could be written.
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

// buildOutput returns the last lines of the build that a record is about.
func (s *session) buildOutput(r engine.Record) []string {
	builds := s.e.Snapshot().Builds
	for i := len(builds) - 1; i >= 0; i-- {
		if b := builds[i]; b.Err != "" && slices.Contains(b.Services, r.Service) {
			return b.Lines[max(0, len(b.Lines)-tailLines):]
		}
	}
	return nil
}
