package watch

import (
	"context"
	"slices"
	"time"
)

// offer is the batch that waits for the receiver; it grows until it is taken.
type offer struct {
	paths       map[string]struct{}
	lost        bool
	first, last time.Time
	git         Operation
	made        *Batch   // the batch as it would be sent; nil after a change
	sorted      []string // paths, but for fresh
	fresh       []string
}

func (o *offer) empty() bool { return len(o.paths) == 0 && !o.lost }

func (o *offer) merge(due []change) {
	for _, c := range due {
		o.span(c.first, c.last)
		if c.path == "" {
			o.lost = true
			continue
		}
		o.put(c.path)
	}
	if len(due) > 0 {
		o.made = nil
	}
}

// put adds a path.
func (o *offer) put(path string) {
	if _, ok := o.paths[path]; ok {
		return
	}
	if o.paths == nil {
		o.paths = map[string]struct{}{}
	}
	o.paths[path] = struct{}{}
	o.fresh = append(o.fresh, path)
}

// span widens the time of the offer.
func (o *offer) span(first, last time.Time) {
	if o.empty() {
		o.first, o.last = first, last
	}
	o.first, o.last = earlier(o.first, first), later(o.last, last)
}

// join merges another offer, whose operation is the later one.
func (o *offer) join(other offer) {
	o.span(other.first, other.last)
	o.lost = o.lost || other.lost
	for path := range other.paths {
		o.put(path)
	}
	if other.git.Name != "" {
		o.git = other.git
	}
	o.made = nil
}

// batch returns the offer as it would be sent. Only what came since the last time is sorted: many paths may wait for
// long while more come.
func (o *offer) batch() Batch {
	if o.made == nil {
		slices.Sort(o.fresh)
		o.sorted, o.fresh = mergeSorted(o.sorted, o.fresh), nil
		o.made = &Batch{Paths: o.sorted, Lost: o.lost, First: o.first, Last: o.last, Git: o.git}
	}
	return *o.made
}

// mergeSorted returns two sorted lists as one.
func mergeSorted(a, b []string) []string {
	if len(b) == 0 {
		return a
	}
	all := make([]string, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		if a[0] <= b[0] {
			all, a = append(all, a[0]), a[1:]
		} else {
			all, b = append(all, b[0]), b[1:]
		}
	}
	return append(append(all, a...), b...)
}

// grouper is the last stage: changes in, batches, holds and notices out.
type grouper struct {
	in      *mailbox[change]
	said    *mailbox[Notice]
	out     chan<- Batch
	holds   chan<- Hold
	notices chan<- Notice
	batcher *batcher
	hold    *hold
}

func newGrouper(
	opt Options, in *mailbox[change], out chan<- Batch, holds chan<- Hold, notices chan<- Notice,
	slow func() time.Duration,
) *grouper {
	g := &grouper{in: in, said: newMailbox[Notice](), out: out, holds: holds, notices: notices,
		batcher: newBatcher(opt.Quiet, opt.Cap)}
	g.hold = newHold(opt.Stale, slow, g.tell)
	return g
}

// tell queues a notice; any goroutine may call it.
func (g *grouper) tell(n Notice) { g.said.put(n) }

func (g *grouper) run(ctx context.Context) error {
	var ready offer
	var said []Notice
	var reported, now Hold
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	var armed time.Time // when timer fires; zero when nothing is pending
	for {
		// A nil channel blocks: what is empty is not offered.
		var out chan<- Batch
		var next Batch
		if !ready.empty() {
			out, next = g.out, ready.batch()
		}
		var holds chan<- Hold
		if now != reported {
			holds = g.holds
		}
		var notices chan<- Notice
		var notice Notice
		if len(said) > 0 {
			notices, notice = g.notices, said[0]
		}
		select {
		case <-ctx.Done():
			return nil
		case out <- next:
			ready = offer{}
			continue
		case holds <- now:
			reported = now
			continue
		case notices <- notice:
			said = said[1:]
			continue
		case <-g.said.wake:
			said = append(said, g.said.take()...)
			continue
		case <-g.in.wake:
			// Most of what comes adds to what is pending: the timer need not move.
			at := g.add(time.Now(), &ready)
			if at.IsZero() || !armed.IsZero() && !at.Before(armed) {
				continue
			}
		case <-timer.C:
			// A sign that came before the time is up must be heard before.
			g.add(time.Now(), &ready)
		}
		var at time.Time
		if at, now = g.due(time.Now(), &ready); !at.IsZero() {
			timer.Reset(time.Until(at))
		}
		armed = at
	}
}

// add takes what came in, and returns when due must be called at the latest;
// zero when nothing asks for it.
func (g *grouper) add(now time.Time, ready *offer) (next time.Time) {
	for _, c := range g.in.take() {
		at := now
		if c.sign.kind == signUnknown {
			at = g.batcher.add(c)
		} else if r := g.hold.sign(c.sign, now); r != nil {
			g.hold.free(r, ready)
		}
		if next.IsZero() || at.Before(next) {
			next = at
		}
	}
	return next
}

// due moves what is due into ready, unless it must wait for git, and returns
// when to call it again, and what is being held.
func (g *grouper) due(now time.Time, ready *offer) (next time.Time, held Hold) {
	due, rest := g.batcher.take(now)
	ready.merge(g.hold.keep(due, now))
	freed, next := g.hold.check(now, rest)
	for _, r := range freed {
		g.hold.free(r, ready)
	}
	if next.IsZero() || !rest.IsZero() && rest.Before(next) {
		next = rest
	}
	return next, g.hold.state(now)
}
