package state

import "sync"

// bell tells subscribers that something changed. It has its own lock, because log lines ring it too.
type bell struct {
	mu   sync.Mutex
	subs map[chan struct{}]struct{}
}

func (b *bell) ring() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for c := range b.subs {
		select {
		case c <- struct{}{}:
		default: // a token is waiting already and covers this change too
		}
	}
}

func (b *bell) subscribe() (<-chan struct{}, func()) {
	c := make(chan struct{}, 1)
	c <- struct{}{}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.subs == nil {
		b.subs = map[chan struct{}]struct{}{}
	}
	b.subs[c] = struct{}{}
	return c, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.subs, c)
	}
}
