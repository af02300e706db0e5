package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"bulkhead/engine/condition"
	"bulkhead/engine/container"
	"bulkhead/engine/drill"
	"bulkhead/engine/fault"
	"bulkhead/engine/hostcmd"
	"bulkhead/engine/logs"
	"bulkhead/engine/probe"
	"bulkhead/engine/project"
)

// drills is what the engine keeps of drills. Its methods may be called from any goroutine.
type drills struct {
	mu            sync.Mutex
	run           *drill.Drill   // the one that runs; nil: none
	report        *drill.Report  // of the last one, as far as it is
	hold          bool           // lanes leave what changed files ask for waiting
	interventions []intervention // what was done to the project by others than a drill
}

// intervention is something that a person or another program did.
type intervention struct {
	at   time.Time
	what string
}

// keptInterventions is how many interventions are kept: those of one row are all that counts.
const keptInterventions = 50

// intervene notes that somebody had a hand in the project: what a drill sees then proves nothing. "" is
// nobody's.
func (d *drills) intervene(what string) {
	if what == "" {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.interventions = append(d.interventions, intervention{at: time.Now(), what: what})
	d.interventions = d.interventions[max(len(d.interventions)-keptInterventions, 0):]
}

// since lists what was done since a time.
func (d *drills) since(t time.Time) []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var out []string
	for _, h := range d.interventions {
		if !h.at.Before(t) && !slices.Contains(out, h.what) {
			out = append(out, h.what)
		}
	}
	return out
}

// begin makes a drill the one that runs, with nil none; it is false when another one runs.
func (d *drills) begin(one *drill.Drill) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if one != nil && d.run != nil {
		return false
	}
	d.run = one
	return true
}

// running is the drill that runs, nil when none does.
func (d *drills) running() *drill.Drill {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.run
}

// publish shows how far a drill is.
func (d *drills) publish(r *drill.Report) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.report = r
}

// last is the report of the last drill, nil before there was one.
func (d *drills) last() *drill.Report {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.report
}

// holdWork has lanes leave what changed files ask for waiting; it is false when they do so already.
func (d *drills) holdWork(on bool) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	was := d.hold
	d.hold = on
	return was != on
}

func (d *drills) holdsWork() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.hold
}

// show adds the drill to a snapshot.
func (d *drills) show(n *Snapshot) {
	d.mu.Lock()
	defer d.mu.Unlock()
	n.Drill, n.Drilling = d.report, d.run != nil
	n.Holding = n.Drilling && d.run.Held()
}

// noteHand notes a command that a person gave. One that stops or heals the whole project ends the
// drill that runs, which heals first.
func (e *Engine) noteHand(c Command) {
	if c.Verb == VerbWatch {
		return
	}
	what := string(c.Verb) + " of " + strings.Join(c.Services, ", ")
	if len(c.Services) == 0 {
		what = string(c.Verb)
	}
	e.drills.intervene(fmt.Sprintf("%s (%s)", what, c.Cause))
	if d := e.drills.running(); d != nil && len(c.Services) == 0 &&
		(c.Verb == VerbHeal || c.Verb == VerbStop || c.Verb == VerbDown) {
		_ = d.Act(drill.ActAbort, "") // it may have ended by now
	}
}

// Drill puts a fault on each service in turn and reports who suffered; see drill.Options. It returns
// once all is healed. When ctx ends it heals first. The error says why the drill did not run to its
// end; the report may be there all the same.
func (e *Engine) Drill(ctx context.Context, o drill.Options) (*drill.Report, error) {
	select {
	case <-e.running:
	case <-ctx.Done():
		return nil, container.WrapErr(ctx.Err(), "drill: the engine is not up yet")
	}
	words := o.Fault
	if words == "" {
		words = "kill"
	}
	f, err := fault.Parse(words, "")
	if err != nil {
		return nil, err
	}
	if why := e.faults.injector.Load().Support.Unavailable(ctx, f.Kind); why != "" {
		return nil, container.Failed("drill "+e.parts.Name+" with "+words, "%s", why)
	}
	if _, err := e.commands.targets(Command{Verb: VerbFault, Services: o.Services}); len(o.Services) > 0 && err != nil {
		return nil, err
	}
	sub := &subject{e: e, cut: o.Cut}
	if o.Load.Command != "" {
		o.Load.Run = func(ctx context.Context) { sub.runLoad(ctx, o.Load.Command) }
	}
	o.Last = e.drills.last()
	d := drill.New(sub, o)
	if !e.drills.begin(d) {
		return nil, container.Failed("drill "+e.parts.Name, "another drill runs")
	}
	defer func() {
		e.drills.begin(nil)
		sub.HoldWork(false)
	}()
	if o.Tap {
		end, err := e.taps.whole(ctx)
		if err != nil {
			return nil, container.WrapErr(err, "drill %s", e.parts.Name)
		}
		defer end() // before another drill can begin
	}
	report, err := d.Run(ctx)
	if report != nil {
		e.state.Record(Record{Kind: "drill", Action: report.Fault, Text: report.Summary(), Err: report.Why})
	}
	return report, err
}

// DrillAct holds, goes on with, or aborts the drill that runs, or has it run a row again.
func (e *Engine) DrillAct(a drill.Act, row string) error {
	d := e.drills.running()
	if d == nil {
		return errors.New("no drill runs")
	}
	defer e.state.Touch()
	return d.Act(a, row)
}

// subject is the engine as a drill sees it.
type subject struct {
	e     *Engine
	cut   bool                   // faults cut connections from before them
	fault atomic.Pointer[string] // id of the one that was injected last
}

var _ drill.Subject = (*subject)(nil)

// Project implements drill.Subject.
func (s *subject) Project() string { return s.e.parts.Name }

// Logs implements drill.Subject.
func (s *subject) Logs() *logs.Store { return s.e.opts.Logs }

// Services implements drill.Subject.
func (s *subject) Services() []drill.Service {
	known := s.e.state.View().Services
	var out []drill.Service
	for _, level := range s.e.project().Order() {
		for _, name := range slices.Sorted(slices.Values(level)) {
			if o := known[name]; o != nil && !o.Leaving && o.Conf.Replicas > 0 && !o.Completed() {
				out = append(out, drilled(o))
			}
		}
	}
	return out
}

// drilled is what a drill knows of a service.
func drilled(o *condition.Service) drill.Service {
	c := &o.Conf.Config
	d := drill.Service{Name: o.Name, Probed: o.Conf.Extra.Probe != "", MayDegrade: o.Conf.Extra.MayDegrade}
	declare(&d, o.Conf)
	if name, ok := strings.CutPrefix(c.NetworkMode, "service:"); ok {
		d.Joins = name
	}
	for _, v := range c.Volumes {
		d.Stateful = d.Stateful || v.Type == "volume" && v.Source != ""
	}
	for _, r := range o.Replicas {
		d.Ports = append(d.Ports, r.Instance.Ports...)
		if len(r.Instance.Check) > 0 {
			d.HealthSpan = healthSpan(o)
		}
	}
	return d
}

// declare adds whom a service calls and follows by the file.
func declare(d *drill.Service, s *project.Service) {
	d.Calls = s.Extra.Calls
	for _, name := range slices.Sorted(maps.Keys(s.DependsOn)) {
		dep := s.DependsOn[name]
		if dep.Restart {
			d.Follows = append(d.Follows, name)
		}
		if dep.Condition != "service_completed_successfully" {
			d.DependsOn = append(d.DependsOn, name)
		}
	}
	for _, l := range s.Config.Links {
		name, _, _ := strings.Cut(l, ":")
		d.Links = append(d.Links, name)
	}
}

// healthSpan is how long a healthcheck takes to find a service unhealthy: interval times retries, as
// the file has them, else as engines do.
func healthSpan(o *condition.Service) time.Duration {
	interval, retries := 30*time.Second, uint64(3)
	if h := o.Conf.Config.HealthCheck; h != nil {
		if h.Interval != nil {
			interval = time.Duration(*h.Interval)
		}
		if h.Retries != nil && *h.Retries > 0 {
			retries = *h.Retries
		}
	}
	return interval * time.Duration(retries)
}

// Stands implements drill.Subject.
func (s *subject) Stands() ([]drill.Stand, <-chan struct{}) {
	v, moved := s.e.state.Moved()
	var out []drill.Stand
	for _, name := range v.Services.Names() {
		o := v.Services[name]
		if o.Conf.Replicas == 0 || o.Completed() && !o.Conf.Restarts() {
			continue
		}
		for _, r := range o.Replicas {
			in := r.Instance
			out = append(out, drill.Stand{Service: name, Replica: r.Number, Identity: in.Identity, PID: in.Pid, State: r.State, Live: r.Live(),
				Health: r.Health(), ExitCode: in.ExitCode, TimedOut: in.HealthExit < 0, Ready: o.Ready()})
		}
	}
	return out, moved
}

// faultLasts is for how long faults of a drill heal by themselves if the drill does not: far longer
// than any hold.
const faultLasts = fault.MaxFor

// Inject implements drill.Subject.
func (s *subject) Inject(ctx context.Context, name, words string) (func(context.Context) error, error) {
	e := s.e
	f, err := fault.Parse(words, name)
	if err != nil {
		return nil, err
	}
	f.For, f.Why, f.Cut = faultLasts, "the drill", s.cut
	active, err := e.faults.injector.Load().Inject(ctx, f)
	if err != nil {
		return nil, err
	}
	s.fault.Store(&active.Fault.ID)
	return func(ctx context.Context) error {
		if err := e.faults.injector.Load().Heal(ctx, active.Fault.ID); err != nil {
			return err
		}
		// What a crash ended and no policy brings back is started like what was killed.
		o := e.state.View().Services[name]
		down := o != nil && !o.Conf.Restarts() && o.Count(func(r *condition.Replica) bool { return r.Instance.State == StateExited }) > 0
		if !down {
			return nil
		}
		return e.commands.do(ctx, Command{Verb: VerbUp, Services: []string{name}, Cause: "the drill"})
	}, nil
}

// Kept implements drill.Subject.
func (s *subject) Kept() int {
	id, n := s.fault.Load(), 0
	for _, a := range s.e.faults.injector.Load().Active() {
		if id != nil && a.Fault.ID == *id {
			n += a.Kept
		}
	}
	return n
}

// Probe implements drill.Subject. Of several replicas it asks one after the other.
func (s *subject) Probe(ctx context.Context, name string) error {
	o := s.e.state.View().Services[name]
	var ids []string
	if o != nil {
		for _, r := range o.Replicas {
			if r.Live() {
				ids = append(ids, r.Instance.ID)
			}
		}
	}
	if len(ids) == 0 {
		return fmt.Errorf("%s does not run", name)
	}
	return probe.Ask(ctx, s.e.parts.Runtime, ids[int(time.Now().UnixNano()/int64(time.Millisecond))%len(ids)], o.Conf.Extra.Probe)
}

// Tapped implements drill.Subject.
func (s *subject) Tapped(ctx context.Context, take func(drill.Tapped)) {
	s.e.taps.follow(ctx, func(all []fault.Tapped) {
		for i := range all {
			take(tappedFor(&all[i]))
		}
	})
}

// HoldWork implements drill.Subject.
func (s *subject) HoldWork(on bool) {
	if !s.e.drills.holdWork(on) {
		return
	}
	if !on {
		for _, l := range s.e.parts.Lanes.List() {
			l.Nudge()
		}
	}
	s.e.state.Touch()
}

// Hands implements drill.Subject.
func (s *subject) Hands(since time.Time) []string { return s.e.drills.since(since) }

// Starved implements drill.Subject.
func (s *subject) Starved(_, _ time.Time) bool {
	busy := s.e.opts.Machine
	return busy != nil && busy().Starved()
}

// runLoad runs the command that makes requests while a drill runs. The person typed it, which is
// the yes to it.
func (s *subject) runLoad(ctx context.Context, command string) {
	typed := hostcmd.Terms{Kind: "load", Place: "--load-cmd", Command: command}
	trust := hostcmd.OpenTrust("", s.e.parts.Dir)
	trust.AllowRun(typed)
	err := hostcmd.Run(ctx, trust, hostcmd.Command{Dir: s.e.parts.Dir, Shell: command, Terms: typed}, func(string) {})
	if err != nil && ctx.Err() == nil {
		s.e.state.Warn("load of the drill: " + firstLine(err))
	}
}

// Publish implements drill.Subject.
func (s *subject) Publish(r *drill.Report) {
	s.e.drills.publish(r)
	s.e.state.Touch()
}
