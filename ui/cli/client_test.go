package cli

import (
	"errors"
	"os"
	"testing"
	"testing/synctest"

	"bulkhead/engine/hostfile"
)

// One that holds a project and is stopped answers nobody; who wants the project is to learn that after
// one wait, and not to try again.
func TestHolderThatDoesNotAnswerIsNoReasonToTryAgain(t *testing.T) {
	run, err := os.MkdirTemp("", "bh")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(run) })
	env := newEnvironment([]string{"XDG_RUNTIME_DIR=" + run})
	path := env.socketPath("shop")
	if err := hostfile.PrivateDir(run + "/bulkhead"); err != nil {
		t.Fatal(err)
	}
	free, err := takeLock(path + ".lock")
	if err != nil {
		t.Fatal(err)
	}
	defer free()
	synctest.Test(t, func(t *testing.T) {
		a, _ := newTestApp(nil)
		a.conn.env = env
		_, _, err := a.conn.claim(t.Context(), "shop")
		if !errors.Is(err, errUnresponsive) || errors.Is(err, errRunning) {
			t.Errorf("the error is %v", err)
		}
	})
}
