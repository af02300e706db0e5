//go:build unix

package filesync

import (
	"path/filepath"
	"syscall"
	"testing"
)

// A pipe in the place of a file would hold up a lane for ever, and with it
// every stop.
func TestPipesAreNotOpened(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(file, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := sumOf(file); err == nil {
		t.Error("a pipe was hashed")
	}
}
