package fault

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"
)

// What was killed in the middle of a write leaves a part of a file behind, that of another process may
// be on its way.
func TestPartsOfFilesAreClearedAway(t *testing.T) {
	d := disk{dir: t.TempDir()}
	if err := d.write(&entry{Fault: Fault{ID: "one", Kind: "kill", Service: "web"}}); err != nil {
		t.Fatal(err)
	}
	left, fresh := filepath.Join(d.dir, halfWritten+"two.json1"), filepath.Join(d.dir, halfWritten+
		"three.json2")
	for _, path := range []string{left, fresh} {
		if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	long := time.Now().Add(-time.Hour)
	if err := os.Chtimes(left, long, long); err != nil {
		t.Fatal(err)
	}
	if all, err := d.read(); err != nil || len(all) != 1 || all[0].Fault.ID != "one" {
		t.Errorf("%+v %v", all, err)
	}
	if _, err := os.Stat(left); !os.IsNotExist(err) {
		t.Errorf("what a killed process left: %v", err)
	}
	if _, err := os.Stat(fresh); err != nil {
		t.Errorf("what somebody writes now: %v", err)
	}
}

// A process that was stopped in the middle of a decision, and has the lock for ever, keeps nobody from healing.
func TestLockThatIsNeverReleasedHoldsNobodyUpForEver(t *testing.T) {
	d := disk{dir: filepath.Join(t.TempDir(), "faults")}
	synctest.Test(t, func(t *testing.T) {
		release, err := d.exclusive(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := d.exclusive(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("who is asked to end waits on: %v", err)
		}
		without, err := d.exclusive(t.Context())
		if err != nil {
			t.Errorf("after a long wait: %v", err)
		}
		without()
		release()
		next, err := d.exclusive(t.Context())
		if err != nil {
			t.Errorf("once it is released: %v", err)
		}
		next()
	})
}
