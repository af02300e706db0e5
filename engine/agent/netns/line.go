package netns

import (
	"io"
	"sync"
	"time"
)

// held is how many bytes a line holds at most: a delay must not make the proxy grow without end.
const held = 4 << 20

// parcel is something that is sent when it is due.
type parcel struct {
	data []byte
	due  time.Time
}

// line sends what it is given in order, each parcel no sooner than it is due. What is due at once
// goes out at once, on the caller's goroutine, as long as nothing waits before it.
type line struct {
	w  io.Writer
	wg sync.WaitGroup

	mu      sync.Mutex
	changed chan struct{} // closed and replaced at every change
	waiting []parcel
	bytes   int
	busy    bool // a parcel is being sent, or waited for
	running bool
	last    time.Time // when the last parcel is due
	now     bool      // what waits does so no longer
	err     error
	closed  bool
}

func newLine(w io.Writer) *line { return &line{w: w, changed: make(chan struct{})} }

// change wakes those that wait. Callers hold mu.
func (l *line) change() {
	close(l.changed)
	l.changed = make(chan struct{})
}

// await waits for a change, or until a time where it is not zero. Callers hold mu.
func (l *line) await(until time.Time) {
	changed := l.changed
	l.mu.Unlock()
	defer l.mu.Lock()
	if until.IsZero() {
		<-changed
		return
	}
	t := time.NewTimer(time.Until(until))
	defer t.Stop()
	select {
	case <-changed:
	case <-t.C:
	}
}

// send takes data, which may be used again afterwards, and waits while more than limit bytes wait
// before it.
func (l *line) send(data []byte, due time.Time, limit int) error {
	l.mu.Lock()
	if !due.After(time.Now()) && len(l.waiting) == 0 && !l.busy && l.err == nil {
		l.mu.Unlock()
		_, err := l.w.Write(data)
		return err
	}
	defer l.mu.Unlock()
	for l.bytes > limit && l.err == nil && !l.closed {
		l.await(time.Time{})
	}
	if l.err != nil {
		return l.err
	}
	if due.Before(l.last) {
		due = l.last // in order
	}
	l.last = due
	l.waiting = append(l.waiting, parcel{append([]byte(nil), data...), due})
	l.bytes += len(data)
	if !l.running {
		l.running = true
		l.wg.Go(l.run)
	}
	l.change()
	return nil
}

func (l *line) run() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for !l.closed && l.err == nil {
		if len(l.waiting) == 0 {
			l.now, l.busy, l.last = false, false, time.Time{}
			l.change()
			l.await(time.Time{})
			continue
		}
		l.busy = true
		p := l.waiting[0]
		if !l.now && p.due.After(time.Now()) {
			l.await(p.due)
			continue
		}
		l.waiting = l.waiting[1:]
		l.mu.Unlock()
		_, err := l.w.Write(p.data)
		l.mu.Lock()
		l.bytes -= len(p.data)
		l.err = err
		l.change()
	}
	l.busy = false
	l.change()
}

// hurry sends what waits at once.
func (l *line) hurry() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.waiting) > 0 || l.busy {
		l.now = true
		l.change()
	}
}

// drain waits until all is sent, or cannot be.
func (l *line) drain() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for (len(l.waiting) > 0 || l.busy) && l.err == nil && !l.closed {
		l.await(time.Time{})
	}
}

// close ends the line; what waits is lost.
func (l *line) close() {
	l.mu.Lock()
	l.closed = true
	l.change()
	l.mu.Unlock()
	l.wg.Wait()
}

// pace spreads bytes over time, at a rate in bits a second that all its users share.
type pace struct {
	rate int64

	mu   sync.Mutex
	free time.Time // when all that was taken so far has gone through
}

// take books n bytes and returns when the last of them has gone through.
func (p *pace) take(n int, now time.Time) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.free.Before(now) {
		p.free = now
	}
	p.free = p.free.Add(time.Duration(float64(n) * 8 / float64(p.rate) * float64(time.Second)))
	return p.free
}
