//go:build unix

package journal_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"bulkhead/engine/journal"
)

// Nobody else may read the state, whatever the umask is and whoever made the file.
func TestStateIsClosedToOthers(t *testing.T) {
	base := filepath.Join(t.TempDir(), "base")
	file := journal.File(base, "EN:GI/NE", "shop")
	look := func(what string) {
		t.Helper()
		for p, want := range map[string]fs.FileMode{file: 0o600, filepath.Dir(file): 0o700,
			filepath.Dir(filepath.Dir(file)): 0o700} {
			fi, err := os.Stat(p)
			if err != nil {
				t.Fatal(err)
			}
			if got := fi.Mode().Perm(); got != want {
				t.Errorf("%s: %s has the mode %v, want %v", what, p, got, want)
			}
		}
	}
	old := syscall.Umask(0)
	defer syscall.Umask(old)
	j := open(base)
	j.Complete("c1")
	j.flush(t)
	look("made")
	for _, p := range []string{filepath.Dir(filepath.Dir(file)), filepath.Dir(file)} {
		if err := os.Chmod(p, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(file, 0o644); err != nil {
		t.Fatal(err)
	}
	open(base).flush(t)
	look("found open")
	if all, _ := filepath.Glob(filepath.Join(filepath.Dir(file), "*")); len(all) != 1 {
		t.Errorf("left behind: %v", all)
	}
}

// A pipe in the place of the state file must not block the start.
func TestPipeInPlaceOfTheStateFile(t *testing.T) {
	base := t.TempDir()
	file := journal.File(base, "EN:GI/NE", "shop")
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(file, 0o600); err != nil {
		t.Fatal(err)
	}
	if j := open(base); len(j.warned) != 1 || !j.Lost() {
		t.Errorf("said %q, lost: %v", j.warned, j.Lost())
	}
}
