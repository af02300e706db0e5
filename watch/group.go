package watch

import (
	"context"
	"maps"
	"slices"
	"time"
)

// offer is the batch that waits for the receiver; it grows until it is taken.
type offer struct {
	paths       map[string]struct{}
	lost        bool
	first, last time.Time
	made        *Batch // the batch as it would be sent; nil after a change
}

func (o *offer) empty() bool { return len(o.paths) == 0 && !o.lost }

func (o *offer) merge(due []change) {
	for _, c := range due {
		if o.empty() {
			o.first, o.last = c.first, c.last
		}
		o.first, o.last = earlier(o.first, c.first), later(o.last, c.last)
		if c.path == "" {
			o.lost = true
			continue
		}
		if o.paths == nil {
			o.paths = map[string]struct{}{}
		}
		o.paths[c.path] = struct{}{}
	}
	if len(due) > 0 {
		o.made = nil
	}
}

func (o *offer) batch() Batch {
	if o.made == nil {
		o.made = &Batch{Paths: slices.Sorted(maps.Keys(o.paths)), Lost: o.lost, First: o.first, Last: o.last}
	}
	return *o.made
}

// grouper is the last stage: changes in, batches and notices out.
type grouper struct {
	in      *mailbox[change]
	said    *mailbox[Notice]
	out     chan<- Batch
	notices chan<- Notice
	batcher *batcher
}

func newGrouper(opt Options, in *mailbox[change], out chan<- Batch, notices chan<- Notice) *grouper {
	return &grouper{in: in, said: newMailbox[Notice](), out: out, notices: notices, batcher: newBatcher(opt.Quiet, opt.Cap)}
}

// tell queues a notice; any goroutine may call it.
func (g *grouper) tell(n Notice) { g.said.put(n) }

func (g *grouper) run(ctx context.Context) error {
	var ready offer
	var said []Notice
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	var armed time.Time // when timer fires; zero when nothing is pending
	arm := func(at time.Time) {
		if armed = at; !at.IsZero() {
			timer.Reset(time.Until(at))
		}
	}
	for {
		// A nil channel blocks: what is empty is not offered.
		var out chan<- Batch
		var next Batch
		if !ready.empty() {
			out, next = g.out, ready.batch()
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
		case notices <- notice:
			said = said[1:]
		case <-g.said.wake:
			said = append(said, g.said.take()...)
		case <-g.in.wake:
			for _, c := range g.in.take() {
				if at := g.batcher.add(c); armed.IsZero() || at.Before(armed) {
					arm(at)
				}
			}
		case <-timer.C:
			due, at := g.batcher.take(time.Now())
			ready.merge(due)
			arm(at)
		}
	}
}
