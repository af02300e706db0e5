//go:build unix

package docker

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestDockerConfigThatIsAPipeIsAnError(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"config.json", "ca.pem"} {
		if err := syscall.Mkfifo(filepath.Join(dir, name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("DOCKER_HOST", "")
	t.Setenv("DOCKER_CONTEXT", "")
	if _, err := findEndpoint(Options{ConfigDir: dir}); err == nil || !strings.Contains(err.Error(),
		"is a pipe") {
		t.Errorf("config.json: %v", err)
	}
	if _, err := readTLS(dir, false); err == nil || !strings.Contains(err.Error(), "is a pipe") {
		t.Errorf("ca.pem: %v", err)
	}
}
