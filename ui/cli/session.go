package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"bulkhead/engine"
	"bulkhead/engine/container"
	"bulkhead/engine/logs"
	"bulkhead/engine/machine"
	"bulkhead/engine/project"
	"bulkhead/ui/cli/startup"
)

// session is one engine that runs in this process, with its control socket and its signals.
type session struct {
	a *app
	e *engine.Engine
	p *project.Project
	// signalled is closed by the first signal; nil where another one ends the session.
	signalled <-chan struct{}
	keep      bool // leave the project running whatever ends the session
	// whenSignalled is what a signal leads to; the zero value stands for EndStop.
	whenSignalled engine.Ending
	onScreen      bool           // it was shown on the screen
	images        bool           // down removes the project's own images too
	printer       *printer       // nil: nothing is streamed
	attach        *attachment    // streams in docker compose's own manner, in the place of printer
	grace         *time.Duration // of the stop in the end; nil: each service's own
	quiet         []string       // kinds of builds that are not printed
	// ownLines keeps log lines from the printer but bulkhead's own, as those of hooks.
	ownLines bool

	tasks   *group // end with the engine
	end     context.CancelFunc
	ran     chan struct{} // closed when the engine has ended
	runErr  error         // of the engine; read after ran
	downed  chan struct{} // closed when the project was taken down over the socket
	release func()
	held    func() bool // nobody else has taken the project over on the engine
	control *control    // nil for a session that shares the project
}

// sessionOptions say how a project is held.
type sessionOptions struct {
	load    func(context.Context) (*project.Project, error) // loads it again when a file of it was saved
	signals bool                                            // a signal stops the project
	// others may work on it at the same time: it is not claimed
	shared bool
}

// open claims the project and starts an engine for it. Callers go on with run.
func (a *app) open(
	ctx context.Context, p *project.Project, o engine.Options, how sessionOptions,
) (*session, error) {
	c, err := a.claim(ctx, p.Name, how)
	if err != nil {
		return nil, err
	}
	if a.conn.info.Local { // else its processors are another machine's
		o.Machine = machine.Read
	}
	o.Runtime, o.Builder, o.Project = a.conn.rt, a.conn.builder, p
	if o.StateDir == "" {
		o.StateDir = a.env.stateDir()
	}
	o.Trust = a.trust(p)
	if !o.NoWatch {
		o.Load = func(ctx context.Context) (*project.Project, error) { return reloaded(ctx, how.load) }
	}
	if !o.NoWatch && !how.shared && p.Watched() {
		by, unlock := a.env.watchLock(p.Name).take()
		if by != 0 {
			a.console.printWarning(
				fmt.Sprintf("%s: `docker compose watch` (process %d) watches its files; no file is watched here, so that no edit is carried out twice", p.Name, by))
			o.NoWatch = true
		}
		c.addRelease(unlock)
	}
	// The engine outlives ctx: the project is stopped through it.
	ectx, end := context.WithCancel(context.WithoutCancel(ctx))
	s := &session{a: a, e: engine.New(o), p: p, tasks: &group{ctx: ectx}, end: end,
		ran: make(chan struct{}), downed: make(chan struct{}), release: c.release, held: c.held}
	if how.signals {
		s.signalled = a.interrupts.first
	}
	if !o.NoLogs && !startup.Chosen() {
		startup.Over()
		stop := keepGarbageLow(s.e.Logs().Bytes)
		s.release = func() { stop(); c.release() }
	}
	if c.listener != nil {
		var once sync.Once
		s.control = &control{e: s.e, rt: a.conn.rt, hello: a.conn.hello(p.Name), ends: s.signalled,
			downs: func() { once.Do(func() { close(s.downed) }) }}
		s.tasks.Go("control socket", func(ctx context.Context) error { return s.control.serve(ctx, c.listener) })
	}
	s.tasks.Go("engine", func(ctx context.Context) error {
		defer close(s.ran)
		s.runErr = guarded("engine", func() error { return s.e.Run(ctx) })
		return nil
	})
	return s, nil
}

// claimed is what a session has of a project for itself.
type claimed struct {
	listener net.Listener // of the control socket; nil for a session that shares the project
	held     func() bool  // whether the project is still this session's
	release  func()
}

// addRelease has something more done, before all else, when the project is let go.
func (c *claimed) addRelease(f func()) {
	rest := c.release
	c.release = func() { f(); rest() }
}

// claim takes a project for a session: on this machine, and on the engine.
func (a *app) claim(ctx context.Context, project string, how sessionOptions) (*claimed, error) {
	c := &claimed{held: func() bool { return true }, release: func() {}}
	if how.shared {
		return c, nil
	}
	var err error
	if c.listener, c.release, err = a.conn.claim(ctx, project); err != nil || project == "" {
		return c, err
	}
	held, release, err := a.hold(ctx, project, a.takeOver)
	if err != nil {
		c.listener.Close()
		c.release()
		return nil, err
	}
	c.held = held
	c.addRelease(release)
	return c, nil
}

// run carries out a session: show is what it is for, and returns what is to happen to the project
// then. Its ctx ends when something else ends the session.
func (s *session) run(show func(ctx context.Context) (engine.Ending, error)) (err error) {
	defer s.a.conn.watch.pause()()
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
	ending := engine.EndLeave
	err = guarded("show", func() (err error) { ending, err = show(ctx); return err })
	cause := context.Cause(ctx)
	cancel(nil)
	watching.Wait()
	if cause != nil && !errors.Is(cause, errSignal) && !errors.Is(cause, errDowned) && err == nil {
		err = cause
	}
	signalled := errors.Is(cause, errSignal)
	ending = s.decide(ending, cause)
	s.control.close()
	switch finish := s.finish(ending, signalled); {
	case err == nil || stdoutClosed(err) && finish != nil:
		err = finish
	case finish != nil: // what went wrong before does not hide that containers run on
		err = container.Join(err, finish)
	}
	// An exit code that is passed on is an error too: what led to it is printed whole.
	if (s.attach != nil || s.printer != nil) && !stdoutClosed(err) && !errors.Is(err, engine.ErrNoEngine) {
		s.awaitLogs()
	}
	if s.onScreen && signalled && err == nil {
		// The screen is gone by then, and with it whatever said so.
		word := map[engine.Ending]string{engine.EndLeave: "runs on", engine.EndStop: "is stopped"}[ending]
		fmt.Fprintf(s.a.console.stdout, "%s %s: a signal ended bulkhead\n", s.p.Name,
			cmp.Or(word, "is removed"))
	}
	if ending != engine.EndLeave {
		s.a.setVerdict(s.verdict(err))
	} else if !signalled {
		s.awaitGuests()
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

// runAndLeave is run for what leaves the project as it is then.
func (s *session) runAndLeave(show func(ctx context.Context) error) error {
	return s.run(func(ctx context.Context) (engine.Ending, error) { return engine.EndLeave, show(ctx) })
}

// decide says what happens to the project when a session ends: wanted is what its show returned,
// and cause what ended that, nil when nothing did.
func (s *session) decide(wanted engine.Ending, cause error) engine.Ending {
	switch {
	case errors.Is(cause, errSignal):
		wanted = max(engine.EndStop, s.whenSignalled)
	case cause != nil:
		return engine.EndLeave // there is nothing left to stop, or no engine to stop it
	}
	if s.keep && wanted == engine.EndStop {
		return engine.EndLeave
	}
	if wanted != engine.EndLeave && !s.held() {
		s.a.console.printWarning("up " + s.p.Name +
			": somebody else has taken the project over; it is left running")
		return engine.EndLeave
	}
	return wanted
}

// lastWordsLimit is how long a session waits in the end for what containers that have ended wrote: an engine that
// is busy takes a while for it, and one that hangs is not waited for any longer.
const lastWordsLimit = 20 * time.Second

// awaitLogs waits until all is read that containers that have ended wrote.
func (s *session) awaitLogs() {
	defer s.a.interrupts.hold()()
	ctx, cancel := context.WithTimeout(s.tasks.ctx, lastWordsLimit)
	defer cancel()
	var ending sync.WaitGroup
	ending.Go(func() {
		select {
		case <-s.ran:
		case <-s.a.interrupts.again:
		case <-ctx.Done():
		}
		cancel()
	})
	s.e.AwaitLogs(ctx)
	cancel()
	ending.Wait()
}

// print streams events and logs to the printer, if there is one. The returned function prints the
// rest, once the engine has ended, and returns then.
func (s *session) print() (rest func()) {
	if s.attach != nil {
		return s.attach.print(s)
	}
	if s.printer == nil {
		return func() {}
	}
	streams, rest := s.streams()
	streams.Go("print events", func(ctx context.Context) error {
		return eachRecord(ctx, s.e, 0, func(recs []engine.Record) error {
			if recs = s.withoutQuiet(recs); len(recs) > 0 {
				s.printer.records(recs, s.buildOutput)
			}
			return nil
		})
	})
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
	var filter logs.Filter
	if s.ownLines {
		filter.Stream = logs.System
	}
	follower := s.e.Logs().Follow(filter)
	streams.Go("print logs", func(ctx context.Context) error {
		printLogs(ctx, follower, s.printer, name)
		return nil
	})
	return rest
}

// streams is a group for what is printed while the session goes on. rest ends its ctx, waits until the rest
// is printed, and prints the error of one that did not work.
func (s *session) streams() (_ *group, rest func()) {
	ctx, stop := context.WithCancel(context.WithoutCancel(s.tasks.ctx))
	g := &group{ctx: ctx}
	return g, func() {
		stop()
		if err := g.Wait(); err != nil {
			s.a.console.printError(err.Error())
		}
	}
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
				Text: fmt.Sprintf(
					"%d log lines came faster than they could be written, and are left out", n)}}, nil)
		}
		p.lines(buf, name)
		if err != nil {
			return // ctx has ended, and no line is left
		}
	}
}

// withoutQuiet leaves out the records of builds and pulls that are not to be printed. One that failed is.
func (s *session) withoutQuiet(recs []engine.Record) []engine.Record {
	if len(s.quiet) == 0 {
		return recs
	}
	return slices.DeleteFunc(slices.Clone(recs), func(r engine.Record) bool {
		return r.Kind == "build" && r.Err == "" && slices.Contains(s.quiet, r.Action)
	})
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
