package cli

import (
	"fmt"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"bulkhead/engine/container"
)

// insistence hands signals on to a process that may ignore those that are to end it: the next one of
// these, signalPause after the first or later, is for begun and again and not for the process.
type insistence struct {
	send  func(os.Signal) bool // of deliver
	begun func(os.Signal)      // the first signal that ends a program was handed on; may be nil
	again func()               // called by each further one

	mu    sync.Mutex
	first os.Signal // nil: none of these came yet
	since time.Time
}

// take is for interrupts.forward.
func (n *insistence) take(sig os.Signal) bool {
	if !slices.Contains(endings, sig) {
		return n.send(sig)
	}
	n.mu.Lock()
	began, again := n.first == nil, n.first != nil && time.Since(n.since) >= signalPause
	if began {
		n.first, n.since = sig, time.Now()
	}
	n.mu.Unlock()
	if again {
		n.again()
	}
	took := n.send(sig)
	if began && n.begun != nil {
		n.begun(sig)
	}
	return took
}

// code is the exit code that a shell has for a program which the first of these signals ended; 0 when none came.
func (n *insistence) code() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	if sig, ok := n.first.(syscall.Signal); ok {
		return 128 + int(sig)
	}
	return 0
}

// ender ends a one-off that was sent a signal: it has its grace from then on, and is killed after that
// or by a second signal.
type ender struct {
	insistence
	name   string // of its service
	grace  time.Duration
	notify func(text string)
	kill   func() // does not wait for its death

	killing sync.Once
	timers  []*time.Timer // guarded by mu
	killed  bool          // guarded by mu
}

// newEnder returns the ender of a one-off that signals are sent to by send.
func newEnder(of *container.Service, send func(os.Signal) error, notify func(string)) *ender {
	e := &ender{name: of.Name, grace: defaultGrace, notify: notify}
	if g := of.Config.StopGracePeriod; g != nil {
		e.grace = time.Duration(*g)
	}
	e.send, e.begun, e.again = deliver(send), e.begin, e.end
	e.kill = func() { _ = guarded("kill", func() error { return send(syscall.SIGKILL) }) } // it may have ended
	return e
}

// begin lets the grace begin, and says so if the one-off takes a moment.
func (e *ender) begin(os.Signal) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.timers = append(e.timers, time.AfterFunc(e.grace, e.end))
	if e.grace > endShown {
		e.timers = append(e.timers, time.AfterFunc(endShown, func() {
			e.notify(fmt.Sprintf("run %s: it has up to %s to end; a second ctrl+c kills it", e.name,
				graceText(e.grace)))
		}))
	}
}

// end kills the one-off.
func (e *ender) end() {
	e.killing.Do(func() {
		e.mu.Lock()
		e.killed = true
		e.mu.Unlock()
		go e.kill()
	})
}

// close ends what waits. The code is what the program is to end with for a one-off that was killed; 0 for another.
func (e *ender) close() (code int) {
	e.mu.Lock()
	for _, t := range e.timers {
		t.Stop()
	}
	killed := e.killed
	e.mu.Unlock()
	if !killed {
		return 0
	}
	return e.code()
}
