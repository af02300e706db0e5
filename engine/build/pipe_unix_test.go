//go:build unix

package build

import (
	"path/filepath"
	"syscall"
	"testing"
)

// A secret's file is looked at when the build is set up, and read when it asks: it may be a pipe by then.
func TestSecretThatBecameAPipeIsAnError(t *testing.T) {
	file := filepath.Join(t.TempDir(), "secret")
	if err := syscall.Mkfifo(file, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := (secretStore{"s": {ID: "s", File: file}}).GetSecret(t.Context(), "s"); err == nil {
		t.Error("a pipe was read")
	}
}
