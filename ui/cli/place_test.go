package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The XDG specification has relative folders ignored; and accounts without a home have HOME=/dev/null.
func TestFoldersOfTheEnvironmentAreAbsolute(t *testing.T) {
	home := t.TempDir()
	dir := func(vars ...string) string {
		return newEnvironment(append([]string{"LOCALAPPDATA="}, vars...)).stateDir()
	}
	below := filepath.Join(home, ".local", "state", "bulkhead")
	for want, vars := range map[string][]string{
		below:                             {"HOME=" + home, "XDG_STATE_HOME=state"},
		filepath.Join(home, "s/bulkhead"): {"HOME=" + home, "XDG_STATE_HOME=" + filepath.Join(home, "s")},
		"":                                {"HOME=" + os.DevNull},
		filepath.Join(home, "none/.local/state/bulkhead"): {"HOME=" + filepath.Join(home, "none")},
	} {
		if got := dir(vars...); got != want {
			t.Errorf("%v: %q, want %q", vars, got, want)
		}
	}
	at := newEnvironment([]string{"HOME=" + home, "XDG_RUNTIME_DIR=run"}).socketPath("shop")
	if !strings.HasPrefix(at, filepath.Clean(os.TempDir())) {
		t.Errorf("the control socket is at %s", at)
	}
	lock := newEnvironment([]string{"HOME=" + home, "XDG_RUNTIME_DIR=run"}).watchLock("shop")
	if !filepath.IsAbs(lock.path) {
		t.Errorf("the lock of the watcher is at %s", lock.path)
	}
}
