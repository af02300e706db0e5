package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"bulkhead/engine"
	"bulkhead/engine/logs"
	"bulkhead/engine/project"
)

// attachment is an `up` that stays with its containers in docker compose's manner: log lines of
// stdout and stderr go to the same here, after the container's name; what happens goes to stderr;
// the exit of a container may end it, and its exit code is the program's.
type attachment struct {
	p      *project.Project
	shown  map[string]bool // services whose logs are printed
	follow map[string]bool // services whose exits count
	abort  bool            // the first exit ends it
	fail   bool            // the first exit with another code than 0 does
	from   string          // service whose exit code counts; "": that of the first
	named  []string        // services that it was asked for, which its end stops; none: all

	out, errs *printer // log lines
	events    *printer
	prefix    bool

	begun bool // what is recorded is no longer what was before this up

	mu     sync.Mutex
	wake   func()          // lets printLogs look whether a line is left
	drains []chan struct{} // closed when no line is
	quiet  bool            // printLogs has ended
	ended  bool            // abort or fail has come true
	code   int
	taken  bool          // code is the one of from
	over   chan struct{} // closed when ended
}

func newAttachment(f *upFlags, p *project.Project, services []string, out *console) (*attachment, error) {
	at := &attachment{p: p, shown: map[string]bool{}, follow: map[string]bool{}, abort: f.abortOnExit,
		fail: f.abortOnFailure,
		from: f.exitCodeFrom, named: services, prefix: !f.noPrefix, over: make(chan struct{}),
		out: newPrinter(out.stdout), errs: newPrinter(out.stderr), events: out.progressPrinter()}
	for _, name := range slices.Concat(f.attach, []string{f.exitCodeFrom}) {
		if name != "" && p.Service(name) == nil {
			return nil, usagef("up: %s is not among the services that it starts; it starts %s", name,
				strings.Join(serviceNames(&project.Project{Services: p.Services}), ", "))
		}
	}
	for _, s := range p.Services {
		named := len(services) == 0 || slices.Contains(services, s.Name)
		at.shown[s.Name] = (named || f.attachDeps) && (s.Config.Attach == nil || *s.Config.Attach)
		if len(f.attach) > 0 {
			at.shown[s.Name] = slices.Contains(f.attach, s.Name)
		}
		if slices.Contains(f.noAttach, s.Name) {
			at.shown[s.Name] = false
		}
		at.follow[s.Name] = named
		if len(services) == 0 {
			at.follow[s.Name] = at.shown[s.Name]
		}
	}
	width := 0
	for _, s := range p.Services {
		if at.shown[s.Name] {
			width = max(width, len(at.name(s.Name, max(1, s.Replicas))))
		}
	}
	for _, pr := range []*printer{at.out, at.errs} {
		pr.colour, pr.stampFormat, pr.stamps, pr.width, pr.noPrefix = out.colours() && !f.noColor,
			rfc3339Nano, f.stamps, width+1, f.noPrefix
		pr.tabs = true
	}
	return at, nil
}

// name is what docker compose calls a container before its log lines.
func (at *attachment) name(service string, replica int) string {
	if s := at.p.Service(service); s != nil && s.Config.ContainerName != "" {
		return s.Config.ContainerName
	}
	return service + at.p.Separator + strconv.Itoa(replica)
}

// attached lists the containers whose logs are printed.
func (at *attachment) attached() []string {
	var out []string
	for _, s := range at.p.Services {
		for n := 1; n <= s.Replicas && at.shown[s.Name]; n++ {
			out = append(out, at.name(s.Name, n))
		}
	}
	return out
}

// print prints until the returned function is called, which prints the rest.
func (at *attachment) print(s *session) (rest func()) {
	g, rest := s.streams()
	follower := s.e.Logs().Follow(logs.Filter{})
	at.out.text("Attaching to " + strings.Join(at.attached(), ", "))
	g.Go("print logs", func(ctx context.Context) error { at.printLogs(ctx, follower); return nil })
	g.Go("print events", func(ctx context.Context) error {
		return eachRecord(ctx, s.e, 0, func(recs []engine.Record) error {
			for _, r := range s.withoutQuiet(recs) {
				at.events.text(eventText(r))
			}
			for _, r := range recs {
				at.exit(s.e, r)
			}
			return nil
		})
	})
	return rest
}

// printLogs prints log lines until ctx ends and none is left.
func (at *attachment) printLogs(ctx context.Context, follower *logs.Follower) {
	defer func() {
		at.mu.Lock()
		defer at.mu.Unlock()
		at.quiet = true
		for _, d := range at.drains {
			close(d)
		}
		at.drains = nil
	}()
	var buf []logs.Line
	for {
		next, wake := context.WithCancel(ctx)
		at.mu.Lock()
		at.wake = wake
		drained := len(at.drains) // those who ask later wait for the next turn
		if drained > 0 {
			wake()
		}
		at.mu.Unlock()
		var err error
		buf, err = follower.Next(next, buf)
		wake()
		at.lines(buf)
		if err == nil {
			continue
		}
		at.mu.Lock()
		for _, d := range at.drains[:drained] {
			close(d)
		}
		at.drains = at.drains[drained:]
		at.mu.Unlock()
		if ctx.Err() != nil {
			return
		}
	}
}

// lines prints log lines, each on the stream that it was written to.
func (at *attachment) lines(lines []logs.Line) {
	name := func(l logs.Line) string { return at.name(l.Service, l.Replica) }
	for len(lines) > 0 {
		n := 1
		for n < len(lines) && lines[n].Stream == lines[0].Stream {
			n++
		}
		to := at.out
		if lines[0].Stream == logs.Stderr {
			to = at.errs
		}
		now := slices.DeleteFunc(slices.Clone(lines[:n]), func(l logs.Line) bool {
			return l.Stream == logs.System || !at.shown[l.Service]
		})
		if len(now) > 0 {
			to.lines(now, name)
		}
		lines = lines[n:]
	}
}

// exit takes the exit of a container.
func (at *attachment) exit(e *engine.Engine, r engine.Record) {
	if !at.begun {
		n := e.Snapshot()
		at.begun = n.Phase >= engine.PhaseRunning && r.Seq > n.Begun
	}
	if !at.begun || r.Kind != "service" || !r.HasExit || r.ID == "" || !at.follow[r.Service] &&
		r.Service != at.from {
		return
	}
	at.awaitLines(e)
	switch r.State {
	case engine.StateExited:
		at.out.text(fmt.Sprintf("%s exited with code %d", at.name(r.Service, r.Replica), r.ExitCode))
	case engine.StateRestarting:
		at.out.text(fmt.Sprintf("%s exited with code %d (restarting)", at.name(r.Service, r.Replica),
			r.ExitCode))
	default:
		return
	}
	at.mu.Lock()
	defer at.mu.Unlock()
	if r.Service == at.from && !at.taken {
		at.taken, at.code = true, r.ExitCode
	}
	if !at.ended && (at.abort || at.fail && r.ExitCode != 0) {
		at.ended = true
		if at.from == "" {
			at.code = r.ExitCode
		}
		close(at.over)
	}
}

// recorded takes the exit code of the service that counts from what is known of it, where nothing
// of it runs; false where that is not so.
func (at *attachment) recorded(n *engine.Snapshot) bool {
	for _, svc := range n.Services {
		if svc.Name != at.from || len(svc.Replicas) == 0 {
			continue
		}
		for _, r := range svc.Replicas {
			if r.State != engine.StateExited {
				return false
			}
		}
		at.mu.Lock()
		defer at.mu.Unlock()
		if !at.taken {
			at.taken, at.code = true, svc.Replicas[0].ExitCode
		}
		return true
	}
	return false
}

// lastLines is how long the word of an exit waits for what the container wrote before.
const lastLines = time.Second

// awaitLines waits until what containers wrote before they ended is printed.
func (at *attachment) awaitLines(e *engine.Engine) {
	ctx, cancel := context.WithTimeout(context.Background(), lastLines)
	defer cancel()
	e.AwaitLogs(ctx)
	at.drain(ctx)
}

// drain waits until printLogs has printed every line that there is, or has ended.
func (at *attachment) drain(ctx context.Context) {
	drained := make(chan struct{})
	at.mu.Lock()
	if at.quiet {
		at.mu.Unlock()
		return
	}
	at.drains = append(at.drains, drained)
	if at.wake != nil {
		at.wake()
	}
	at.mu.Unlock()
	select {
	case <-drained:
	case <-ctx.Done():
	}
}

// attached waits until something ends the session: a signal, an exit, an up that did not succeed, or
// the end of all containers.
func (s *session) attached(ctx context.Context) (engine.Ending, error) {
	up := make(chan error, 1)
	s.tasks.Go("wait", func(context.Context) error {
		up <- s.e.WaitUp(ctx, engine.Wait{})
		return nil
	})
	changed, stop := s.e.Subscribe()
	defer stop()
	started := false
	for {
		select {
		case <-ctx.Done():
			return engine.EndLeave, nil // the cause of ctx says what is to happen
		case <-s.attach.out.broken:
			return engine.EndStop, s.attach.out.failed()
		case <-s.attach.over:
			s.attach.events.text("Aborting on container exit...")
			return engine.EndStop, nil
		case err := <-up:
			if err != nil && ctx.Err() == nil {
				return engine.EndLeave, fmt.Errorf("up %s: %w", s.p.Name, err)
			}
			started = err == nil
		case <-changed:
			sleep(ctx, 50*time.Millisecond) // each of a flood of log lines is a change
		}
		if !started {
			continue
		}
		n, aborts := s.e.Snapshot(), s.attach.abort || s.attach.fail
		ended := s.attach.allEnded(n)
		switch {
		case s.attach.abort && s.attach.recorded(n):
			return engine.EndStop, nil
		case ended && !aborts:
			return engine.EndLeave, nil
		case ended: // no exit will come any more that could end it
			return engine.EndStop, nil
		}
	}
}

// allEnded says whether no container that is followed runs, or will again.
func (at *attachment) allEnded(n *engine.Snapshot) bool {
	for _, svc := range n.Services {
		if !at.follow[svc.Name] {
			continue
		}
		for _, r := range svc.Replicas {
			if r.State != engine.StateExited {
				return false
			}
		}
	}
	return true
}

// result is what the program ends with: the exit code of the container that ended it, or that of the signal.
func (at *attachment) result(s *session, err error) error {
	at.mu.Lock()
	defer at.mu.Unlock()
	signalled := s.a.interrupts.code()
	var e *exit
	switch {
	case signalled != 0 && (err == nil || errors.As(err, &e)):
		return &exit{code: signalled, err: err}
	case err != nil:
		return err
	case at.code != 0 && (at.ended || at.taken):
		return &exit{code: at.code}
	}
	return nil
}
