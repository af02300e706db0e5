package cli

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"bulkhead/engine"
)

// A socket whose file and folder are ours, and where somebody else answers: only the kernel knows.
func TestPeerThatIsSomebodyElseIsRefused(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can listen as another user")
	}
	run, err := os.MkdirTemp("", "bh") // short, as a socket's path has to be
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(run) })
	dir := filepath.Join(run, "bulkhead")
	path := filepath.Join(dir, "other.sock")
	const stranger = 4711
	for _, err := range []error{os.Mkdir(dir, 0o700), os.Chmod(run, 0o711), os.Chown(dir, stranger, 0)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	listening := make(chan net.Listener)
	failed := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // the thread has the user, and ends with this goroutine
		if _, _, no := syscall.RawSyscall(syscall.SYS_SETRESUID, ^uintptr(0), stranger, ^uintptr(0)); no != 0 {
			failed <- no
			return
		}
		l, err := net.Listen("unix", path)
		if err != nil {
			failed <- err
			return
		}
		listening <- l
	}()
	select {
	case l := <-listening:
		defer l.Close()
	case err := <-failed:
		t.Fatal(err)
	}
	for _, err := range []error{os.Chown(dir, 0, 0), os.Chown(path, 0, 0), os.Chmod(path, 0o600)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	var refused *strangerError
	if _, err := dialOwn(t.Context(), path); !errors.As(err, &refused) {
		t.Errorf("somebody else answers: %v", err)
	}
	code, out, errs := outputsIn(t, run, neighbour{in: engine.Instance{Service: "a", Replica: 1,
		State: engine.StateRunning}}, "stop")
	if code != exitFailed || out != "" || !strings.Contains(errs, "is not used: ") {
		t.Errorf("code %d, %q %q", code, out, errs)
	}
}
