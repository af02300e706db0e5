// Package watch turns the file notices of the operating system into batches
// of paths that changed together. It knows folders and patterns, and nothing
// of what is done with the paths.
//
// Three stages run apart from each other, so that a slow one never stops the
// one before it: a reader that only empties the kernel's queue, a keeper that
// registers folders and turns notices into paths, and a grouper that waits for
// quiet and offers batches.
//
// While git changes the work tree that a path lies in, its batch waits, so that
// a checkout or a rebase is one batch: see Hold and Operation.
//
// No system tells of writes through a shared memory map, or through another
// hard link outside of the roots; such a change is seen with the next one that
// is reported. On Windows a watched folder cannot be renamed by way of the
// folders above it while the watch lasts. On macOS a build without cgo knows
// no FSEvents, and each watched file costs it a descriptor: what exceeds the
// limit is polled.
package watch

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime/debug"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	defaultQuiet = 40 * time.Millisecond
	defaultCap   = 250 * time.Millisecond
	defaultPoll  = 500 * time.Millisecond
)

// Batch is the set of paths that changed together.
//
// A folder that appears is reported with everything in it. A folder that goes
// away (removed or moved) stands for everything that was below it: the paths
// below are reported only where the system names them one by one.
//
// What counts as a change: content written, size or modification time set
// (touch), the permission bits of a file or of a folder below a root, a name
// that appears or goes. Reads never count, nor do owners and extended
// attributes, nor the permission bits of a root that is a folder.
type Batch struct {
	// Paths are absolute, clean, sorted, each once, spelled as below the
	// root that covers them, and may name things that no longer exist.
	Paths []string
	// Lost says that notices were lost: the receiver must look at everything
	// under the roots. Paths may be empty then.
	Lost bool
	// First and Last are when the first and the last notice of the batch
	// arrived.
	First, Last time.Time
	// Git is what git did while the batch was held back for it. Its name is
	// empty for all other batches, and for what git does without moving HEAD,
	// the stash or a merge: add, commit, status, restoring a file.
	Git Operation
}

// Root is one tree (or one file) to watch. It need not exist yet, and may be
// deleted and come back. A root that is a symlink, or lies behind one, is
// followed; symlinks inside the tree are reported but not followed.
type Root struct {
	// Path is made absolute and clean by SetRoots.
	Path string
	// Ignore says which paths below Path are not reported; nil ignores
	// nothing. True for a folder (dir) means that nothing below it matters:
	// it is not even registered. It must be pure and fast, and is called by
	// one goroutine at a time. It is never asked about Path itself.
	Ignore func(path string, dir bool) bool
}

// Options are the times of a Watcher; the zero value is the usual choice.
type Options struct {
	// Quiet is how long nothing may happen before a batch is complete; 40 ms
	// when zero.
	Quiet time.Duration
	// Cap is the longest that a change waits for quiet; 250 ms when zero.
	Cap time.Duration
	// Poll is the pause between two looks at folders that cannot send
	// notices, and between two looks at the roots themselves; 500 ms when
	// zero. A look that takes long stretches the pause to ten times its own
	// duration.
	Poll time.Duration
	// ForcePoll looks at all folders instead of asking the kernel.
	ForcePoll bool
	// Stale is how long the lock of a git folder may stand with nothing new
	// below the roots, before changes no longer wait for its end; 30 s when zero.
	Stale time.Duration
}

// Notice is something the user should know about the watching itself.
type Notice struct {
	Text   string // what is the case, one line
	Remedy string // what to do about it; may be empty
}

// Watcher watches roots. Make it with New, start it with Run.
type Watcher struct {
	opt     Options
	kernel  func() (kernel, error)
	silent  func(path string) string
	batches chan Batch
	holds   chan Hold
	notices chan Notice
	ready   chan struct{}
	rooted  chan struct{} // capacity 1: roots were set
	events  *inbox        // reader and poller -> keeper
	changes *mailbox[change]

	mu      sync.Mutex
	roots   []Root
	haveSet bool
	started bool
}

// New makes a Watcher that does nothing before Run. It returns an error when
// a duration is negative.
func New(opt Options) (*Watcher, error) {
	if opt.Quiet < 0 || opt.Cap < 0 || opt.Poll < 0 || opt.Stale < 0 {
		return nil, fmt.Errorf(
			"watch options: negative duration in quiet %v, cap %v, poll %v, stale %v", opt.Quiet,
			opt.Cap, opt.Poll, opt.Stale)
	}
	if opt.Quiet == 0 {
		opt.Quiet = defaultQuiet
	}
	if opt.Cap == 0 {
		opt.Cap = defaultCap
	}
	if opt.Poll == 0 {
		opt.Poll = defaultPoll
	}
	if opt.Stale == 0 {
		opt.Stale = gitStale
	}
	return &Watcher{
		opt:     opt,
		kernel:  newKernel,
		silent:  silent,
		batches: make(chan Batch),
		holds:   make(chan Hold),
		notices: make(chan Notice),
		ready:   make(chan struct{}),
		rooted:  make(chan struct{}, 1),
		events:  newInbox(),
		changes: newMailbox[change](),
	}, nil
}

// SetRoots replaces the set of roots. Any goroutine may call it at any time,
// before and while Run. What stands on the disk already is not reported; a
// folder that both sets cover stays registered all through, so that no change
// in it is missed. No roots means watching nothing.
func (w *Watcher) SetRoots(roots []Root) {
	own := make([]Root, len(roots))
	for i, r := range roots {
		if abs, err := filepath.Abs(r.Path); err == nil {
			r.Path = abs
		} else {
			// The working folder is gone, so no absolute name exists; the
			// clean one fails to be found and then waits like any missing root.
			r.Path = filepath.Clean(r.Path)
		}
		own[i] = r
	}
	w.mu.Lock()
	w.roots, w.haveSet = own, true
	w.mu.Unlock()
	select {
	case w.rooted <- struct{}{}:
	default: // a token is waiting already and covers this set too
	}
}

// Batches returns the batches, one at a time. While nobody takes one, later
// changes are merged into it. It is closed when Run returns.
func (w *Watcher) Batches() <-chan Batch { return w.batches }

// Holds tells when batches are being held back because git is at work below
// the roots, and when that ends (the zero value). Only what lasts is reported: a
// hold of less than 300 ms, or of no changes, is not. Reading it is optional,
// and whoever reads late gets the state as it is then. It is closed when Run
// returns.
func (w *Watcher) Holds() <-chan Hold { return w.holds }

// Notices returns what the user should know, each thing once. Reading it is
// optional. It is closed when Run returns.
func (w *Watcher) Notices() <-chan Notice { return w.notices }

// Ready is closed once the first set of roots is registered: every later
// change below them is reported.
func (w *Watcher) Ready() <-chan struct{} { return w.ready }

// Run watches until ctx ends and returns nil then, after its last goroutine
// ended. It may be called once. Without any kernel facility it polls, so the
// only errors are a second call and a fault in this package.
func (w *Watcher) Run(ctx context.Context) error {
	w.mu.Lock()
	again := w.started
	w.started = true
	w.mu.Unlock()
	if again {
		return errors.New("run watcher: it ran already")
	}
	defer close(w.notices)
	defer close(w.holds)
	defer close(w.batches)

	look := newPoller(w.opt.Poll, w.events)
	out := newGrouper(w.opt, w.changes, w.batches, w.holds, w.notices, look.late)
	k := newKeeper(w.opt, look, w.changes, out.tell)
	k.reg.silent = w.silent

	var source kernel
	if w.opt.ForcePoll {
		k.reg.pollAll(nil)
	} else if own, err := w.kernel(); err != nil {
		k.reg.pollAll(err)
	} else {
		source, k.reg.kernel = own, own
		k.parents = listenToParents && !own.trees()
	}

	g, ctx := errgroup.WithContext(ctx)
	start := func(name string, f func(context.Context) error) {
		g.Go(func() (err error) {
			defer func() {
				if r := recover(); r != nil {
					err = fmt.Errorf("watch %s: panic: %v\n%s", name, r, debug.Stack())
				}
			}()
			return f(ctx)
		})
	}
	if source != nil {
		start("reader", func(context.Context) error { return source.read(w.events) })
		start("closer", func(ctx context.Context) error {
			// The reader ends when this closes its channels, and must not end
			// before: the kernel's side waits for somebody to read.
			<-ctx.Done()
			return source.close()
		})
	}
	start("keeper", func(ctx context.Context) error { return w.keep(ctx, k) })
	start("poller", look.run)
	start("grouper", out.run)
	return g.Wait()
}

// keep is the goroutine that owns the keeper.
func (w *Watcher) keep(ctx context.Context, k *keeper) error {
	tick := time.NewTicker(w.opt.Poll)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-w.rooted:
			w.mu.Lock()
			roots := w.roots
			w.mu.Unlock()
			k.setRoots(ctx, roots)
			if ctx.Err() != nil {
				return nil
			}
			select {
			case <-w.ready:
			default:
				close(w.ready)
			}
		case <-w.events.wake:
			events := w.events.take()
			k.gits.lookAtAll(false)
			for _, e := range events {
				if ctx.Err() != nil {
					return nil
				}
				k.handle(ctx, e)
			}
		case <-tick.C:
			k.verify(ctx, time.Now())
			k.gits.lookAtAll(true)
		}
	}
}
