package watch

import (
	"sync"
	"time"
)

// mailbox is a queue without a bound: put never blocks.
type mailbox[T any] struct {
	wake chan struct{} // capacity 1: something was put

	mu    sync.Mutex
	items []T
}

func newMailbox[T any]() *mailbox[T] {
	return &mailbox[T]{wake: make(chan struct{}, 1)}
}

func (m *mailbox[T]) put(items ...T) {
	m.mu.Lock()
	m.items = append(m.items, items...)
	m.mu.Unlock()
	m.ring()
}

// take empties the queue.
func (m *mailbox[T]) take() []T {
	m.mu.Lock()
	defer m.mu.Unlock()
	items := m.items
	m.items = nil
	return items
}

func (m *mailbox[T]) ring() {
	select {
	case m.wake <- struct{}{}:
	default: // a token is waiting already and covers this too
	}
}

// op is what a notice says about a path.
type op uint8

const (
	opCreate op = 1 << iota // a name appeared, or something else has it now
	opGone                  // a name went: removed or moved
	opWrite
	opAttrib
	opLost // notices were lost; no path
)

func (o op) has(any op) bool { return o&any != 0 }

// event is one notice about one path, from the kernel or from the poller.
type event struct {
	path        string
	op          op
	first, last time.Time // they differ when several notices became one
	err         error     // an error of the kernel side, instead of a path
}

// inbox queues events for the keeper. Writes to one path that wait together
// become one event, so that its size is bounded by what exists on the disk
// and not by how often a busy program writes.
type inbox struct {
	mailbox[event]
	writes map[string]int // guarded by mu: path -> index in items
}

func newInbox() *inbox {
	return &inbox{mailbox: mailbox[event]{wake: make(chan struct{}, 1)}, writes: map[string]int{}}
}

func (b *inbox) post(e event) {
	b.mu.Lock()
	if e.op == opWrite {
		if i, ok := b.writes[e.path]; ok {
			b.items[i].last = e.last
			b.mu.Unlock()
			return // the token of the event in the queue covers this one
		}
		b.writes[e.path] = len(b.items)
	} else {
		// A write after this must not be moved before it.
		delete(b.writes, e.path)
	}
	b.items = append(b.items, e)
	b.mu.Unlock()
	b.ring()
}

func (b *inbox) take() []event {
	b.mu.Lock()
	defer b.mu.Unlock()
	items := b.items
	b.items = nil
	clear(b.writes)
	return items
}
