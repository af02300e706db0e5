// Package state owns what is known of a running project: its services and their replicas, what their
// lanes are at, what happened to them, the builds, the ledgers, and the events. It has one lock, and
// everything changes through its methods, which take in what happened (a container was seen, a task
// began, a build moved on) and do nothing else. Readers take a Snapshot, which nobody writes to
// again, or wait for a View; Subscribe says when to look. The engine's lanes, its event stream and
// its steps call it; it calls nobody, but says with its answers what has to follow.
package state

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"bulkhead/engine/condition"
	"bulkhead/engine/container"
	"bulkhead/engine/fault"
	"bulkhead/engine/hostcmd"
	"bulkhead/engine/logs"
	"bulkhead/engine/machine"
	"bulkhead/engine/project"
	"bulkhead/engine/tail"
)

const (
	keptRecords = 5000 // for followers of --plain and --json that lag
	shownEvents = 500  // of them in a snapshot
	keptBuilds  = 50
	keptLines   = 500 // output lines of one build
	keptChanges = 20
)

// Lives keeps the numbers and the logs of the lives of containers. It is called with the state
// locked, so that it sees them in their order: it must neither block nor call back.
type Lives interface {
	// Generation numbers a life; one that was seen before has its old number.
	Generation(service string, replica int, in container.Instance) int
	// Unhooked says whether a container's post_start hooks have still to succeed.
	Unhooked(id string) bool
	Observe(s tail.Sighting)
	// Gone is called with a container that is gone, and with slot when the replica goes with it.
	Gone(r tail.Replica, id string, slot bool)
}

// Options are the parts of a State.
type Options struct {
	Lives  Lives
	Caps   container.Caps
	Faults func() []fault.Active // those in force, oldest first; nil: none
	// Others adds to a snapshot what is kept elsewhere. It is called with the state locked; nil: nothing.
	Others func(*Snapshot)
	// Called lists the services that one was seen to call. It is called with the state locked; nil: that is not known.
	Called func(service string) []string
	// Machine says how busy the machine of the containers is; nil: that is not known.
	Machine func() machine.Load
	// Logs are what the services said, in which likely causes are looked for too; nil: that is not known.
	Logs *logs.Store
	// Quiet keeps what is found at the start out of the events, and never says that all is ready: for
	// an engine that takes the project as it is.
	Quiet bool
}

// State is that of one project. Its methods, and those of its parts, may be called from any goroutine.
type State struct {
	o        Options
	bell     bell
	Builds   Builds
	Ledgers  Ledgers
	Watching Watching

	mu        sync.Mutex
	p         *project.Project // replaced whole when a changed file is applied
	name      string
	info      container.Info
	services  map[string]*Member
	known     condition.Services // the same, as condition judges them
	records   []Record
	recSeq    uint64
	past      past
	plan      string
	phase     Phase  // never PhaseLost
	lost      bool   // the connection to the runtime is gone
	begun     uint64 // Seq of the last record before the project began to run
	losses    int    // how often the runtime was lost
	began     time.Time
	readyIn   time.Duration
	ready     bool
	untrusted []hostcmd.Terms // that nobody has allowed
	unsaved   string          // why the journal cannot be written; "" while it can
	reload    *Reload
	orphaned  []Orphan
	warnings  []string
	seq       uint64
	snap      *Snapshot
	view      *View
	moved     chan struct{} // closed and replaced at every change
}

// New makes the state of a project of which nothing has been seen yet.
func New(p *project.Project, o Options) *State {
	st := &State{o: o, name: p.Name, moved: make(chan struct{}), phase: PhaseStarting, began: time.Now()}
	st.Builds.st, st.Ledgers.st, st.Watching.st = st, st, st
	for _, w := range p.Warnings {
		st.warnings = append(st.warnings, w.String())
	}
	st.Attach(p)
	return st
}

// Attach makes a project the one that runs, before anything of it does.
func (st *State) Attach(p *project.Project) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.p, st.services, st.known = p, map[string]*Member{}, condition.Services{}
	for _, conf := range p.Services {
		st.addLocked(conf)
	}
	st.bump()
}

// Apply makes a changed project the one that runs, and takes back that one waits to be applied. Its
// new services are added.
func (st *State) Apply(p *project.Project) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.p, st.reload = p, nil
	for _, conf := range p.Services {
		if st.services[conf.Name] == nil {
			st.addLocked(conf)
		}
	}
	st.bump()
}

func (st *State) addLocked(conf *project.Service) {
	s := newMember(st, conf)
	st.services[conf.Name], st.known[conf.Name] = s, &s.c
}

// Project is the project as it is wanted now.
func (st *State) Project() *project.Project {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.p
}

// Began is when the state was made.
func (st *State) Began() time.Time { return st.began }

// Member returns a service by its name, nil when there is none.
func (st *State) Member(name string) *Member {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.services[name]
}

// bump marks the state as changed: readers and waiters look again. Callers hold mu.
func (st *State) bump() {
	st.seq++
	st.snap, st.view = nil, nil
	close(st.moved)
	st.moved = make(chan struct{})
	st.bell.ring()
}

// Touch has readers and waiters look again, because something that they look at beside the state changed.
func (st *State) Touch() {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.bump()
}

// Subscribe returns a channel of capacity one that holds a token whenever something changed since
// it was last taken: state, records or logs. Call stop when done with it.
func (st *State) Subscribe() (changed <-chan struct{}, stop func()) { return st.bell.subscribe() }

// Ring hands subscribers their token, because logs changed.
func (st *State) Ring() { st.bell.ring() }

// View is the services as condition judges them, at one moment. Nobody writes to it again.
type View struct {
	Services condition.Services
	Phase    Phase
	Doing    map[string]string // what lanes are at, where they say
}

// viewLocked is the state as waiters look at it. Callers hold mu.
func (st *State) viewLocked() *View {
	if st.view != nil {
		return st.view
	}
	v := &View{Services: make(condition.Services, len(st.services)), Phase: st.phaseLocked(),
		Doing: map[string]string{}}
	for name, s := range st.services {
		c := s.c
		c.Replicas = make([]*condition.Replica, len(s.c.Replicas))
		for i, r := range s.c.Replicas {
			one := *r
			c.Replicas[i] = &one
		}
		v.Services[name] = &c
		if s.Lane.doing != "" {
			v.Doing[name] = s.Lane.doing
		}
	}
	st.view = v
	return v
}

// View is the services at this moment.
func (st *State) View() *View {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.viewLocked()
}

// Moved is View with a channel that is closed at the next change.
func (st *State) Moved() (*View, <-chan struct{}) {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.viewLocked(), st.moved
}

// Await blocks until done says so, looking again at every change.
func (st *State) Await(ctx context.Context, done func(*View) (bool, error)) error {
	return st.AwaitUntil(ctx, func(v *View) (bool, time.Time, error) {
		over, err := done(v)
		return over || err != nil, time.Time{}, err
	})
}

// AwaitUntil blocks until look says that it is over, looking again at every change, and at the time
// that look returned last unless that is zero.
func (st *State) AwaitUntil(
	ctx context.Context, look func(*View) (over bool, next time.Time, err error),
) error {
	for {
		st.mu.Lock()
		v, moved := st.viewLocked(), st.moved
		st.mu.Unlock()
		over, next, err := look(v)
		if over {
			return err
		}
		var limit <-chan time.Time
		stop := func() bool { return true }
		if !next.IsZero() {
			t := time.NewTimer(time.Until(next))
			limit, stop = t.C, t.Stop
		}
		select {
		case <-moved:
		case <-limit:
		case <-ctx.Done():
			stop()
			return ctx.Err()
		}
		stop()
	}
}

// record keeps one event. Callers hold mu.
func (st *State) record(r Record) {
	st.recSeq++
	r.Seq = st.recSeq
	if r.Time.IsZero() {
		r.Time = time.Now()
	}
	st.records = append(st.records, r)
	st.past.keep(r)
	if len(st.records) > 2*keptRecords {
		st.records = append([]Record(nil), st.records[len(st.records)-keptRecords:]...)
	}
	st.bump()
}

// Record keeps one event. Its Seq is set, and its Time where it has none.
func (st *State) Record(r Record) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.record(r)
}

// Notice records one line for people under a word for scripts.
func (st *State) Notice(word, text string) {
	st.Record(Record{Kind: "notice", Notice: word, Text: text})
}

// Warn shows something that the user should know and that stops nothing.
func (st *State) Warn(text string) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if !slices.Contains(st.warnings, text) {
		st.warnings = append(st.warnings, text)
	}
	st.record(Record{Kind: "notice", Notice: "warning", Text: text})
}

// Records returns the records after since, oldest first, and how many of them are no longer kept (the last 5,000 are).
func (st *State) Records(since uint64) (recs []Record, missed int) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if len(st.records) == 0 || since >= st.recSeq {
		return nil, 0
	}
	first := st.records[0].Seq
	if since+1 < first {
		missed = int(first - since - 1)
		since = first - 1
	}
	return append([]Record(nil), st.records[since+1-first:]...), missed
}

// SetInfo notes who the runtime is.
func (st *State) SetInfo(info container.Info) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.info = info
	st.bump()
}

// SetPhase notes what the engine as a whole is doing.
func (st *State) SetPhase(p Phase) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.phase = p
	st.bump()
}

// phaseLocked is the phase as it is shown: while the connection is lost nothing else is known to go on.
// Callers hold mu.
func (st *State) phaseLocked() Phase {
	if st.lost {
		return PhaseLost
	}
	return st.phase
}

// StopOver notes that a stop of the whole project is over. The engine goes on, so that what is started again comes up
// as after the first time.
func (st *State) StopOver() {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.phase == PhaseStopping {
		st.phase = PhaseRunning
		st.bump()
	}
}

// Lost notes that the connection to the runtime is gone; why may be nil.
func (st *State) Lost(why error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.lost {
		return
	}
	st.lost = true
	st.losses++
	text := "the connection to the engine is gone; trying again"
	switch {
	case errors.Is(why, container.ErrSilent):
		text = "waiting for the engine, which does not answer"
	case why != nil:
		text += ": " + container.FirstLine(why.Error())
	}
	st.record(Record{Kind: "notice", Notice: "lost", Text: text})
}

// Losses is how often the connection to the runtime was lost so far.
func (st *State) Losses() int {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.losses
}

// Found notes that the connection to the runtime is there again. It is false when it was not lost.
func (st *State) Found() bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	if !st.lost {
		return false
	}
	st.lost = false
	st.record(Record{Kind: "notice", Notice: "found", Text: "connected to the engine again"})
	return true
}

// Begin notes that the project begins to run: what is recorded from now on comes from this up.
func (st *State) Begin() {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.phase, st.Watching.status.Mode, st.begun = PhaseRunning, project.Auto, st.recSeq
	st.bump()
}

// Planned notes the first plan.
func (st *State) Planned(plan string, steps int) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.plan = plan
	what := "plan of 1 step"
	if steps != 1 {
		what = fmt.Sprintf("plan of %d steps", steps)
	}
	st.record(Record{Kind: "plan", What: what, Text: plan})
}

// Orphans notes containers that are left alone: strays, because the file does not name their service, and
// one-offs that have ended.
func (st *State) Orphans(strays, ended []container.Instance) {
	var left []Orphan
	var names, over []string
	for _, in := range strays {
		left, names = append(left, Orphan{Name: in.Name, Files: in.Files}), append(names, in.Name)
	}
	for _, in := range ended {
		over = append(over, in.Name)
	}
	st.mu.Lock()
	st.orphaned = left
	st.mu.Unlock()
	var what []string
	count := func(names []string, one, many string) {
		switch n := len(names); {
		case n == 1:
			what = append(what, fmt.Sprintf("1 container %s (%s)", one, names[0]))
		case n > 1:
			what = append(what, fmt.Sprintf("%d containers %s (%s)", n, many, strings.Join(names, ", ")))
		}
	}
	count(names, "belongs to a service that the file does not name", "belong to services that the file does not name")
	count(over, "of a run has ended and is still there", "of runs have ended and are still there")
	them := "them"
	switch len(names) + len(over) {
	case 0:
		return
	case 1:
		them = "it"
	}
	st.Warn(fmt.Sprintf("%s; --remove-orphans removes %s", strings.Join(what, ", "), them))
}

// SetReload notes a changed Compose file that waits to be applied, or does not load; nil: none. It is
// false when that was so already.
func (st *State) SetReload(r *Reload) bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	if r == nil && st.reload == nil || r != nil && r.Err != "" && st.reload != nil && st.reload.Err == r.Err {
		return false
	}
	st.reload = r
	st.bump()
	return true
}

// SetUnsaved notes why what outlives the process cannot be written at present; "" where it can.
func (st *State) SetUnsaved(why string) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.unsaved = why
	st.bump()
}

// SetUntrusted notes the host commands that nobody has allowed.
func (st *State) SetUntrusted(missing []hostcmd.Terms) {
	st.mu.Lock()
	defer st.mu.Unlock()
	same := func(a, b hostcmd.Terms) bool {
		return a.ID() == b.ID() && a.Place == b.Place && a.Service == b.Service
	}
	if !slices.EqualFunc(missing, st.untrusted, same) {
		st.untrusted = missing
		st.bump()
	}
}

// checkReady notes when every service is ready: one in a row of crashes is that again once a life lasts.
// Callers hold mu.
func (st *State) checkReady() {
	for _, s := range st.known {
		if !s.Ready() || s.Count((*condition.Replica).Crashing) > 0 {
			st.ready = false
			return
		}
	}
	if st.ready || st.phaseLocked() != PhaseRunning || st.o.Quiet {
		return
	}
	st.ready = true
	text := Count(len(st.services))
	if st.readyIn == 0 {
		st.readyIn = time.Since(st.began)
		st.record(Record{Kind: "notice", Notice: "ready", Text: fmt.Sprintf("ready: %s in %s", text,
			container.Brief(st.readyIn)),
			Stages: []Stage{{Name: "ready", Took: st.readyIn}}})
	} else {
		st.record(Record{Kind: "notice", Notice: "ready", Text: "ready: " + text})
	}
}

// Count writes a number of services.
func Count(n int) string {
	if n == 1 {
		return "1 service"
	}
	return fmt.Sprintf("%d services", n)
}

// Snapshot is the state now. It never blocks on work in progress.
func (st *State) Snapshot() *Snapshot {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.snap != nil {
		return st.snap
	}
	n := &Snapshot{
		Seq: st.seq, Time: time.Now(), Project: st.name, Dir: st.p.Dir, Files: st.p.Files,
		Profiles: st.p.Profiles,
		Runtime:  st.info, Caps: st.o.Caps, Disabled: st.p.Disabled, Watch: st.Watching.status,
		Plan: st.plan, Begun: st.begun, Ready: st.ready, ReadyIn: st.readyIn,
		Past:  st.past.before,
		Phase: st.phaseLocked(), Untrusted: st.untrusted, Unsaved: st.unsaved, Reload: st.reload,
		Orphans: st.orphaned, Warnings: slices.Clone(st.warnings),
		Records: slices.Clone(st.records[max(0, len(st.records)-shownEvents):]),
	}
	n.Watch.Notices = slices.Clone(st.Watching.status.Notices)
	for _, b := range st.Builds.all {
		n.Builds = append(n.Builds, *b)
	}
	n.Ledgers = st.Ledgers.all.Copies()
	if st.o.Faults != nil {
		n.Faults = st.o.Faults()
	}
	for _, name := range slices.Sorted(maps.Keys(st.services)) {
		n.Services = append(n.Services, st.services[name].snapshot(st.info.MemTotal))
	}
	if st.o.Others != nil {
		st.o.Others(n)
	}
	st.snap = n
	return n
}
