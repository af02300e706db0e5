package engine

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"bulkhead/engine/container"
	"bulkhead/engine/fault"
	"bulkhead/engine/filesync"
	"bulkhead/engine/journal"
	"bulkhead/engine/logs"
	"bulkhead/engine/project"
	"bulkhead/engine/step"
	"bulkhead/engine/tail"
	"bulkhead/watch"
)

const (
	keptRecords = 5000 // for followers of --plain and --json that lag
	shownEvents = 500  // of them in a snapshot
	keptBuilds  = 50
	keptLines   = 500 // output lines of one build
	keptChanges = 20
)

// Engine runs one project. Make it with New, give Run a goroutine, and use the other methods from any goroutine.
type Engine struct {
	opts  Options
	rt    *container.Complete
	files *watch.Watcher
	tail  *tail.Tailer

	journal *journal.Journal // what outlives the process; set, like sync, before lanes start
	sync    *filesync.Syncer

	steps    *step.Runner
	prepares chan struct{} // slots for prepare commands
	images   *images
	// launch runs f in the background until it returns, or at the latest until Run ends; set by Run
	// before anything needs it.
	launch  func(name string, f func(context.Context) error)
	running chan struct{} // closed once lanes take work

	name string // of the project
	dir  string

	mu        sync.Mutex
	p         *project.Project // replaced whole when a changed file is applied
	info      Info
	svcs      map[string]*service
	resources map[string]*resource // networks and volumes, by kind and key
	records   []Record
	recSeq    uint64
	builds    []*Build
	buildSeq  int
	ledgers   fault.Ledgers
	incidents []fault.Event // the latest, oldest first
	watching  WatchStatus
	plan      string
	phase     Phase
	began     time.Time
	readyIn   time.Duration
	ready     bool
	reload    *Reload
	loaded    *project.Project // the project that Reload would apply; nil when it does not load
	orphaned  []string
	warnings  []string
	attention Attention
	look      chan struct{} // capacity 1: attention changed
	seq       uint64
	snap      *Snapshot
	moved     chan struct{} // closed and replaced at every change of state
	bell      bell
}

// New makes an engine; it asks the runtime nothing yet. A nil Logs gets a store of the default size.
func New(o Options) *Engine {
	if o.Logs == nil {
		o.Logs = logs.New(logs.Options{})
	}
	switch {
	case o.LogTail == 0:
		o.LogTail = 1000
	case o.LogTail < 0:
		o.LogTail = 0
	}
	e := &Engine{
		opts: o, rt: container.Completed(o.Runtime), p: o.Project, name: o.Project.Name, dir: o.Project.Dir,
		prepares:  make(chan struct{}, max(2, runtime.NumCPU())),
		running:   make(chan struct{}),
		look:      make(chan struct{}, 1),
		svcs:      map[string]*service{},
		resources: map[string]*resource{},
		moved:     make(chan struct{}),
		phase:     PhaseStarting,
		began:     time.Now(),
	}
	e.tail = newTailer(e)
	e.images = &images{e: e}
	for _, s := range e.p.Services {
		e.svcs[s.Name] = newService(e, s)
	}
	for _, w := range e.p.Warnings {
		e.warnings = append(e.warnings, w.String())
	}
	return e
}

// Run brings the project up and keeps it: it watches files, follows events and logs, and carries
// out commands, until ctx ends. It returns after its last goroutine ended and leaves the containers
// as they are: whoever wants them stopped says so with Do (VerbStop or VerbDown) before ending ctx.
// The error wraps ErrNoEngine when nothing answered at the start.
func (e *Engine) Run(ctx context.Context) error {
	info, err := e.rt.Info(ctx)
	if err != nil {
		return err
	}
	e.mu.Lock()
	e.info = info
	e.bump()
	e.mu.Unlock()
	e.openJournal(info.ID)

	// A panic in any of these becomes Run's error, so that the caller can give the terminal back.
	g, gctx := errgroup.WithContext(ctx)
	e.launch = func(name string, f func(context.Context) error) {
		g.Go(func() error { return guarded(name, func() error { return f(gctx) }) })
	}
	seenFrom := time.Now()
	instances, err := e.rt.Instances(ctx, e.name)
	if err != nil {
		return wrapErr(err, "look at project %s", e.name)
	}
	e.adoptAll(instances)
	e.launch("events", func(ctx context.Context) error { return e.followEvents(ctx, seenFrom) })
	if !e.opts.NoStats {
		e.launch("stats", func(ctx context.Context) error { return e.readStats(ctx) })
	}
	e.launch("ledgers", func(ctx context.Context) error { return e.keepLedgers(ctx) })
	if !e.opts.NoWatch {
		if err := e.startWatching(); err != nil {
			return fmt.Errorf("watch files: %w", err)
		}
	}
	e.bringUp(gctx, instances)
	close(e.running)
	<-gctx.Done()
	err = g.Wait()
	if e.buildSeq > 0 {
		// A build that was cancelled may have come to its end in the engine all the same.
		tidy, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		e.images.clean(tidy)
		cancel()
	}
	e.mu.Lock()
	e.phase = PhaseStopped
	e.bump()
	e.mu.Unlock()
	if flush := e.journal.Flush(); err == nil {
		err = flush
	}
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		return nil
	}
	return err
}

// project is the project as it is wanted now. It is not for those who hold mu.
func (e *Engine) project() *project.Project {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.p
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

// bump marks the state as changed: readers and waiters look again. Callers hold mu.
func (e *Engine) bump() {
	e.seq++
	e.snap = nil
	close(e.moved)
	e.moved = make(chan struct{})
	e.bell.ring()
}

// Subscribe returns a channel of capacity one that holds a token whenever something changed since
// it was last taken: state, records or logs. Call stop when done with it.
func (e *Engine) Subscribe() (changed <-chan struct{}, stop func()) { return e.bell.subscribe() }

// await blocks until done says so, looking again at every change of state. done is called with mu held.
func (e *Engine) await(ctx context.Context, done func() (bool, error)) error {
	for {
		e.mu.Lock()
		ok, err := done()
		moved := e.moved
		e.mu.Unlock()
		if ok || err != nil {
			return err
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// record keeps one event. Callers hold mu.
func (e *Engine) record(r Record) {
	e.recSeq++
	r.Seq = e.recSeq
	if r.Time.IsZero() {
		r.Time = time.Now()
	}
	e.records = append(e.records, r)
	if len(e.records) > 2*keptRecords {
		e.records = append([]Record(nil), e.records[len(e.records)-keptRecords:]...)
	}
	e.bump()
}

// notice records one line for people under a word for scripts.
func (e *Engine) notice(word, text string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.record(Record{Kind: "notice", Notice: word, Text: text})
}

// Records returns the records after since, oldest first, and how many of them are no longer kept (the last 5,000 are).
func (e *Engine) Records(since uint64) (recs []Record, missed int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.records) == 0 || since >= e.recSeq {
		return nil, 0
	}
	first := e.records[0].Seq
	if since+1 < first {
		missed = int(first - since - 1)
		since = first - 1
	}
	return append([]Record(nil), e.records[since+1-first:]...), missed
}

// Logs is the project's log store.
func (e *Engine) Logs() *logs.Store { return e.opts.Logs }

// Attention is how closely somebody looks at the readings of CPU, memory and network. The zero
// value wants all of them often.
type Attention struct {
	Away     bool     // the terminal has no focus
	Services []string // those whose readings are seen; nil: all
}

// SetAttention tells the engine whose readings to take often; those of the others are taken now and then, for the sums.
func (e *Engine) SetAttention(a Attention) {
	e.mu.Lock()
	e.attention = a
	e.mu.Unlock()
	select {
	case e.look <- struct{}{}:
	default: // it is going to look anyway
	}
}

// Exec runs a command in a replica of a service (0: the first that runs) and returns its exit code.
func (e *Engine) Exec(ctx context.Context, service string, replica int, o ExecOptions) (int, error) {
	e.mu.Lock()
	s := e.svcs[service]
	id := ""
	if s != nil {
		for _, r := range s.sorted() {
			if (replica == 0 || r.number == replica) && r.inst.State == StateRunning {
				id = r.inst.ID
				break
			}
		}
	}
	e.mu.Unlock()
	switch {
	case s == nil:
		return 0, fmt.Errorf("exec in %s: no such service", service)
	case id == "":
		return 0, fmt.Errorf("exec in %s: it does not run; start it first", service)
	}
	return e.rt.Exec(ctx, id, o)
}
