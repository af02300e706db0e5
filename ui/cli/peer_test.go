//go:build unix

package cli

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bulkhead/engine"
	"bulkhead/engine/container"
)

// A control socket of somebody else's gets no command, and its answers reach no terminal.
func TestSocketOfSomebodyElseIsRefused(t *testing.T) {
	run, err := os.MkdirTemp("", "bh") // short, as a socket's path has to be
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(run) })
	dir := filepath.Join(run, "bulkhead")
	path := filepath.Join(dir, "other.sock")
	if _, err := dialOwn(t.Context(), path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without a folder: %v", err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := dialOwn(t.Context(), path)
	if err != nil {
		t.Fatalf("our own: %v", err)
	}
	c.Close()
	accepted := make(chan struct{}, 8)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			accepted <- struct{}{}
			c.Close()
		}
	}()
	<-accepted // ours
	refused := func(what, want string) {
		t.Helper()
		var stranger *strangerError
		if _, err := dialOwn(t.Context(), path); !errors.As(err, &stranger) ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", what, err)
		}
		for _, verb := range []string{"stop", "restart", "down"} {
			code, out, errs := outputsIn(t, run,
				neighbour{in: engine.Instance{Service: "a", Replica: 1, State: engine.StateRunning}}, verb)
			if code != exitFailed || out != "" || !strings.Contains(errs, "is not used: "+want) ||
				strings.Count(errs, "\n") != 1 {
				t.Errorf("%s, %s: code %d, %q %q", what, verb, code, out, errs)
			}
		}
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.Chmod(dir, 0o777))
	refused("an open folder", "its folder is open to others")
	must(os.Chmod(dir, 0o700))
	must(os.Chmod(path, 0o666))
	refused("an open socket", "others may write to it")
	must(os.Chmod(path, 0o600))
	if os.Getuid() == 0 {
		must(os.Lchown(path, 4711, 4711))
		refused("a socket of somebody else's", "it belongs to somebody else")
		must(os.Lchown(path, 0, 0))
		must(os.Lchown(dir, 4711, 4711))
		refused("a folder of somebody else's", "its folder belongs to somebody else")
		must(os.Lchown(dir, 0, 0))
	}
	if len(accepted) > 0 {
		t.Error("it was connected to")
	}
}

// outputsIn runs a verb where the runtime folder is run, and returns what it wrote.
func outputsIn(t *testing.T, run string, rt engine.Runtime, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	t.Chdir(t.TempDir())
	var out, errs bytes.Buffer
	code = Main(t.Context(), append([]string{"-p", "other"}, args...), Parts{
		Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errs,
		Environ: []string{"XDG_RUNTIME_DIR=" + run, "XDG_STATE_HOME=" + t.TempDir()},
		Connect: func(context.Context, ConnectOptions) (engine.Runtime, container.Builder, error) {
			return rt, nil, nil
		},
	})
	return code, out.String(), errs.String()
}
