// Package memory is a container.Runtime in memory, with all optional interfaces,
// for tests. It owns containers whose programs are Go functions, with their files,
// logs, health and events, and keeps time with package time, so that under
// testing/synctest hours pass in milliseconds. Faults are injected by method: slow
// answers, errors, lost events, cut streams, an engine that is gone. It starts no
// process and opens no socket; the conformance suite keeps it like
// the real engine. Tests of the engine and of its rooms call it.
package memory

import (
	"context"
	"fmt"
	"sync"
	"time"

	"bulkhead/engine/container"
)

// Runtime is an engine in memory. Make it with New, and Close it at the end of the
// test: that waits for its last goroutine.
type Runtime struct {
	*engine
	*faults
	*feed
	*provisioner
	*imageStore
	pauser
	renamer
	attacher
	previewer
	meter
	fileWriter
	fileReader
	signalReader
	dialer
	limiter
	lister
	programRestarter
}

var (
	_ container.Runtime      = (*Runtime)(nil)
	_ container.Pauser       = (*Runtime)(nil)
	_ container.Renamer      = (*Runtime)(nil)
	_ container.Provisioner  = (*Runtime)(nil)
	_ container.ImageStore   = (*Runtime)(nil)
	_ container.Attacher     = (*Runtime)(nil)
	_ container.Previewer    = (*Runtime)(nil)
	_ container.Meter        = (*Runtime)(nil)
	_ container.FileWriter   = (*Runtime)(nil)
	_ container.FileReader   = (*Runtime)(nil)
	_ container.SignalReader = (*Runtime)(nil)
	_ container.Dialer       = (*Runtime)(nil)
	_ container.Limiter      = (*Runtime)(nil)
	_ container.Lister       = (*Runtime)(nil)

	_ container.ProgramRestarter = (*Runtime)(nil)
)

// New makes an engine without images, and with the programs of Builtins.
func New() *Runtime {
	e := &engine{
		info: container.Info{
			ID: "memory", Name: "memory", Version: "1", API: "1", Context: "default", Host: "memory",
			OS: "linux", Arch: "amd64", NCPU: 2,
		},
		all:      map[string]*box{},
		programs: Builtins(),
		faults:   &faults{calls: map[string]int{}},
		feed:     &feed{subscribers: map[*subscriber]struct{}{}},
		closed:   make(chan struct{}),
	}
	e.around = &provisioner{e: e, networks: map[string]*network{}, volumes: map[string]*volume{}}
	e.store = &imageStore{e: e, images: map[string]*image{}, names: map[string]string{},
		registry: map[string]Image{}}
	return &Runtime{
		engine: e, faults: e.faults, feed: e.feed, provisioner: e.around, imageStore: e.store,
		pauser: pauser{e}, renamer: renamer{e},
		attacher: attacher{e}, previewer: previewer{e}, meter: meter{e}, fileWriter: fileWriter{e},
		fileReader:   fileReader{e},
		signalReader: signalReader{e}, dialer: dialer{e}, limiter: limiter{e}, lister: lister{e},
		programRestarter: programRestarter{e},
	}
}

// engine is what all parts of a Runtime share.
type engine struct {
	faults *faults // has a lock of its own
	feed   *feed   // has a lock of its own, taken under mu

	running sync.WaitGroup // programs, policies, healthchecks
	closed  chan struct{}

	mu       sync.Mutex
	info     container.Info
	serial   int // of ids
	all      map[string]*box
	store    *imageStore
	around   *provisioner
	programs map[string]Program
	clock    time.Time // of the last event, line or change of state
}

// id makes an id as long as real ones are. Callers hold mu.
func (e *engine) id(prefix string) string {
	e.serial++
	return prefix + fmt.Sprintf("%012x%052x", e.serial, e.serial)
}

// Info implements container.Runtime.
func (e *engine) Info(ctx context.Context) (container.Info, error) {
	if err := e.faults.enter(ctx, "Info", ""); err != nil {
		return container.Info{}, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.info, nil
}

// Ping implements container.Pinger.
func (e *engine) Ping(ctx context.Context) error { return e.faults.enter(ctx, "Ping", "") }

// SetInfo changes who the engine says it is.
func (r *Runtime) SetInfo(change func(*container.Info)) {
	r.engine.mu.Lock()
	defer r.engine.mu.Unlock()
	change(&r.info)
}

// Program registers a program for all containers, under the first word of a
// command. It may take the place of a built-in one.
func (r *Runtime) Program(name string, p Program) {
	r.engine.mu.Lock()
	defer r.engine.mu.Unlock()
	r.programs[name] = p
}

// Close ends all programs without a word, cuts all streams, and waits until the
// last goroutine has ended.
func (e *engine) Close() error {
	e.mu.Lock()
	select {
	case <-e.closed:
		e.mu.Unlock()
		return nil
	default:
	}
	close(e.closed)
	for _, b := range e.all {
		if b.life != nil {
			b.life.kill()
		}
	}
	e.mu.Unlock()
	e.running.Wait()
	return nil
}

// pause waits for d; it is false when ctx, the engine or one of ends came first.
func (e *engine) pause(ctx context.Context, d time.Duration, end <-chan struct{}) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-end:
	case <-ctx.Done():
	case <-e.closed:
	}
	return false
}

func missing(what, id string) error {
	return fmt.Errorf("%s: no such container: %s: %w", what, short(id), container.ErrNotFound)
}

func conflict(format string, args ...any) error {
	return fmt.Errorf(format+": %w", append(args, container.ErrConflict)...)
}

func short(id string) string { return id[:min(len(id), 12)] }
