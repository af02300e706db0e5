package cli

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

// endings are the signals that end the program.
var endings = []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP}

const (
	// signalPause is how long what a further signal does has to have been shown before one counts.
	// Terminals and wrappers often send two within milliseconds: both are one wish to end.
	signalPause = time.Second
	// exitGrace is how long a verb has to end once it has nothing to do any more but that. What is
	// stuck then is left behind.
	exitGrace = 5 * time.Second
)

// interrupts turns the signals that end the program into two wishes: to end (first), and to end at
// once (again). It listens for as long as the verb runs.
type interrupts struct {
	first chan struct{} // closed by the first signal
	// capacity 1: a token when a signal came after its effect was shown, while work holds the
	// program
	again   chan struct{}
	overdue chan struct{} // closed when the program ends now, whatever is still under way

	mu    sync.Mutex
	came  bool
	which os.Signal // the first one
	shown time.Time // since when a person can read what a further signal does; zero: not yet
	holds int       // work that has limits of its own is under way: stopping a project
	timer *time.Timer
	wait  time.Duration // how long the verb has to end
	over  bool
	// takes signals in the place of this program; those that it does not take, and all where it is
	// nil, end it
	to func(os.Signal) bool
}

func newInterrupts() *interrupts {
	return &interrupts{first: make(chan struct{}), again: make(chan struct{}, 1),
		overdue: make(chan struct{}), wait: exitGrace}
}

// listen receives the signals until stop. The context that it returns ends with the first one.
func (i *interrupts) listen(ctx context.Context) (_ context.Context, stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	ignore := onSignals(endings, func(sig os.Signal) {
		if !i.passOn(sig) {
			i.signalled(sig)
			cancel()
		}
	})
	return ctx, func() {
		// A signal that comes now, when all is over, must not end the program in another way: it is received and dropped.
		signal.Notify(make(chan os.Signal, 1), endings...)
		ignore()
		cancel()
	}
}

// onSignals calls f for each signal that comes, one after the other, until stop is called.
func onSignals(signals []os.Signal, f func(os.Signal)) (stop func()) {
	came := make(chan os.Signal, 16)
	if len(signals) > 0 { // none would be all
		signal.Notify(came, signals...)
	}
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case sig := <-came:
				f(sig)
			case <-end:
				return
			}
		}
	}()
	return func() {
		signal.Stop(came)
		close(end)
		<-ended
	}
}

// forward has the signals handed to a function, and those that a program may want besides, until
// the returned function is called.
func (i *interrupts) forward(to func(os.Signal) bool) (stop func()) {
	i.mu.Lock()
	i.to = to
	i.mu.Unlock()
	ignore := onSignals(forwarded, func(sig os.Signal) { i.passOn(sig) })
	return func() {
		ignore()
		i.mu.Lock()
		defer i.mu.Unlock()
		i.to = nil
	}
}

// passOn hands a signal on, if somebody takes it.
func (i *interrupts) passOn(sig os.Signal) bool {
	i.mu.Lock()
	to := i.to
	i.mu.Unlock()
	return to != nil && to(sig)
}

// deliver makes what forward hands signals to: send brings each to where it is to go. Once one has been
// on its way for longer than signalPause, further ones are for this program again, or nothing would end
// it beside an engine that does not answer.
func deliver(send func(os.Signal) error) func(os.Signal) bool {
	var mu sync.Mutex
	underWay := map[int]time.Time{}
	next := 0
	return func(sig os.Signal) bool {
		mu.Lock()
		defer mu.Unlock()
		for _, since := range underWay {
			if time.Since(since) > signalPause {
				return false
			}
		}
		n := next
		next++
		underWay[n] = time.Now()
		go func() {
			_ = guarded("signal", func() error { return send(sig) }) // its container may have ended
			mu.Lock()
			defer mu.Unlock()
			delete(underWay, n)
		}()
		return true
	}
}

// outliving returns a context that goes on when a signal ends ctx, for those who pass signals on. It ends,
// with that reason, when the engine has fallen silent.
func outliving(ctx context.Context) (context.Context, context.CancelFunc) {
	on, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		if silent := (*silentError)(nil); errors.As(context.Cause(ctx), &silent) {
			cancel(silent)
		}
	})
	return on, func() { stop(); cancel(nil) }
}

// signalled takes a signal.
func (i *interrupts) signalled(sig os.Signal) {
	i.mu.Lock()
	defer i.mu.Unlock()
	counts := !i.shown.IsZero() && time.Since(i.shown) >= signalPause
	if !i.came {
		i.came, i.which = true, sig
		close(i.first)
		i.armLocked()
	}
	switch {
	case !counts:
	case i.holds == 0:
		i.expireLocked()
	default:
		select {
		case i.again <- struct{}{}:
		default: // one is waiting already, and says the same
		}
	}
}

// code is the exit code that a shell has for a program which the first signal ended; 0 when none came.
func (i *interrupts) code() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	if sig, ok := i.which.(syscall.Signal); ok {
		return 128 + int(sig)
	}
	return 0
}

// acknowledge notes that it is shown from now on what a further signal does.
func (i *interrupts) acknowledge() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.shown = time.Now()
}

// hold keeps the program from ending by itself after a signal; release lets it, and has to be called.
func (i *interrupts) hold() (release func()) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.holds++
	if i.timer != nil {
		i.timer.Stop()
		i.timer = nil
	}
	return sync.OnceFunc(func() {
		i.mu.Lock()
		defer i.mu.Unlock()
		i.holds--
		i.armLocked()
	})
}

// hurry makes the end of a verb short: it has given up, and what is stuck stays stuck.
func (i *interrupts) hurry() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.wait = time.Second
}

func (i *interrupts) held() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.holds > 0
}

// armLocked begins to wait for the end, if it is time to.
func (i *interrupts) armLocked() {
	if i.came && i.holds == 0 && i.timer == nil {
		i.timer = time.AfterFunc(i.wait, func() {
			i.mu.Lock()
			defer i.mu.Unlock()
			if i.holds == 0 {
				i.expireLocked()
			}
		})
	}
}

func (i *interrupts) expireLocked() {
	if !i.over {
		i.over = true
		close(i.overdue)
	}
}
