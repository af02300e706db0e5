package fault

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"bulkhead/engine/container"
)

// Host is who runs the project that faults are done to. Its methods are called from any goroutine.
type Host interface {
	// Act kills, stops, pauses or starts containers of a service. It may take as long as a stop does,
	// and call the Injector.
	Act(ctx context.Context, a Act) error
	// Note is called when a fault is about to be injected, when it has ended, and when something
	// about it changed or did not work. It must neither wait nor call the Injector.
	Note(n Note)
}

// Note is one thing that happened to a fault.
type Note struct {
	What  NoteKind
	Fault Active
	Text  string // of Changed and Trouble: what
}

// NoteKind is what happened.
type NoteKind uint8

const (
	NoteUnknown NoteKind = iota // something about it that is shown changed, and nothing happened
	Begins                      // it is about to be injected
	Injected
	Changed // it is in force in another way than before: in a new container, say
	Trouble // something did not work; it is tried again where that makes sense
	Healed
	Failed // it could not be injected, and what was done is undone
)

// Active is a fault that is in force.
type Active struct {
	Fault Fault
	Began time.Time
	Until time.Time
	// Momentary says that it is done with its injection: there is nothing to heal.
	Momentary bool
	// Healing says that it is on its way out.
	Healing bool
	// Kept counts the connections that exist from before it and go on as they were.
	Kept int
	// Sharers have it too, sorted by service. Nobody writes to the slice.
	Sharers []Sharer
	// Trouble is why it is not in force at this moment as it should be; "" mostly.
	Trouble string
}

// Left is how long it is still in force.
func (a *Active) Left(now time.Time) time.Duration { return max(a.Until.Sub(now), 0) }

// Options are the parts of an Injector.
type Options struct {
	Runtime *container.Complete
	Host    Host
	Project string
	Engine  string // id of the engine, which names the folder of the state
	// Notified says that the owner passes on what happens to containers, by See and Moved; else Run follows
	// the events itself.
	Notified bool
	State    string // base folder of all state; "" keeps none, and nobody heals after a crash
	// Tapped is called each second with what every agent saw on tapped edges; nil: nobody taps. It
	// is called without locks of the Injector, from several goroutines.
	Tapped func([]Tapped)
}

// Injector keeps the faults of one project in force. Give Run a goroutine; the other methods may be
// called from any goroutine, also before Run and after it.
type Injector struct {
	rt      *container.Complete
	host    Host
	project string
	disk    disk
	Support *Support // what is possible here

	// held while something is injected, healed or brought up to date, but not while the host acts
	working  turn
	net      network // guarded by working
	taps     taps
	notified bool // nobody need follow the events

	mu    sync.Mutex
	all   []*injection  // oldest first
	wake  chan struct{} // capacity 1: the faults or their times changed
	moved chan struct{} // capacity 1: containers of the project moved
}

// injection is one fault on its way. Its entry belongs to whoever injects it until it is settled, and
// then to whoever holds Injector.working; shown to whoever holds mu.
type injection struct {
	entry
	kind      *Kind
	params    Params
	momentary bool          // nothing is left to heal
	recovered bool          // another process did it, and died
	settled   chan struct{} // closed once it is in force, or has come to nothing

	// Guarded by Injector.mu:
	shown      Active
	kept       map[site]int // connections from before it, by where they are
	superseded bool         // somebody moved on purpose what it had moved
}

// isSettled says whether it is in force, or has come to nothing.
func (in *injection) isSettled() bool {
	select {
	case <-in.settled:
		return true
	default:
		return false
	}
}

// targets returns the target that a container is, nil when it is none.
func (in *injection) targets(i container.Instance) *Target {
	n := slices.IndexFunc(in.Targets, func(t Target) bool { return t.ID == i.ID })
	if n < 0 {
		return nil
	}
	return &in.Targets[n]
}

// NewInjector makes an Injector without faults.
func NewInjector(o Options) *Injector {
	d := diskOf(o.State, o.Engine, o.Project)
	return &Injector{rt: o.Runtime, host: o.Host, project: o.Project, disk: d,
		Support: supportOf(o.Runtime, o.Project), net: network{agents: map[site]*sidecar{}},
		taps: taps{project: o.Project, disk: d, tapped: o.Tapped}, notified: o.Notified,
		working: make(turn, 1), wake: make(chan struct{}, 1), moved: make(chan struct{}, 1)}
}

// turn is a lock that is held while others are waited for. A goroutine that waits for it is idle in
// the sense of testing/synctest, as it would not be with a sync.Mutex.
type turn chan struct{}

func (t turn) Lock()   { t <- struct{}{} }
func (t turn) Unlock() { <-t }

// lock is Lock that returns ctx's error when that ends.
func (t turn) lock(ctx context.Context) error {
	select {
	case t <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// act has the host act while others work.
func (r *Injector) act(ctx context.Context, a Act) error {
	r.working.Unlock()
	defer r.working.Lock()
	return r.host.Act(ctx, a)
}

// Active returns the faults in force, oldest first.
func (r *Injector) Active() []Active {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []Active
	for _, in := range r.all {
		out = append(out, in.shown)
	}
	return out
}

// Inject does a fault, and returns once it is in force. What is not possible here, or not at this
// moment, is refused before anything is done; when it cannot be done, what was begun is undone. The
// fault is healed when its time is over, by Heal, or at the end of Run.
func (r *Injector) Inject(ctx context.Context, f Fault) (Active, error) {
	in, err := r.prepare(ctx, f)
	if err != nil {
		return Active{}, err
	}
	f = in.Fault
	if err := r.working.lock(ctx); err != nil {
		return Active{}, &container.Error{What: "fault " + f.String(), Err: err}
	}
	defer r.working.Unlock()
	defer func() {
		close(in.settled)
		r.Moved() // what moved meanwhile was not looked at
	}()
	if err := r.admit(ctx, in); err != nil {
		return Active{}, err
	}
	in.shown = Active{Fault: f, Began: in.Began, Until: in.Until}
	r.host.Note(Note{What: Begins, Fault: in.shown})
	r.mu.Lock()
	r.all = append(r.all, in)
	r.mu.Unlock()
	if err := in.kind.method.inject(ctx, r, in); err != nil {
		return Active{}, &container.Error{What: "fault " + f.String(), Err: r.undo(ctx, in, err)}
	}
	// The time that injecting took is not part of the fault's own.
	in.Until = time.Now().Add(f.Lasts())
	r.mu.Lock()
	in.shown.Until, in.shown.Momentary = in.Until, in.momentary
	shown, superseded := in.shown, in.superseded
	r.mu.Unlock()
	r.host.Note(Note{What: Injected, Fault: shown})
	if superseded {
		r.end(in)
	} else if in.momentary {
		r.drop(in)
		r.disk.remove(f.ID)
	} else if err := r.disk.write(&in.entry); err != nil {
		r.host.Note(Note{What: Trouble, Fault: shown, Text: err.Error()})
	}
	nudge(r.wake)
	return shown, nil
}

// prepare makes the injection of a fault that is possible here.
func (r *Injector) prepare(ctx context.Context, f Fault) (*injection, error) {
	if err := f.Check(); err != nil {
		return nil, err
	}
	params, err := f.Params()
	if err != nil {
		return nil, err
	}
	if f.ID == "" {
		f.ID = newID()
	}
	in := &injection{kind: KindOf(f.Kind), params: params, settled: make(chan struct{})}
	in.Fault, in.Owner = f, thisOwner()
	why, err := r.Support.lacks(ctx, in.kind)
	if err == nil && why != "" {
		return nil, &container.Error{What: "fault " + f.String(), Why: why, Err: container.ErrUnsupported}
	}
	if err != nil {
		return nil, &container.Error{What: "fault " + f.String(), Err: err}
	}
	return in, nil
}

// admit finds the containers that a fault is done to, and writes it down, unless it is not possible at
// this moment. No other process admits one meanwhile. Callers hold working.
func (r *Injector) admit(ctx context.Context, in *injection) error {
	release, err := r.disk.exclusive(ctx)
	if err != nil {
		return &container.Error{What: "fault " + in.Fault.String(), Err: err}
	}
	defer release()
	all, err := r.choose(ctx, in)
	if err != nil {
		return err
	}
	if m, may := in.kind.method.(refuser); may {
		if err := m.refuse(in, all, r.others(in)); err != nil {
			return err
		}
	}
	in.Began = time.Now()
	in.Until = in.Began.Add(in.Fault.Lasts())
	return r.disk.write(&in.entry)
}

// undo heals what came of an injection that failed, and returns why it did. Callers hold working.
func (r *Injector) undo(ctx context.Context, in *injection, why error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), healLimit)
	defer cancel()
	r.drop(in)
	why = errors.Join(why, in.kind.method.heal(ctx, r, in))
	r.disk.remove(in.Fault.ID)
	r.host.Note(Note{What: Failed, Fault: in.shown, Text: why.Error()})
	return why
}

func newID() string { return strings.ToLower(rand.Text()[:8]) }

// choose finds the containers that a fault is done to, and returns all of the project.
func (r *Injector) choose(ctx context.Context, in *injection) ([]container.Instance, error) {
	all, err := r.rt.Instances(ctx, r.project)
	if err != nil {
		return nil, err
	}
	f := in.Fault
	known := false
	for _, i := range all {
		if i.Service != f.Service {
			continue
		}
		known = true
		if f.Replica != 0 && i.Replica != f.Replica || i.State != container.StateRunning &&
			i.State != container.StatePaused {
			continue
		}
		in.Targets = append(in.Targets, Target{ID: i.ID, Name: i.Name, Service: i.Service, Replica: i.Replica})
	}
	what := "fault " + f.String()
	switch {
	case !known:
		return nil, container.Failed(what, "project %s has no container of service %s", r.project, f.Service)
	case len(in.Targets) == 0:
		return nil, container.WithRemedy(container.Failed(what, "%s does not run", f.Edge()),
			"`bulkhead start %s` starts it", f.Service)
	}
	return all, nil
}

// healLimit is how long healing may take before it is given up for this time.
const healLimit = 30 * time.Second

// Heal ends faults by their ids, and returns once they are healed; none means all. One that is over
// already is not an error. What could not be healed stays in force and is tried again.
func (r *Injector) Heal(ctx context.Context, ids ...string) error {
	return r.healSettled(ctx, func(in *injection) bool {
		return len(ids) == 0 || slices.Contains(ids, in.Fault.ID)
	})
}

// HealServices ends the faults that have one of the services at an end; none means all.
func (r *Injector) HealServices(ctx context.Context, services ...string) error {
	return r.healSettled(ctx, func(in *injection) bool { return in.Fault.touches(services) })
}

// healSettled heals, once those that are still being injected are in force.
func (r *Injector) healSettled(ctx context.Context, is func(*injection) bool) error {
	for {
		if err := r.working.lock(ctx); err != nil {
			return &container.Error{What: "heal", Err: err}
		}
		r.mu.Lock()
		n := slices.IndexFunc(r.all, func(in *injection) bool { return is(in) && !in.isSettled() })
		var wait *injection
		if n >= 0 {
			wait = r.all[n]
		}
		r.mu.Unlock()
		if wait == nil {
			defer r.working.Unlock()
			return r.healThese(ctx, is)
		}
		r.working.Unlock()
		select {
		case <-wait.settled:
		case <-ctx.Done():
			return &container.Error{What: "heal " + wait.Fault.String() + ", which is still being injected",
				Err: ctx.Err()}
		}
	}
}

// touches says whether a fault has one of the services at an end; none means all.
func (f *Fault) touches(services []string) bool {
	return len(services) == 0 || slices.Contains(services, f.Service) ||
		f.From != "" && slices.Contains(services, f.From) || f.To != "" && slices.Contains(services, f.To)
}

// healThese heals what is settled, the latest first. Callers hold working.
func (r *Injector) healThese(ctx context.Context, is func(*injection) bool) error {
	r.mu.Lock()
	var chosen []*injection
	for _, in := range slices.Backward(r.all) {
		if in.isSettled() && is(in) {
			in.shown.Healing = true
			chosen = append(chosen, in)
		}
	}
	r.mu.Unlock()
	// Whoever asked may go away: healing goes on.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), healLimit)
	defer cancel()
	var errs []error
	for _, in := range chosen {
		r.drop(in) // what is computed from all faults is computed without it
		if err := in.kind.method.heal(ctx, r, in); err != nil {
			r.mu.Lock()
			in.shown.Trouble = err.Error()
			in.shown.Healing = false
			in.Until = time.Now().Add(healAgain)
			in.shown.Until = in.Until
			r.all = append(r.all, in)
			shown := in.shown
			r.mu.Unlock()
			r.host.Note(Note{What: Trouble, Fault: shown, Text: "heal: " + err.Error()})
			errs = append(errs, &container.Error{What: "heal " + in.Fault.String(), Err: err})
			continue
		}
		r.disk.remove(in.Fault.ID)
		r.host.Note(Note{What: Healed, Fault: in.shown})
	}
	nudge(r.wake)
	return errors.Join(errs...)
}

// healAgain is after what time a fault that could not be healed is tried again.
const healAgain = 5 * time.Second

// others are the faults beside one: those on disk, whichever process keeps them, and where nothing is
// kept on disk those of this process. Callers hold working.
func (r *Injector) others(in *injection) (out []entry) {
	if r.disk.dir != "" {
		out, _ = r.disk.read() // what cannot be read is named by Recover
	} else {
		r.mu.Lock()
		for _, o := range r.all {
			out = append(out, o.entry)
		}
		r.mu.Unlock()
	}
	return slices.DeleteFunc(out, func(e entry) bool { return e.Fault.ID == in.Fault.ID })
}

// drop takes a fault out of those in force.
func (r *Injector) drop(in *injection) {
	r.mu.Lock()
	r.all = slices.DeleteFunc(r.all, func(o *injection) bool { return o == in })
	r.mu.Unlock()
}

// Superseded ends the faults whose life somebody is about to move on purpose, without acting:
// what was killed, stopped or paused is theirs now. None means all services. It does not wait: what
// is still being injected, or meets other work of the Injector, ends after that.
func (r *Injector) Superseded(services ...string) {
	r.mu.Lock()
	for _, in := range r.all {
		if MovesLife(in.kind.Name) && (len(services) == 0 || slices.Contains(services, in.Fault.Service)) {
			in.superseded = true
		}
	}
	r.mu.Unlock()
	select {
	case r.working <- struct{}{}:
		defer r.working.Unlock()
		r.endSuperseded()
	default:
		nudge(r.wake)
	}
}

// endSuperseded ends what is superseded. Callers hold working.
func (r *Injector) endSuperseded() {
	for _, in := range r.matching(func(in *injection) bool { return in.superseded }) {
		r.end(in)
	}
}

// matching are the settled faults that are so, oldest first. Callers hold working, so that they stay
// as they are.
func (r *Injector) matching(is func(*injection) bool) (out []*injection) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, in := range r.all {
		if in.isSettled() && is(in) {
			out = append(out, in)
		}
	}
	return out
}

// end takes a fault that is over out of the list and off the disk.
func (r *Injector) end(in *injection) {
	r.drop(in)
	r.disk.remove(in.Fault.ID)
	r.host.Note(Note{What: Healed, Fault: in.shown})
	nudge(r.wake)
}

// Wait waits until a fault is over, or ctx ends.
func (r *Injector) Wait(ctx context.Context, id string) {
	for r.has(id) {
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return
		}
	}
}

// Moved tells the Injector that containers of the project may have started, ended or been replaced. A nil
// Injector has no faults to keep in force.
func (r *Injector) Moved() {
	if r != nil {
		nudge(r.moved)
	}
}

// See is Moved for an event, if it is about that.
func (r *Injector) See(e container.Event) {
	switch e.Kind {
	case container.EventStarted, container.EventDied, container.EventUnpaused, container.EventPaused, container.EventRemoved:
		r.Moved()
	}
}

func nudge(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default: // a token is waiting already
	}
}
