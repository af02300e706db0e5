package filesync

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"bulkhead/engine/journal"
	"bulkhead/engine/project"
)

// preparing is a service whose prepare command watches a folder, and has begun.
func preparing(t *testing.T, dir string) (*Syncer, *project.Service) {
	t.Helper()
	put(t, dir, "lib/known", "1")
	conf := &project.Service{Name: "a", Dir: dir, Extra: project.Extra{
		Prepare: &project.Prepare{Run: "make", Watch: []string{filepath.Join(dir, "lib")}}}}
	y := New(nil, journal.Open(journal.Options{}), nil)
	y.Prepares.Begin(conf)
	return y, conf
}

// What is saved after the end of a command has listed its files, and is left to
// that end to find out, is found by one more look.
func TestSaveWhileAPrepareEndsIsNotLost(t *testing.T) {
	dir := t.TempDir()
	y, conf := preparing(t, dir)
	end := y.Prepares.lookAtEnd(conf)
	fresh := put(t, dir, "lib/fresh", "1")
	if y.Prepares.Asks(conf, []string{fresh}) {
		t.Fatal("the command may have written it itself")
	}
	if _, _, ok := y.Prepares.endWith(conf, end, false); ok {
		t.Fatal("it ended by a look that came before the save")
	}
	fingerprint, again := y.Prepares.End(conf)
	y.Prepares.Record("a", fingerprint)
	if !again || !y.Prepares.Needs(conf) {
		t.Errorf("again: %v, needs to run: %v", again, y.Prepares.Needs(conf))
	}

	// However often somebody saves, it comes to an end, and runs again.
	y.Prepares.Begin(conf)
	end = y.Prepares.lookAtEnd(conf)
	put(t, dir, "lib/fresh", "longer")
	y.Prepares.Asks(conf, []string{put(t, dir, "lib/other", "1")})
	if _, again, ok := y.Prepares.endWith(conf, end, true); !ok || !again {
		t.Errorf("the last look: ended %v, again %v", ok, again)
	}
	if !y.Prepares.Asks(conf, []string{fresh}) {
		t.Error("what the run did not see asks for nothing once it has ended")
	}
}

// A run that begins while the files are listed is another one than was asked of.
func TestSaveWhileAPrepareBeginsIsAskedOfThatRun(t *testing.T) {
	dir := t.TempDir()
	y, conf := preparing(t, dir)
	known := filepath.Join(dir, "lib/known")
	y.Prepares.End(conf)
	asks, atOnce, runs := y.Prepares.asksAtOnce("a", []string{known})
	if asks || atOnce {
		t.Fatalf("while none runs: asks %v, known at once %v", asks, atOnce)
	}
	now := prepareInputs(conf)
	y.Prepares.Begin(conf)
	if _, ok := y.Prepares.asksSince("a", runs, now); ok {
		t.Error("answered of the run before")
	}
	if !y.Prepares.Asks(conf, []string{known}) {
		t.Error("an input that is saved while the command runs asks for nothing")
	}
	y.Prepares.End(conf)
	if y.Prepares.Asks(conf, []string{known}) {
		t.Error("all is as the run left it")
	}
}

// Whenever a file is saved around the end of a run: its notice asks for another
// run, or the end does.
func TestEverySaveAroundTheEndOfAPrepareCounts(t *testing.T) {
	dir := t.TempDir()
	y, conf := preparing(t, dir)
	for i := range 100 {
		put(t, dir, fmt.Sprint("lib/more/", i), "1")
	}
	for try := range 100 {
		y.Prepares.Begin(conf)
		var asks, again bool
		var fingerprint string
		var wg sync.WaitGroup
		fresh := filepath.Join(dir, "lib/more", fmt.Sprint("fresh", try))
		wg.Go(func() {
			if err := os.WriteFile(fresh, nil, 0o644); err != nil {
				t.Error(err)
			}
			asks = y.Prepares.Asks(conf, []string{fresh})
		})
		wg.Go(func() { fingerprint, again = y.Prepares.End(conf) })
		wg.Wait()
		y.Prepares.Record("a", fingerprint)
		if !asks && !again {
			t.Fatalf("try %d: the save is lost; the command needs to run: %v", try, y.Prepares.Needs(conf))
		}
	}
}

// What the command itself writes has it run once more, and then no more.
func TestPrepareThatWritesWhatItWatchesSettles(t *testing.T) {
	dir := t.TempDir()
	y, conf := preparing(t, dir)
	for run, want := range []bool{true, false, false} {
		if run > 0 {
			y.Prepares.Begin(conf)
		}
		out := put(t, dir, "lib/out", "made")
		if y.Prepares.Asks(conf, []string{out}) {
			t.Errorf("run %d: what it writes asks for another", run)
		}
		fingerprint, again := y.Prepares.End(conf)
		y.Prepares.Record("a", fingerprint)
		if again != want || y.Prepares.Asks(conf, []string{out}) || y.Prepares.Needs(conf) != want {
			t.Errorf("run %d: again %v, want %v; needs to run: %v", run, again, want, y.Prepares.Needs(conf))
		}
	}
}
