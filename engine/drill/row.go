package drill

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"bulkhead/engine/container"
	"bulkhead/engine/fault"
)

// healTime is how long taking a fault away may take, once the drill ends.
const healTime = 30 * time.Second

// row is one run of a row.
type row struct {
	d        *Drill
	i        int
	services []Service
	hit      *Service
	out      Row

	began    time.Time // of its baseline
	injected time.Time
	healed   time.Time
	starved  bool      // the machine had no CPU left while the fault lasted
	steady   time.Time // since when everybody is well again; zero while somebody is not
	up       time.Time // since when the one that was hit stands as before; zero while it does not
	wentDown bool      // the service that was hit, since then
	before   []Stand
	unseen   map[string]bool // unhealthy before
	signs    map[string][]sign
	last     map[string]container.Health
	kept     kept
	alone    span             // after it, for those who may crash by themselves
	bases    map[string]tally // of everybody, as known at the heal
}

// kept counts the connections from before a fault that go on without it, over several looks: one that
// begins while it is looked may be taken for one of them.
type kept struct{ looks, some, least int }

func (k *kept) look(n int) {
	k.looks++
	if n > 0 {
		if k.some++; k.some == 1 || n < k.least {
			k.least = n
		}
	}
}

// count is how many there were for most of the time.
func (k *kept) count() int {
	if k.some*2 <= k.looks {
		return 0
	}
	return k.least
}

// undisturbed runs a row, and once more where somebody else had a hand in it.
func (d *Drill) undisturbed(ctx context.Context, services []Service, i int) (Row, error) {
	var hands, void []string
	for range 2 {
		r := &row{d: d, i: i, services: services, signs: map[string][]sign{},
			unseen: map[string]bool{}, last: map[string]container.Health{}}
		d.mu.Lock()
		r.out = Row{Killed: d.report.Rows[i].Killed, With: d.report.Rows[i].With,
			Repeat: d.report.Rows[i].Repeat, Cells: []Cell{}}
		d.mu.Unlock()
		r.hit = &services[slices.IndexFunc(services, func(s Service) bool { return s.Name == r.out.Killed })]
		began := time.Now()
		err := r.run(ctx)
		if err != nil {
			r.out.Verdict = Failed
			r.out.Why = err.Error()
			if ctx.Err() != nil {
				r.out.Why = "aborted, and healed"
			}
			return r.out, err
		}
		if hands = d.s.Hands(began); len(hands) == 0 || r.out.Verdict == Failed {
			r.out.Notes = append(void, r.out.Notes...)
			return r.out, nil
		}
		void = append(void, "void, and run again: "+strings.Join(hands, "; "))
		d.change(func(rep *Report) { rep.Rows[i].Notes = void })
	}
	return Row{Killed: services[slices.IndexFunc(services, func(s Service) bool {
		return s.Name == d.killed(i)
	})].Name, Cells: []Cell{},
		Verdict: Failed, Notes: void, Why: "disturbed twice: " + strings.Join(hands, "; ")}, nil
}

func (d *Drill) killed(i int) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.report.Rows[i].Killed
}

// run is a row from its baseline to its verdict. An error ends the drill.
func (r *row) run(ctx context.Context) error {
	d := r.d
	d.s.HoldWork(true)
	if err := r.baseline(ctx); err != nil {
		return err
	}
	r.phase(PhaseInject, 0)
	r.out.Before = ledgers(r.before)
	r.injected = time.Now()
	r.event(r.injected, r.hit.Name, "fault", d.o.Fault)
	heal, err := d.s.Inject(ctx, r.hit.Name, d.o.Fault)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		r.out.Verdict, r.out.Why = Failed, "not injected: "+err.Error()
		return nil
	}
	r.phase(PhaseHold, d.o.Hold)
	held := r.observe(ctx, d.o.Hold, func() bool { r.kept.look(d.s.Kept()); return false })
	r.healed = time.Now()
	r.starved = d.s.Starved(r.injected, r.healed)
	r.event(r.healed, r.hit.Name, "heal", "")
	mend, cancel := context.WithTimeout(context.WithoutCancel(ctx), healTime)
	err = heal(mend)
	cancel()
	switch {
	case held != nil:
		return held
	case err != nil:
		r.out.Verdict, r.out.Why = Failed, "not healed: "+err.Error()
		return nil
	}
	r.bases = map[string]tally{}
	for _, s := range r.services {
		r.bases[s.Name] = d.base(s.Name, r.hit.Name, nil)
	}
	r.phase(PhaseSettle, d.o.Settle)
	err = r.observe(ctx, d.o.Settle, r.recovered)
	if err != nil {
		return err
	}
	left := r.ailing()
	if err := r.observe(ctx, probeLong*2, func() bool { return d.book.whole(r.healed) }); err != nil {
		return err
	}
	if err := r.crashersAlone(ctx); err != nil {
		return err
	}
	r.judge(left)
	return nil
}

// baseline waits until nobody has trouble from the row before, and then looks at everybody for as
// long as the fault is going to last. A check that timed out while the machine had no CPU left says
// nothing of its service, so it is looked at again once everybody is well.
func (r *row) baseline(ctx context.Context) error {
	d := r.d
	for n := 1; ; n++ {
		r.began = time.Now()
		if len(d.quiet) > 0 {
			r.phase(PhaseQuieting, d.o.Settle)
			if err := r.observe(ctx, d.o.Settle, r.quiet); err != nil {
				return err
			}
		}
		now, err := r.lookAtAll(ctx)
		if err != nil {
			return err
		}
		bad, late := r.unwell(now)
		if late && n < mostBaselines && !d.o.AllowUnhealthy && d.s.Starved(now.from, now.to) {
			continue
		}
		if len(bad) > 0 && !d.o.AllowUnhealthy {
			return fmt.Errorf("%w: %s; --allow-unhealthy (a on the screen) leaves it out",
				ErrUnhealthy, strings.Join(slices.Compact(bad), ", "))
		}
		return nil
	}
}

// mostBaselines is how often a row begins with a baseline in which checks timed out for lack of CPU.
const mostBaselines = 5

// lookAtAll looks at everybody while nothing is done to anybody.
func (r *row) lookAtAll(ctx context.Context) (span, error) {
	d := r.d
	long := max(d.o.Hold, leastBaseline)
	r.phase(PhaseBaseline, long)
	from := time.Now()
	r.before, _ = d.s.Stands()
	if err := r.observe(ctx, long, func() bool { return false }); err != nil {
		return span{}, err
	}
	clear(r.signs)
	r.before, _ = d.s.Stands()
	now := span{from: from, to: time.Now()}
	d.mu.Lock()
	d.quiet = append(d.quiet, now)
	first := len(d.quiet) == 1
	d.mu.Unlock()
	d.judgeAgain()
	if first {
		d.change(func(rep *Report) {
			rep.Baseline = r.baselines(now)
			if note := d.loadNote(r.services, now); note != "" {
				rep.Notes = append(rep.Notes, note)
			}
		})
	}
	return now, nil
}

// unwell says who is not well at the end of a baseline, of whom nothing can be said then. late says
// that all of that is checks which timed out.
func (r *row) unwell(now span) (bad []string, late bool) {
	clear(r.unseen)
	late = true
	for _, s := range r.before {
		t := r.d.book.tally(s.Service, "", now)
		late = late && (s.Health != container.Unhealthy || s.TimedOut) && s.Live
		switch {
		case s.Health == container.Unhealthy:
			bad = append(bad, s.Service+" is unhealthy")
		case !s.Live:
			bad = append(bad, fmt.Sprintf("%s is %s", s.Service, s.State))
		case t.asked >= leastAnswers && t.failed == t.asked:
			what := " answers no probe: "
			if t.firstFail.request && t.lastFail.request {
				what = " answers no request of --load: "
			}
			bad = append(bad, s.Service+what+t.lastFail.err)
			late = false
		default:
			continue
		}
		r.unseen[s.Service] = true
	}
	return bad, late && len(bad) > 0
}

// quietFor is how long nobody may have had trouble before a baseline begins.
const quietFor = 3 * time.Second

// quiet says whether the trouble of the row before is over: everybody is ready, answers, and has
// logged no kind of line for a moment that the baselines did not have.
func (r *row) quiet() bool {
	now := time.Now()
	lately := span{from: now.Add(-quietFor), to: now}
	if r.began.After(lately.from) {
		return false
	}
	stands, _ := r.d.s.Stands()
	for _, s := range stands {
		if !r.d.o.AllowUnhealthy && (!s.Ready || s.Health == container.Unhealthy) {
			return false
		}
		f := facts{service: s.Service, injected: lately.from, base: r.d.base(s.Service, "", nil),
			hold: r.d.book.tally(s.Service, "", lately)}
		if f.lines().found || f.answers().found || f.calls().found {
			return false
		}
	}
	return true
}

// base is what a service did in some baselines; nil: in all so far.
func (d *Drill) base(service, hit string, spans []span) tally {
	if spans == nil {
		spans = d.baselines()
	}
	return d.book.tally(service, hit, spans...)
}

// baselines are when nothing was done to anybody so far.
func (d *Drill) baselines() []span {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.quiet)
}

// observe looks at everybody until done says so, or for at most d.
func (r *row) observe(ctx context.Context, d time.Duration, done func() bool) error {
	over := time.NewTimer(d)
	defer over.Stop()
	look := time.NewTicker(200 * time.Millisecond) // log lines and answers come without a change of state
	defer look.Stop()
	for {
		stands, changed := r.d.s.Stands()
		r.d.noteCrashes(stands)
		r.compare(stands)
		if done() {
			return nil
		}
		select {
		case <-changed:
		case <-look.C:
		case <-over.C:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// compare notes what became of everybody since before.
func (r *row) compare(stands []Stand) {
	if r.injected.IsZero() {
		return
	}
	now := time.Now()
	r.comeback(stands, now)
	for _, b := range r.before {
		if b.Service == r.hit.Name || !b.Live {
			continue
		}
		i := slices.IndexFunc(stands, func(s Stand) bool {
			return s.Service == b.Service && s.Replica == b.Replica
		})
		switch {
		case i < 0:
			r.sign(b.Service, sign{at: now, outcome: Died, kind: kindIdentity, text: "its container is gone"})
		case stands[i].Identity.ID != b.Identity.ID && stands[i].Identity.ID != "":
			r.sign(b.Service, sign{at: now, outcome: Died, kind: kindIdentity, text: "recreated"})
		case !stands[i].Live && stands[i].State == container.StateExited:
			r.crashed(b.Service, now, fmt.Sprintf("exited with code %d", stands[i].ExitCode))
		case !stands[i].Live:
			r.crashed(b.Service, now, "not running: "+stands[i].State.String())
		case !stands[i].Identity.Started.Equal(b.Identity.Started) ||
			stands[i].Identity.Restarts != b.Identity.Restarts:
			r.crashed(b.Service, now, "restarted")
		default:
			r.health(b, stands[i], now)
		}
	}
}

// comeback notes that the service that was hit came back while the fault lasts: by its restart
// policy, after a crash.
func (r *row) comeback(stands []Stand, now time.Time) {
	if !r.healed.IsZero() || r.out.BackInMS != nil {
		return
	}
	live := true
	for _, s := range stands {
		if s.Service == r.hit.Name {
			live = live && s.Live && s.Ready
			for _, b := range r.before {
				moved := b.Service == s.Service && b.Replica == s.Replica &&
					(!b.Identity.Started.Equal(s.Identity.Started) || b.Identity.ID != s.Identity.ID)
				r.wentDown = r.wentDown || moved
			}
		}
	}
	r.wentDown = r.wentDown || !live
	if r.wentDown && live {
		back := now.Sub(r.injected).Milliseconds()
		r.out.BackInMS, r.out.BackBy = &back, "policy"
		r.event(now, r.hit.Name, "ready", "by its restart policy")
	}
}

// health notes a change of health.
func (r *row) health(b, s Stand, now time.Time) {
	key := s.key()
	was, known := r.last[key]
	if !known {
		was = b.Health
	}
	r.last[key] = s.Health
	if was == s.Health {
		return
	}
	text := fmt.Sprintf("%s -> %s", was, s.Health)
	r.event(now, s.Service, kindHealth, text)
	if s.Health != container.Unhealthy || b.Health == container.Unhealthy {
		return
	}
	if s.TimedOut && r.d.s.Starved(now.Add(-starvedFor), now) {
		r.sign(b.Service, sign{at: now, outcome: Untouched, kind: kindMachine,
			text: text + ", but its check timed out while the machine had no CPU left"})
		return
	}
	r.sign(b.Service, sign{at: now, outcome: Unhealthy, kind: kindHealth, text: text})
}

// starvedFor is how long before a failed check the machine's load is looked at.
const starvedFor = 10 * time.Second

func (r *row) sign(service string, s sign) {
	for _, o := range r.signs[service] {
		if o.text == s.text || o.outcome == Died && s.outcome == Died && o.crash == s.crash {
			return
		}
	}
	r.signs[service] = append(r.signs[service], s)
	if s.kind == kindIdentity {
		r.event(s.at, service, "died", s.text)
	}
}

// judge comes to the cells and the verdict. left are those who have not recovered.
func (r *row) judge(left []ailment) {
	d := r.d
	after, _ := d.s.Stands()
	r.out.After = ledgers(after)
	slowest := time.Duration(0)
	for _, s := range r.services {
		if s.Name != r.hit.Name {
			slowest = max(slowest, s.HealthSpan)
		}
	}
	if slowest > d.o.Hold {
		r.out.Notes = append(r.out.Notes,
			fmt.Sprintf("a healthy service proves nothing: the healthchecks take up to %s to notice; --hold %s would see it",
				container.Brief(slowest), seconds(slowest.Milliseconds())))
	}
	r.out.seen = &seen{facts: r.facts(), events: r.out.Events, recovered: len(left) == 0}
	if len(left) > 0 {
		var all []string
		for _, a := range left {
			all = append(all, a.service+" "+a.what)
		}
		r.out.seen.late = fmt.Sprintf("%s %s after the fault was taken away", strings.Join(all, ", "),
			container.Brief(d.o.Settle))
		r.out.seen.quiet = d.baselines()
	}
	r.out = d.judge(r.out)
}

// facts are what everybody else is judged by.
func (r *row) facts() (all []*facts) {
	d := r.d
	fallen := falls(r.services, r.hit.Name)
	hold := span{from: r.injected, to: r.healed}
	needed := false // by somebody, as far as is known
	for _, s := range slices.Backward(r.services) {
		if s.Name == r.hit.Name {
			continue
		}
		f := &facts{service: s.Name, hit: r.hit.Name, injected: r.injected, healed: r.healed, hold: d.book.tally(s.Name,
			r.hit.Name, hold), signs: r.signs[s.Name], falls: fallen[s.Name], starved: r.starved,
			unseen: r.unseen[s.Name], habits: d.book.habitsOf(s.Name),
			loaded: d.o.Load.String() != "", tapped: d.o.Tap}
		f.degrade, f.allowed = r.hit.allowed(s.Name)
		f.stranger = !fallen[s.Name] && !d.needs(r.services, s.Name, r.hit.Name)
		if r.alone.to.After(r.alone.from) {
			f.alone = d.book.tally(s.Name, "", r.alone)
		}
		if r.starved && len(f.hold.lines) > 0 {
			f.regular = r.regular(&f.hold, s.Name)
		}
		needed = needed || !f.stranger
		all = append(all, f)
	}
	for _, f := range all {
		if !f.stranger || !needed { // else it has no connection there, nor has anybody whom it needs
			f.kept = r.kept.count()
		}
	}
	return all
}

// needs says whether a service depends on another, directly or through others, by the file or by what taps saw.
func (d *Drill) needs(all []Service, service, other string) bool {
	return fault.Needs(service, other, func(name string) []string {
		var out []string
		for _, s := range all {
			if s.Name == name {
				out = slices.Concat(out, s.DependsOn, s.Links, s.Calls)
				if s.Joins != "" {
					out = append(out, s.Joins)
				}
			}
			if slices.Contains(d.book.callers(s.Name), name) {
				out = append(out, s.Name)
			}
		}
		return out
	})
}

// seen is what a run of a row is judged by, now and again once more baselines are known.
type seen struct {
	facts     []*facts
	events    []Event
	recovered bool
	late      string
	// the baselines that count; nil: all. Those after a row that left somebody broken do not
	quiet []span
}

// judge comes to the cells, the timeline and the verdict of a run by all baselines so far: a kind of
// line that turns up while nothing is done to anybody is noise, also where a fault was earlier.
func (d *Drill) judge(run Row) Row {
	if run.seen == nil {
		return run
	}
	run.Cells, run.Events = []Cell{}, slices.Clone(run.seen.events)
	for _, f := range run.seen.facts {
		f := *f
		f.base = d.base(f.service, f.hit, run.seen.quiet)
		c := f.judge()
		run.Cells = append(run.Cells, c)
		for _, e := range c.Evidence {
			if e.Kind == kindLog && c.Outcome >= Errors {
				run.Events = append(run.Events, Event{AfterMS: e.AfterMS, Service: f.service,
					Kind: kindLog, Text: e.Text})
			}
		}
	}
	slices.SortStableFunc(run.Events, func(a, b Event) int { return int(a.AfterMS - b.AfterMS) })
	run.Verdict, run.Why = verdictOf(run.Cells, run.seen.recovered, run.seen.late)
	return run
}

func (r *row) event(at time.Time, service, kind, text string) {
	r.out.Events = append(r.out.Events, Event{AfterMS: at.Sub(r.injected).Milliseconds(),
		Service: service, Kind: kind, Text: text})
}

// phase says in the report what the row is at.
func (r *row) phase(p Phase, lasts time.Duration) {
	r.d.change(func(rep *Report) {
		o := &rep.Rows[r.i]
		o.Phase, o.Until = p, ""
		if lasts > 0 {
			o.Until = time.Now().Add(lasts).UTC().Format(time.RFC3339Nano)
		}
	})
}

// baselines are everybody's, for the report.
func (r *row) baselines(now span) []Baseline {
	out := []Baseline{}
	for _, l := range ledgers(r.before) {
		t := r.d.book.tally(l.Service, "", now)
		health := l.Health
		if l.State == container.StateCrashing.String() {
			health = l.State
		}
		out = append(out, Baseline{Service: l.Service, ContainerID: l.ContainerID,
			StartedAt: l.StartedAt, Restarts: l.Restarts, PID: l.PID, Health: health,
			ErrorsPerSec: float64(t.errors) / now.to.Sub(now.from).Seconds(), Asked: t.asked,
			Failed: t.failed, P95MS: t.p95().Milliseconds(), Calls: t.tapped.asked,
			CallsFailed: t.tapped.failed})
	}
	return out
}

func ledgers(all []Stand) []Ledger {
	out := []Ledger{}
	for _, s := range all {
		out = append(out, Ledger{Service: s.Service, Replica: s.Replica, ContainerID: s.Identity.ID,
			StartedAt: s.Identity.Started.UTC().Format(time.RFC3339Nano),
			Restarts:  s.Identity.Restarts, PID: s.PID, Health: s.Health.String(), State: s.State.String()})
	}
	return out
}
