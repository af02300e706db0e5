package cli

import (
	"context"
	"io"
	"os"
	"strings"
	"testing"

	"bulkhead/engine"
	"bulkhead/engine/container"
	"bulkhead/engine/container/memory"
)

// acts are the calls of a runtime that change something.
var acts = []string{"Create", "Start", "Stop", "Kill", "Remove", "Restart", "Pause", "Unpause",
	"Rename", "Exec", "CopyTo",
	"Delete", "SetLimits", "EnsureNetwork", "EnsureVolume", "RemoveNetworks", "RemoveVolumes",
	"RemoveImage", "Pull"}

func acted(rt *memory.Runtime) (n int) {
	for _, method := range acts {
		n += rt.Calls(method)
	}
	return n
}

// --dry-run is a flag of every verb: none of them does anything to a project that runs.
func TestDryRunOfNoVerbDoesAnything(t *testing.T) {
	t.Chdir(t.TempDir())
	const file = "name: dry\nservices:\n  a: {image: x, command: [loop]}\n  b: {image: x, command: [loop]}\n"
	if err := os.WriteFile("compose.yaml", []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"exec -T a true", "fault a kill", "fault a latency=1s", "heal",
		"drill --hold 1s", "tap", "demo --tour",
		"run -T a true", "rm -f", "kill a", "stop", "restart", "pause", "scale a=2",
		"down -v --rmi all", "up -d --force-recreate", "create --force-recreate"} {
		t.Run(line, func(t *testing.T) {
			env := []string{"XDG_RUNTIME_DIR=" + t.TempDir(), "XDG_STATE_HOME=" + t.TempDir(),
				"HOME=" + t.TempDir()}
			rt := memory.New()
			defer rt.Close()
			rt.Put("x", memory.Image{Command: []string{"loop"}})
			run := func(line string) (int, string) {
				errs := &lockedBuffer{}
				a := newApp(Parts{Stdin: strings.NewReader(""), Stdout: io.Discard, Stderr: errs, Environ: env,
					Connect: func(context.Context, ConnectOptions) (engine.Runtime, container.Builder, error) {
						return rt, muteBuilder{}, nil
					}})
				return a.run(t.Context(), strings.Fields(line)), errs.String()
			}
			if code, errs := run("up -d"); code != 0 {
				t.Fatalf("up: %s", errs)
			}
			before := acted(rt)
			_, errs := run("--dry-run " + line)
			if n := acted(rt) - before; n != 0 {
				t.Errorf("%d calls that change something; stderr:\n%s", n, errs)
			}
		})
	}
}
