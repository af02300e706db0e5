//go:build unix

package project

import (
	"path/filepath"
	"syscall"
	"testing"

	"github.com/compose-spec/compose-go/v2/types"
)

// A pipe in the place of a file would hold up a lane for ever, and with it every stop.
func TestPipesAreNotOpened(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(file, 0o600); err != nil {
		t.Fatal(err)
	}
	p := &Project{Secrets: map[string]types.SecretConfig{"s": {File: file}}}
	s := &Service{Name: "a"}
	s.Config.Secrets = []types.ServiceSecretConfig{{Source: "s"}}
	if got := ContentHash(p, s); got != "" {
		t.Errorf("the hash of a pipe is %q", got)
	}
}
