package drill

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"bulkhead/engine/container"
)

// Options say what a drill does. The zero value kills every service without named volumes.
type Options struct {
	Services []string      `json:"services,omitempty"` // that get the fault; none: all, see Stateful
	Fault    string        `json:"fault,omitempty"`    // as `bulkhead fault` takes it; "": kill
	Hold     time.Duration `json:"hold,omitempty"`     // how long the fault lasts; 0: DefaultHold
	// how long everybody may take to recover; 0: DefaultSettle
	Settle         time.Duration `json:"settle,omitempty"`
	Repeat         int           `json:"repeat,omitempty"` // how often each row is run; 0: once
	Load           Load          `json:"load"`
	Tap            bool          `json:"tap,omitempty"`      // the calls between services are looked at
	Cut            bool          `json:"cut,omitempty"`      // the fault cuts connections from before it
	Stateful       bool          `json:"stateful,omitempty"` // services with named volumes get the fault too
	AllowUnhealthy bool          `json:"allow_unhealthy,omitempty"`
	// run the rows of Services once more, in the last report
	Onto bool `json:"onto,omitempty"`

	Last *Report `json:"-"` // of Onto
}

// The times of a drill that sets none, and the least time of a baseline.
const (
	DefaultHold   = 10 * time.Second
	DefaultSettle = 60 * time.Second
	leastBaseline = 10 * time.Second
)

// ErrUnhealthy is why a drill did not run: somebody is unhealthy while nothing is done to anybody.
var ErrUnhealthy = errors.New("a service is unhealthy before anything is done to it")

// Act is what a person does to a drill that runs.
type Act string

const (
	ActHold  Act = "hold"  // stop after this row, or go on
	ActAgain Act = "again" // run a row again, after those that wait
	ActAbort Act = "abort" // heal, and end
)

// Drill is one run. Make it with New and call Run once; Act may be called from any goroutine.
type Drill struct {
	s    Subject
	o    Options
	book *book

	mu     sync.Mutex
	report *Report
	quiet  []span // the baselines so far
	held   bool
	moved  chan struct{} // capacity 1: Act was called
	abort  context.CancelCauseFunc

	// Run's goroutine alone uses these.
	runs  map[int][]Row                 // of the rows that are through
	lives map[string]container.Identity // of each replica, by "service/1", as last seen
}

var errAborted = errors.New("aborted")

// New makes a drill.
func New(s Subject, o Options) *Drill {
	if o.Fault == "" {
		o.Fault = "kill"
	}
	if o.Hold <= 0 {
		o.Hold = DefaultHold
	}
	if o.Settle <= 0 {
		o.Settle = DefaultSettle
	}
	o.Repeat = max(o.Repeat, 1)
	return &Drill{s: s, o: o, book: &book{all: map[string]*series{}}, moved: make(chan struct{}, 1),
		runs: map[int][]Row{}, lives: map[string]container.Identity{}}
}

// Run carries the drill out and returns its report. When ctx ends it heals first. The report is nil
// when the drill could not begin.
func (d *Drill) Run(ctx context.Context) (*Report, error) {
	services := d.s.Services()
	r, err := d.plan(services)
	if err != nil {
		return nil, err
	}
	ports := portsOf(services)
	note, err := d.o.Load.checkTarget(ctx, ports)
	if err != nil {
		return nil, err
	}
	if note != "" {
		r.Notes = append(r.Notes, note)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	d.mu.Lock()
	d.report, d.abort = r, cancel
	d.mu.Unlock()
	watch, stop := context.WithCancel(context.WithoutCancel(ctx)) // what heals is still looked at
	o := &observer{s: d.s, book: d.book, load: d.o.Load, ports: ports,
		timeout: probeTimeout(services)}
	o.start(watch, services)
	defer func() { stop(); o.wait() }()
	d.publish()

	err = d.rows(ctx, services)
	d.s.HoldWork(false)
	d.change(func(r *Report) {
		r.TookMS = time.Since(r.Began).Milliseconds()
		r.Phase = PhaseDone
		switch {
		case errors.Is(err, ErrUnhealthy):
			r.Phase, r.Why = PhaseAborted, err.Error()
		case err != nil:
			r.Phase, r.Why = PhaseAborted, "aborted, and healed"
		}
		for i := range r.Rows {
			if row := &r.Rows[i]; row.Phase != PhaseDone {
				row.Phase, row.Verdict, row.Why = PhaseDone, Failed, "not run: "+r.Why
			}
		}
	})
	out := d.Report()
	if errors.Is(err, ErrUnhealthy) && !slices.ContainsFunc(out.Rows, func(r Row) bool {
		return r.Verdict != Failed
	}) {
		return out, err
	}
	if err != nil && !errors.Is(err, ErrUnhealthy) {
		return out, err
	}
	return out, nil
}

// plan decides on rows and columns.
func (d *Drill) plan(services []Service) (*Report, error) {
	r := &Report{Schema: Schema, Project: d.s.Project(), Fault: d.o.Fault, Began: time.Now(),
		Phase: PhaseBaseline, Repeat: d.o.Repeat,
		HoldMS: d.o.Hold.Milliseconds(), SettleMS: d.o.Settle.Milliseconds(), Load: d.o.Load.String(),
		Edges:    edges(services),
		Baseline: []Baseline{}, Rows: []Row{}, Services: []string{}}
	var left, joined []string
	for _, s := range services {
		r.Services = append(r.Services, s.Name)
		named := slices.Contains(d.o.Services, s.Name)
		switch {
		case len(d.o.Services) > 0 && !named:
			continue
		case !named && s.Stateful && !d.o.Stateful:
			left = append(left, s.Name)
			continue
		case named && s.Stateful && !d.o.Stateful:
			return nil, container.WithRemedy(container.Failed("drill "+s.Name,
				"it has named volumes"), "--stateful allows faults on it")
		case !named && s.Joins != "":
			joined = append(joined, s.Name+" with "+s.Joins)
			continue
		}
		row := Row{Killed: s.Name, Phase: PhaseQueued, Repeat: d.o.Repeat, Cells: []Cell{}}
		for _, o := range services {
			if o.Joins == s.Name {
				row.With = append(row.With, o.Name)
			}
		}
		r.Rows = append(r.Rows, row)
	}
	slices.Reverse(r.Rows) // first those that nobody needs, as a person reads it
	slices.Reverse(r.Services)
	if last := d.o.Last; d.o.Onto && last != nil && last.Fault == r.Fault &&
		slices.Equal(last.Services, r.Services) {
		return again(last, r.Rows), nil
	}
	if len(left) > 0 {
		r.Notes = append(r.Notes, "left out, because they have named volumes (--stateful): "+
			strings.Join(left, ", "))
	}
	if len(joined) > 0 {
		r.Notes = append(r.Notes, "in one row, because they share a network: "+strings.Join(joined, ", "))
	}
	if r.Load == "" {
		r.Notes = append(
			[]string{"no load of its own: only probes ask the services; --load URL@RATE makes requests"}, r.Notes...)
	}
	if len(r.Rows) == 0 {
		why := "no service runs"
		if len(left) > 0 {
			why = "every service has named volumes; --stateful allows faults on them"
		}
		return nil, container.Failed("drill "+r.Project, "%s", why)
	}
	return r, nil
}

// again is an earlier report with some of its rows to run once more.
func again(last *Report, rows []Row) *Report {
	r := last.clone()
	r.Phase, r.Why = PhaseBaseline, ""
	for _, row := range rows {
		if i := slices.IndexFunc(r.Rows, func(o Row) bool { return o.Killed == row.Killed }); i >= 0 {
			r.Rows[i] = row
		} else {
			r.Rows = append(r.Rows, row)
		}
	}
	return r
}

// rows runs all rows, and those that a person wants again.
func (d *Drill) rows(ctx context.Context, services []Service) error {
	for {
		i := d.next()
		if i < 0 {
			return nil
		}
		if err := d.whileHeld(ctx); err != nil {
			return err
		}
		d.change(func(r *Report) {
			r.Phase = PhaseRunning
			r.Rows[i].Verdict, r.Rows[i].Why, r.Rows[i].Cells, r.Rows[i].BackInMS, r.Rows[i].Runs,
				r.Rows[i].Events, r.Rows[i].Notes = VerdictUnknown, "", []Cell{}, nil, nil, nil, nil
		})
		var runs []Row
		var err error
		for n := 0; n < d.o.Repeat && err == nil; n++ {
			var row Row
			row, err = d.undisturbed(ctx, services, i)
			runs = append(runs, row)
		}
		d.s.HoldWork(false)
		d.runs[i] = runs
		d.change(func(r *Report) {
			done := merge(runs)
			done.Phase, done.Until = PhaseDone, ""
			r.Rows[i] = done
		})
		if err != nil {
			return err
		}
	}
}

// judgeAgain judges the rows that are through by what is known now.
func (d *Drill) judgeAgain() {
	for i, runs := range d.runs {
		for n := range runs {
			runs[n] = d.judge(runs[n])
		}
		d.change(func(r *Report) {
			if r.Rows[i].Phase == PhaseDone {
				r.Rows[i] = merge(runs)
				r.Rows[i].Phase = PhaseDone
			}
		})
	}
}

// next is the row to run now, -1 when none is left.
func (d *Drill) next() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := range d.report.Rows {
		if d.report.Rows[i].Phase == PhaseQueued {
			return i
		}
	}
	return -1
}

// whileHeld waits between two rows for as long as a person wants.
func (d *Drill) whileHeld(ctx context.Context) error {
	for {
		d.mu.Lock()
		held := d.held
		d.mu.Unlock()
		if !held {
			return ctx.Err()
		}
		d.change(func(r *Report) { r.Phase = PhaseHeld })
		select {
		case <-d.moved:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Act does something to the drill while it runs. row is the killed service of ActAgain.
func (d *Drill) Act(a Act, row string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.report == nil || d.report.Over() {
		return errors.New("no drill runs")
	}
	switch a {
	case ActHold:
		d.held = !d.held
	case ActAbort:
		d.abort(errAborted)
	case ActAgain:
		i := slices.IndexFunc(d.report.Rows, func(r Row) bool { return r.Killed == row })
		if i < 0 || d.report.Rows[i].Phase != PhaseDone {
			return fmt.Errorf("row %s is not through yet", row)
		}
		d.report.Rows[i].Phase = PhaseQueued
	default:
		return fmt.Errorf("%q is nothing to do to a drill", a)
	}
	select {
	case d.moved <- struct{}{}:
	default:
	}
	return nil
}

// Held says whether a person has the drill wait after the row that runs.
func (d *Drill) Held() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.held
}

// Report is how far the drill is, nil before it began.
func (d *Drill) Report() *Report {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.report == nil {
		return nil
	}
	return d.report.clone()
}

// change changes the report and hands it out.
func (d *Drill) change(f func(*Report)) {
	d.mu.Lock()
	f(d.report)
	d.mu.Unlock()
	d.publish()
}

func (d *Drill) publish() { d.s.Publish(d.Report()) }
