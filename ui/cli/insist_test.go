package cli

import (
	"os"
	"slices"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/compose-spec/compose-go/v2/types"

	"bulkhead/engine/container"
)

// newTestEnder returns an ender with a grace of five seconds, and what it has sent so far.
func newTestEnder() (e *ender, sent func() []os.Signal) {
	var mu sync.Mutex
	var all []os.Signal
	grace := types.Duration(5 * time.Second)
	of := &container.Service{Name: "web"}
	of.Config.StopGracePeriod = &grace
	e = newEnder(of, func(sig os.Signal) error {
		mu.Lock()
		defer mu.Unlock()
		all = append(all, sig)
		return nil
	}, func(string) {})
	return e, func() []os.Signal {
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(all)
	}
}

func TestOneOffThatIgnoresASignalIsKilledAfterItsGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, sent := newTestEnder()
		e.take(syscall.SIGTERM)
		time.Sleep(5*time.Second - time.Millisecond)
		if got := sent(); !slices.Equal(got, []os.Signal{syscall.SIGTERM}) {
			t.Fatalf("within its grace it got %v", got)
		}
		time.Sleep(2 * time.Millisecond)
		if got := sent(); !slices.Contains(got, os.Signal(syscall.SIGKILL)) {
			t.Fatalf("after its grace it got %v", got)
		}
		if code := e.close(); code != 143 {
			t.Errorf("exit code %d", code)
		}
	})
}

func TestSecondSignalKillsAOneOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, sent := newTestEnder()
		e.take(os.Interrupt)
		e.take(os.Interrupt) // at once: the same wish
		if got := sent(); slices.Contains(got, os.Signal(syscall.SIGKILL)) {
			t.Fatalf("two at once: %v", got)
		}
		time.Sleep(signalPause)
		e.take(os.Interrupt)
		if got := sent(); !slices.Contains(got, os.Signal(syscall.SIGKILL)) {
			t.Fatalf("after the second: %v", got)
		}
		if code := e.close(); code != 130 {
			t.Errorf("exit code %d", code)
		}
	})
}

func TestOneOffThatEndsBySignalHasItsOwnExitCode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, sent := newTestEnder()
		e.take(syscall.SIGHUP)
		time.Sleep(time.Second)
		if code := e.close(); code != 0 {
			t.Errorf("exit code %d", code)
		}
		time.Sleep(time.Minute)
		if got := sent(); !slices.Equal(got, []os.Signal{syscall.SIGHUP}) {
			t.Errorf("it got %v", got)
		}
	})
}
