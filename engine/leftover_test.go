package engine_test

import (
	"os/exec"
	"strings"
	"testing"
)

// docker runs the engine's own command line: what somebody does behind our back.
func (s *stage) docker(args ...string) string {
	s.t.Helper()
	out, err := exec.Command("docker", args...).CombinedOutput()
	if err != nil {
		s.t.Fatalf("docker %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// needDocker skips a test that needs the command line.
func needDocker(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("docker"); err != nil {
		t.Skip("needs the docker command line")
	}
}

func composed(services string) map[string]string {
	return map[string]string{"compose.yaml": strings.NewReplacer("IMAGE", baseImage, "LOOP", loop).Replace("services:\n" + services)}
}
