package memory

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/compose-spec/compose-go/v2/types"
	"github.com/moby/sys/signal"

	"bulkhead/engine/container"
)

const (
	defaultGrace = 10 * time.Second
	// What a real engine needs for it at least: nobody relies on two lives, or a
	// kill and its end, at one moment.
	startTakes = 5 * time.Millisecond
	killTakes  = time.Millisecond
	// Between two lives by the restart policy: doubled up to the longest, and back
	// to the first after a life of longLife.
	firstDelay = 100 * time.Millisecond
	mostDelay  = time.Minute
	longLife   = 10 * time.Second
)

// life is one run of a container's first process. It is guarded by the engine's mu.
type life struct {
	handles map[int]string // their names, as the program has them
	signals chan string
	held    []int // came while it was paused
	ports   map[int]chan net.Conn
	again   bool // only the program ends with it, and is started again
	code    int  // of a life that has a next one
	next    *life
	last    bool // the restart policy is idle when it ends
	killing bool // SIGKILL is on its way, and nothing else ends it
	over    bool
	lines   int           // of the log when it was over
	killed  chan struct{} // closed to end its programs
	ended   chan struct{} // closed when it is over
}

func (l *life) kill() {
	select {
	case <-l.killed:
	default:
		close(l.killed)
	}
}

// policy is a restart policy.
type policy struct {
	name  string // "always", "unless-stopped", "on-failure"; "" and "no" are none
	most  int    // of on-failure; 0: no limit
	delay time.Duration
	wait  chan struct{} // closed to give up the next life, while it is waited for
}

// prepare takes what the programs of a container need from the configuration and
// its image.
func (b *box) prepare(c types.ServiceConfig, img Image) error {
	b.command = append(slices.Clone(img.Entrypoint), img.Command...)
	switch {
	case len(c.Entrypoint) > 0:
		b.command = append(slices.Clone(c.Entrypoint), c.Command...)
	case len(c.Command) > 0:
		b.command = append(slices.Clone(img.Entrypoint), c.Command...)
	}
	for k, v := range c.Environment {
		if v != nil {
			b.env = append(b.env, k+"="+*v)
		}
	}
	slices.Sort(b.env)
	stop := cmp.Or(c.StopSignal, img.Stop)
	b.anySignal = stop == ""
	stop = cmp.Or(stop, "TERM")
	var err error
	if b.stop, err = signalNumber(stop); err != nil {
		return err
	}
	name, most, _ := strings.Cut(c.Restart, ":")
	if d := c.Deploy; name == "" && d != nil && d.RestartPolicy != nil {
		name = map[string]string{"any": "always", "on-failure": "on-failure"}[d.RestartPolicy.Condition]
	}
	b.policy = policy{name: name}
	b.policy.most, _ = strconv.Atoi(most) // the loader has looked at it
	b.health = check(c.HealthCheck, img.Health)
	if b.health != nil {
		b.in.Check, b.in.HealthTimeout = b.health.command(), b.health.timeout
	}
	return nil
}

// running says whether a first process is there, paused or not. Callers hold the
// engine's mu.
func (b *box) running() bool { return b.life != nil && !b.life.over }

// Start implements container.Runtime.
func (e *engine) Start(ctx context.Context, s container.CreateSpec, id string) error {
	if err := e.faults.enter(ctx, "Start", id); err != nil {
		return err
	}
	if !e.pause(ctx, startTakes, nil) {
		return fmt.Errorf("start %s: %w", short(id), cmp.Or(ctx.Err(), errCut))
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	b, err := e.box("start", id)
	if err != nil {
		return err
	}
	if b.running() {
		return nil
	}
	if s.App != nil && s.Service != nil {
		if err := b.contents(s.App, s.Service.Config); err != nil {
			return fmt.Errorf("start %s: %w", b.in.Name, err)
		}
		b.rejoin(s)
	}
	b.policy.giveUp()
	b.byHand, b.in.Restarts = false, 0
	if err := e.begin(b); err != nil {
		return fmt.Errorf("start %s: %w", b.in.Name, err)
	}
	return e.faults.leave(ctx, "Start", id)
}

// Restart stops and starts a container as another program would.
func (r *Runtime) Restart(ctx context.Context, id string, grace time.Duration) error {
	if err := r.Stop(ctx, id, grace); err != nil {
		return err
	}
	if err := r.Start(ctx, container.CreateSpec{}, id); err != nil {
		return err
	}
	r.engine.mu.Lock()
	defer r.engine.mu.Unlock()
	b, err := r.box("restart", id)
	if err != nil {
		return err
	}
	r.emit(b, container.Event{Kind: container.EventRestarted})
	return nil
}

// begin begins a life. Callers hold mu.
func (e *engine) begin(b *box) error {
	fail := func(code int, err error) error {
		b.in.ExitCode, b.in.Error = code, err.Error()
		if b.in.State != container.StateCreated {
			b.in.State = container.StateExited
		}
		return err
	}
	select {
	case <-e.closed:
		return fail(128, errCut)
	default:
	}
	if err := e.around.connect(b); err != nil {
		return fail(128, err)
	}
	prog, ok := e.program(b.command)
	if !ok {
		return fail(127, fmt.Errorf("exec: %q: executable file not found in $PATH: unknown",
			strings.Join(b.command, " ")))
	}
	if err := e.publish(b); err != nil {
		return fail(128, err)
	}
	l, err := newLife(prog)
	if err != nil {
		return fail(128, err)
	}
	e.serial++
	b.life = l
	b.in.Booted = time.Time{}
	b.in.State, b.in.Started, b.in.Pid = container.StateRunning, e.now(), e.serial
	b.in.ExitCode, b.in.OOM, b.in.Error = 0, false, ""
	e.emit(b, container.Event{Kind: container.EventStarted})
	e.launch(b, l, prog)
	return nil
}

func newLife(prog Program) (*life, error) {
	l := &life{
		handles: map[int]string{}, signals: make(chan string, 16), ports: map[int]chan net.Conn{},
		killed: make(chan struct{}), ended: make(chan struct{}),
	}
	for _, s := range prog.Handles {
		n, err := signalNumber(s)
		if err != nil {
			return nil, err
		}
		l.handles[n] = s
	}
	return l, nil
}

// launch runs the program of a life. Callers hold mu.
func (e *engine) launch(b *box, l *life, prog Program) {
	p := &Process{Args: b.command, Env: b.env, Stdin: strings.NewReader(""), Signals: l.signals,
		Killed: l.killed,
		e:      e, box: b, life: l, outcome: &outcome{}}
	p.out = func(stream container.Stream, text string) { e.print(b, l, stream, text) }
	e.running.Go(func() {
		code := prog.Run(p)
		e.mu.Lock()
		defer e.mu.Unlock()
		if !l.killing {
			e.end(b, l, code, p.outcome.oom)
		}
	})
	e.watchHealth(b, l)
}

// end ends a life, once, and lets the restart policy act. Callers hold mu.
func (e *engine) end(b *box, l *life, code int, oom bool) {
	if l.over {
		return
	}
	l.kill()
	select {
	case <-e.closed:
		l.over = true
		close(l.ended)
		b.wakeReaders()
		return
	default:
	}
	b.flush()
	lived := time.Since(b.in.Started)
	l.over, l.lines = true, len(b.log)
	l.code = code
	if l.again && !l.last && e.resume(b, l) {
		close(l.ended)
		return
	}
	close(l.ended)
	b.in.State, b.in.Finished, b.in.ExitCode, b.in.OOM, b.in.Pid, b.in.Ports = container.StateExited,
		e.now(), code, oom, 0, nil
	if oom {
		e.emit(b, container.Event{Kind: container.EventOOM})
	}
	if b.health != nil {
		b.in.Health = container.Unhealthy
	}
	again := !l.last && b.policy.acts(code, b.in.Restarts, b.byHand)
	if again {
		b.in.State = container.StateRestarting
		b.in.Restarts++
	}
	e.emit(b, container.Event{Kind: container.EventDied, ExitCode: code})
	b.wakeReaders()
	for _, o := range e.all { // with the first process of a PID namespace all others end
		if o.joins.pid == b.in.ID && o.running() {
			e.end(o, o.life, 128+9, false)
		}
	}
	if again {
		e.lateStart(b, lived)
	}
}

// acts says whether the policy begins another life.
func (p *policy) acts(code, restarts int, byHand bool) bool {
	switch p.name {
	case "always":
		return true
	case "unless-stopped":
		return !byHand
	case "on-failure":
		return code != 0 && (p.most == 0 || restarts < p.most)
	}
	return false
}

func (p *policy) giveUp() {
	if p.wait != nil {
		close(p.wait)
		p.wait = nil
	}
}

// lateStart begins the policy's next life after its delay. Callers hold mu.
func (e *engine) lateStart(b *box, lived time.Duration) {
	p := &b.policy
	p.delay = min(2*p.delay, mostDelay)
	if p.delay == 0 || lived >= longLife {
		p.delay = firstDelay
	}
	wait, d := make(chan struct{}), p.delay
	p.wait = wait
	b.in.RetryAt = e.now().Add(d)
	e.running.Go(func() {
		if !e.pause(context.Background(), d, wait) {
			return
		}
		e.mu.Lock()
		defer e.mu.Unlock()
		if p.wait == wait && e.all[b.in.ID] == b {
			p.wait = nil
			_ = e.begin(b) // what went wrong is kept with the container
		}
	})
}

// Stop implements container.Runtime. When ctx ends the stop goes on.
func (e *engine) Stop(ctx context.Context, id string, grace time.Duration) error {
	if err := e.faults.enter(ctx, "Stop", id); err != nil {
		return err
	}
	e.mu.Lock()
	b, err := e.box("stop", id)
	if err != nil {
		e.mu.Unlock()
		return err
	}
	if !b.running() {
		if b.in.State == container.StateRestarting {
			b.policy.giveUp()
			b.in.State = container.StateExited
		}
		e.mu.Unlock()
		return nil
	}
	l := b.life
	if grace < 0 {
		if grace = b.in.StopGrace; grace == 0 {
			grace = defaultGrace
		}
	}
	grace = (grace + time.Second - 1) / time.Second * time.Second
	e.signal(b, l, b.stop)
	e.mu.Unlock()
	done := make(chan struct{})
	e.running.Go(func() {
		defer close(done)
		if !l.wait(e, grace) {
			e.mu.Lock()
			if !l.over {
				e.signal(b, l, 9)
			}
			e.mu.Unlock()
			select {
			case <-l.ended:
			case <-e.closed:
			}
		}
		e.mu.Lock()
		defer e.mu.Unlock()
		if e.all[id] == b {
			e.emit(b, container.Event{Kind: container.EventStopped})
		}
	})
	select {
	case <-done:
		return e.faults.leave(ctx, "Stop", id)
	case <-ctx.Done():
		return fmt.Errorf("stop %s: %w", short(id), ctx.Err())
	}
}

// wait waits until a life is over, for d at most; it says whether it is.
func (l *life) wait(e *engine, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	if d > 0 {
		select {
		case <-l.ended:
			return true
		case <-e.closed:
			return true
		case <-t.C:
		}
	}
	select {
	case <-l.ended:
		return true
	default:
		return false
	}
}

// Kill implements container.Runtime.
func (e *engine) Kill(ctx context.Context, id, signal string) error {
	if err := e.faults.enter(ctx, "Kill", id); err != nil {
		return err
	}
	n, err := signalNumber(signal)
	if err != nil {
		return fmt.Errorf("kill %s: %w", short(id), err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	b, err := e.box("kill", id)
	if err != nil {
		return err
	}
	if !b.running() {
		return conflict("kill %s: it is not running", short(id))
	}
	e.signal(b, b.life, n)
	return e.faults.leave(ctx, "Kill", id)
}

// killed ends what runs of a container that is removed. Callers hold mu.
func (e *engine) killed(b *box) {
	b.byHand = true
	b.policy.giveUp()
	if b.running() {
		e.signal(b, b.life, 9)
		e.end(b, b.life, 128+9, false)
	}
}

// signal sends a signal through the engine, which marks the container as stopped by
// hand. Callers hold mu.
func (e *engine) signal(b *box, l *life, n int) {
	b.byHand = true
	if n == b.stop || n == 9 || b.anySignal {
		l.last = true
	}
	e.emit(b, container.Event{Kind: container.EventKilled, Signal: strconv.Itoa(n)})
	if b.in.State == container.StatePaused {
		if n != b.stop && n != 9 {
			l.held = append(l.held, n)
			return
		}
		e.thaw(b)
	}
	e.deliver(b, l, n)
}

// deliver has a signal arrive. Callers hold mu.
func (e *engine) deliver(b *box, l *life, n int) {
	switch {
	case n == 9 && !l.killing:
		l.killing = true
		l.kill()
		e.running.Go(func() {
			e.pause(context.Background(), killTakes, nil)
			e.mu.Lock()
			defer e.mu.Unlock()
			e.end(b, l, 128+9, false)
		})
	case l.handles[n] != "":
		select {
		case l.signals <- l.handles[n]:
		default: // as many as that wait already
		}
	}
}

// pauser is the Runtime's container.Pauser.
type pauser struct{ e *engine }

// Pause implements container.Pauser. What a paused program prints waits; its clock
// does not stop.
func (p pauser) Pause(ctx context.Context, id string) error {
	if err := p.e.faults.enter(ctx, "Pause", id); err != nil {
		return err
	}
	p.e.mu.Lock()
	defer p.e.mu.Unlock()
	b, err := p.e.box("pause", id)
	if err != nil {
		return err
	}
	if b.in.State != container.StateRunning {
		return conflict("pause %s: it is %s", short(id), b.in.State)
	}
	b.in.State = container.StatePaused
	p.e.emit(b, container.Event{Kind: container.EventPaused})
	return nil
}

// Unpause implements container.Pauser.
func (p pauser) Unpause(ctx context.Context, id string) error {
	if err := p.e.faults.enter(ctx, "Unpause", id); err != nil {
		return err
	}
	p.e.mu.Lock()
	defer p.e.mu.Unlock()
	b, err := p.e.box("unpause", id)
	if err != nil {
		return err
	}
	if b.in.State != container.StatePaused {
		// Docker's engine does not call it a conflict
		return fmt.Errorf("unpause %s: it is not paused", short(id))
	}
	p.e.thaw(b)
	return nil
}

// thaw lets a paused container go on. Callers hold mu.
func (e *engine) thaw(b *box) {
	b.in.State = container.StateRunning
	e.emit(b, container.Event{Kind: container.EventUnpaused})
	l := b.life
	for _, n := range l.held {
		e.deliver(b, l, n)
	}
	l.held = nil
	b.wakeReaders()
}

// signalNumber reads "SIGTERM", "TERM" and "15".
func signalNumber(text string) (int, error) {
	n, err := signal.ParseSignal(text)
	return int(n), err
}
