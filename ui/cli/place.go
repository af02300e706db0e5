package cli

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"syscall"

	"github.com/gofrs/flock"

	"bulkhead/engine/hostfile"
)

// maxSocket is how long the path of a unix socket may be: 104 bytes with the final zero on macOS
// and the BSDs, 108 on Linux.
const maxSocket = 103

// stateDir is where generations and sync records are kept, "" without a home folder.
func (e *environment) stateDir() string { return StateDir(e.lines) }

// StateDir is bulkhead's folder for what outlives a run: $XDG_STATE_HOME/bulkhead, else below the home folder; "" where
// there is none.
func StateDir(env []string) string {
	e := variables(env)
	switch {
	case filepath.IsAbs(e["XDG_STATE_HOME"]): // the XDG specification has relative ones ignored
		return filepath.Join(e["XDG_STATE_HOME"], "bulkhead")
	case runtime.GOOS == "windows" && e["LOCALAPPDATA"] != "":
		return filepath.Join(e["LOCALAPPDATA"], "bulkhead")
	case e["HOME"] != "" && !notFolder(e["HOME"]):
		return filepath.Join(e["HOME"], ".local", "state", "bulkhead")
	}
	return ""
}

// notFolder says whether something else than a folder stands at a path: accounts without a home have
// HOME=/dev/null.
func notFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && !info.IsDir() || errors.Is(err, syscall.ENOTDIR)
}

// socketPath is where the control socket of a project is.
func (e *environment) socketPath(project string) string {
	temp := filepath.Join(os.TempDir(), fmt.Sprintf("bulkhead-%d", os.Getuid()))
	dir := temp
	if run := e.get("XDG_RUNTIME_DIR"); filepath.IsAbs(run) {
		dir = filepath.Join(run, "bulkhead")
	}
	sum := sha256.Sum256([]byte(project))
	short := hex.EncodeToString(sum[:8]) + ".sock"
	for _, path := range []string{filepath.Join(dir, project+".sock"), filepath.Join(dir, short),
		filepath.Join(temp, short)} {
		if len(path) <= maxSocket {
			return path
		}
	}
	return filepath.Join("/tmp", filepath.Base(temp), short)
}

// errRunning means that another process holds a project.
var errRunning = errors.New(
	"another bulkhead runs it already; see it with `bulkhead ps` and `bulkhead logs -f`, or end that one first")

// errUnresponsive means that another process holds a project and does not say anything.
var errUnresponsive = errors.New("another bulkhead runs it and does not answer; " +
	"where it was stopped (ctrl+z), `fg` in its terminal lets it go on, else end its process")

// claim makes this process the one that runs a project: it takes its lock, and listens on path, its
// control socket. A socket that a killed process left behind is replaced. release returns both.
func claim(path, project string) (l net.Listener, release func(), err error) {
	dir := filepath.Dir(path)
	if err := hostfile.PrivateDir(dir); err != nil {
		var owner *hostfile.OwnerError
		if errors.As(err, &owner) {
			return nil, nil, &strangerError{path, "its folder belongs to somebody else"}
		}
		return nil, nil, fmt.Errorf("make the folder of the control socket: %w", err)
	}
	// In a temporary directory anybody could have made a folder of this name before us.
	if info, err := os.Lstat(dir); err != nil || !info.IsDir() || !hostfile.Ours(info) {
		return nil, nil, &strangerError{path, "its folder belongs to somebody else"}
	}
	free, err := takeLock(path + ".lock")
	if errors.Is(err, errRunning) {
		return nil, nil, err
	}
	if err != nil {
		return nil, nil, fmt.Errorf("lock project %s: %w", project, err)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		free()
		return nil, nil, fmt.Errorf("replace the control socket: %w", err)
	}
	l, err = net.Listen("unix", path)
	if err != nil {
		free()
		return nil, nil, fmt.Errorf("listen on the control socket: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		l.Close()
		free()
		return nil, nil, fmt.Errorf("close the control socket to others: %w", err)
	}
	return l, free, nil
}

// takeLock takes the lock of a project: errRunning when another process has it. The system releases
// it when its holder dies, which it does not do with a socket. free removes the file.
func takeLock(path string) (free func(), err error) {
	for {
		lock := flock.New(path)
		held, err := lock.TryLock()
		if err != nil {
			return nil, err
		}
		if !held {
			return nil, errRunning
		}
		// Its last holder may have removed the file between our opening and our locking it: that lock protects nothing.
		mine, err := lock.Stat()
		if err == nil {
			if now, serr := os.Stat(path); serr == nil && os.SameFile(mine, now) {
				return func() {
					_ = os.Remove(path) // an empty file that stays does no harm
					_ = lock.Unlock()   // it ends with the process anyway
				}, nil
			}
		}
		if uerr := lock.Unlock(); uerr != nil || err != nil {
			return nil, errors.Join(err, uerr)
		}
	}
}
