package lane

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"strings"
	"sync"

	"bulkhead/engine/container"
	"bulkhead/engine/filesync"
	"bulkhead/engine/hostcmd"
	"bulkhead/engine/image"
	"bulkhead/engine/journal"
	"bulkhead/engine/plan"
	"bulkhead/engine/resource"
	"bulkhead/engine/state"
	"bulkhead/engine/step"
	"bulkhead/engine/tail"
)

// ErrGone answers a task for a service that was taken out of the Compose file meanwhile.
var ErrGone = errors.New("no longer in the Compose file")

// Parts are what the lanes of one project work with. All must be set but Trust.
type Parts struct {
	Name      string // of the project
	Dir       string // its folder
	Runtime   *container.Complete
	State     *state.State
	Journal   *journal.Journal
	Sync      *filesync.Syncer
	Steps     *step.Runner
	Resources *resource.Store
	Images    *image.Store
	Tail      *tail.Tailer
	Trust     *hostcmd.Trust
	Lanes     *Set

	AsIs    bool // containers are taken as they are
	NoWatch bool
	NoStart bool // the first up makes what is missing, and starts nothing
	Replace Replace
	// Go runs f in the background until it returns, or at the latest until the program ends.
	Go func(name string, f func(context.Context) error)
	// Follow has done what follows from what was seen of a container.
	Follow func(m *state.Member, f state.Follow)
	// Refresh looks at a container again, and takes in what became of it.
	Refresh func(ctx context.Context, m *state.Member, id, cause string) error
	// Hold says that what changed files ask for waits.
	Hold func() bool

	prepares chan struct{} // slots for prepare commands; made by the Set
}

// Replace says which containers the first up replaces.
type Replace struct {
	Named   []string    // the services that a person named; none: all
	Policy  plan.Policy // for these
	Others  plan.Policy // for those that came along because they are depended on
	Renewed bool        // anonymous volumes begin again: what the containers before had in them is left behind
	// Again has jobs run that have completed, as docker compose does; else they are done until they change.
	Again bool
}

// Of is the policy for one service.
func (r Replace) Of(service string) plan.Policy {
	if len(r.Named) == 0 || slices.Contains(r.Named, service) {
		return r.Policy
	}
	return r.Others
}

// Set are the lanes of all services. The zero value has none; its methods may be called from any
// goroutine.
type Set struct {
	mu  sync.Mutex
	all map[string]*Lane
}

// Of returns the lane of a service, nil when it has none.
func (ls *Set) Of(service string) *Lane {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	return ls.all[service]
}

// List returns all lanes, sorted by service.
func (ls *Set) List() []*Lane {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	var out []*Lane
	for _, l := range ls.all {
		out = append(out, l)
	}
	slices.SortFunc(out, func(a, b *Lane) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// Open makes a service's lane, with a first task that may be nil, and starts it.
func (ls *Set) Open(p *Parts, service string, first *Task) *Lane {
	l := newLane(p, p.State.Member(service))
	ls.mu.Lock()
	if ls.all == nil {
		ls.all = map[string]*Lane{}
	}
	if p.prepares == nil {
		p.prepares = make(chan struct{}, max(2, runtime.NumCPU()))
	}
	ls.all[service] = l
	ls.mu.Unlock()
	if first != nil {
		l.Enqueue(first)
	}
	p.Go("lane of "+service, l.Run)
	return l
}

// remove takes the lane of a service away that is gone.
func (ls *Set) remove(service string) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	delete(ls.all, service)
}

// DropRecords forgets what is kept of a container that is gone.
func (p *Parts) DropRecords(id string) {
	p.Journal.Forget(id)
	p.Sync.Forget(id)
}

// AwaitLastWords waits until the logs of containers that were stopped, or have ended in this run, are read to
// their end, or until ctx ends.
func (p *Parts) AwaitLastWords(ctx context.Context, rs []state.Holder) {
	var lives []container.Identity
	for _, h := range rs {
		in := h.Instance
		if in.State == container.StateRunning || in.State == container.StateExited &&
			in.Finished.After(p.State.Began()) {
			lives = append(lives, in.Identity)
		}
	}
	p.Tail.AwaitLastWords(ctx, lives)
}
