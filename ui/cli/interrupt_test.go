package cli

import (
	"context"
	"errors"
	"os"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// heard takes what a channel holds, or sees that it is closed.
func heard(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func TestTwoSignalsAtOnceCountAsOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := newInterrupts()
		i.signalled(os.Interrupt)
		if !heard(i.first) {
			t.Fatal("the first signal is not heard")
		}
		defer i.hold()()
		time.Sleep(2 * time.Millisecond)
		i.signalled(os.Interrupt) // nothing was shown yet
		time.Sleep(2 * time.Second)
		i.signalled(os.Interrupt)
		if heard(i.again) {
			t.Fatal("a signal counts before it was shown what it does")
		}
		i.acknowledge()
		i.signalled(os.Interrupt)
		time.Sleep(signalPause - time.Millisecond)
		i.signalled(os.Interrupt)
		if heard(i.again) {
			t.Fatal("a signal counts though what it does was not shown for a second")
		}
		time.Sleep(time.Millisecond)
		i.signalled(os.Interrupt)
		if !heard(i.again) {
			t.Fatal("the second signal is not heard")
		}
		if heard(i.overdue) {
			t.Error("the program ends in the middle of a stop")
		}
	})
}

// Whoever leaves the screen with a key has not sent a signal; the message that he reads says that one kills.
func TestSignalAfterAKeyCountsOnceItsMessageWasShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := newInterrupts()
		defer i.hold()()
		i.acknowledge()
		i.signalled(os.Interrupt)
		if heard(i.again) {
			t.Fatal("a signal counts at once")
		}
		time.Sleep(signalPause)
		i.signalled(os.Interrupt)
		if !heard(i.again) {
			t.Error("the signal is not heard")
		}
	})
}

func TestVerbThatIsStuckIsLeftBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := newInterrupts()
		i.signalled(os.Interrupt)
		time.Sleep(exitGrace - time.Millisecond)
		release := i.hold() // a stop begins
		time.Sleep(time.Hour)
		if heard(i.overdue) {
			t.Fatal("the program ended in the middle of a stop")
		}
		release()
		time.Sleep(exitGrace - time.Millisecond)
		if heard(i.overdue) {
			t.Fatal("the verb had no time to end")
		}
		time.Sleep(time.Millisecond)
		synctest.Wait()
		if !heard(i.overdue) {
			t.Error("a verb that is stuck holds the program")
		}
	})
}

func TestSecondSignalEndsAVerbThatIsStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := newInterrupts()
		i.signalled(os.Interrupt)
		i.acknowledge()
		time.Sleep(signalPause)
		i.signalled(os.Interrupt)
		if !heard(i.overdue) {
			t.Error("the second signal does not end the program")
		}
		i.mu.Lock()
		i.timer.Stop()
		i.mu.Unlock()
	})
}

// A signal that is handed on and does not arrive leaves the next one to this program, and only an engine
// that fell silent ends what goes on meanwhile.
func TestSignalThatCannotBeHandedOnLeavesTheNextOneToUs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		silent := make(chan struct{})
		var sent atomic.Int32
		to := deliver(func(os.Signal) error { sent.Add(1); <-silent; return nil })
		for range 2 {
			if !to(os.Interrupt) {
				t.Error("two at once are both for the container")
			}
		}
		synctest.Wait()
		time.Sleep(signalPause + time.Millisecond)
		if to(os.Interrupt) || sent.Load() != 2 {
			t.Errorf("after a while the next one is handed on too, as number %d", sent.Load())
		}
		close(silent)
		synctest.Wait()
		if !to(os.Interrupt) {
			t.Error("once they have arrived the next one is for the container again")
		}
		synctest.Wait()

		parent, cancel := context.WithCancelCause(t.Context())
		ctx, end := outliving(parent)
		cancel(errSignal)
		synctest.Wait()
		if ctx.Err() != nil {
			t.Error("a signal ended what is to go on")
		}
		end()
		parent, cancel = context.WithCancelCause(t.Context())
		ctx, end = outliving(parent)
		defer end()
		cancel(&silentError{where: "here"})
		synctest.Wait()
		if got := new(silentError); !errors.As(context.Cause(ctx), &got) {
			t.Errorf("the engine fell silent, and the cause is %v", context.Cause(ctx))
		}
	})
}
