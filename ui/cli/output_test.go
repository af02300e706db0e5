package cli

import (
	"bytes"
	"context"
	"os"
	"strings"
	"syscall"
	"testing"

	"bulkhead/engine"
	"bulkhead/engine/container"
)

// failing is an output stream that takes nothing.
type failing struct{ err error }

func (f failing) Write([]byte) (int, error) {
	return 0, &os.PathError{Op: "write", Path: "/dev/stdout", Err: f.err}
}

// Output that is not where it was to go is exit code 1, whatever the verb; a reader that has gone is not.
func TestOutputThatCannotBeWrittenIsAnError(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("compose.yaml", []byte("name: p\nservices: {a: {image: x}}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range []string{"version", "--version", "--help", "up --help", "config",
		"config --hash *", "config --json", "trust", "trust --list", "ps", "ps --json", "ps -q",
		"logs", "logs --json", "doctor", "completion bash", "version --short", "version -f json", "keys"} {
		for _, c := range []struct {
			err  error
			code int
		}{{syscall.ENOSPC, exitFailed}, {syscall.EPIPE, exitDone}} {
			var errs bytes.Buffer
			n := neighbour{in: engine.Instance{Service: "a", Replica: 1, State: engine.StateRunning}}
			code := Main(t.Context(), strings.Fields(args), Parts{
				Stdin: strings.NewReader(""), Stdout: failing{c.err}, Stderr: &errs,
				Environ: []string{"XDG_RUNTIME_DIR=" + t.TempDir(), "XDG_STATE_HOME=" + t.TempDir(),
					"HOME=" + t.TempDir()},
				Keys: func() (string, error) { return "keys:\n", nil },
				Connect: func(context.Context, ConnectOptions) (engine.Runtime, container.Builder, error) {
					return n, nil, nil
				},
			})
			says := strings.Contains(errs.String(), "write the output")
			if n := strings.Count(errs.String(), syscall.ENOSPC.Error()); n > 1 {
				t.Errorf("%s: it is said %d times: %s", args, n, errs.String())
			}
			if args == "doctor" && c.code == exitDone {
				code, c.code = 0, 0 // it finds what is missing here
			}
			if code != c.code || says != (c.code == exitFailed) {
				t.Errorf("%s, %v: code %d, want %d; %s", args, c.err, code, c.code, errs.String())
			}
		}
	}
}
