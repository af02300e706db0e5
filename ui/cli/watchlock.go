package cli

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"

	"bulkhead/engine/hostfile"
)

// watchLock is the pid file by which `docker compose watch` keeps a second watcher off a project. We take it and go
// by it, so that no edit is carried out twice.
type watchLock struct{ path string }

// watchLock is that of a project, without a path where there is no home folder.
func (e *environment) watchLock(project string) watchLock {
	dir, home := e.get("XDG_RUNTIME_DIR"), e.get("HOME")
	switch {
	case filepath.IsAbs(dir): // the XDG specification has relative ones ignored
	case runtime.GOOS == "windows" && e.get("LOCALAPPDATA") != "":
		dir = filepath.Join(e.get("LOCALAPPDATA"), "docker-compose")
	case home == "":
		return watchLock{}
	case runtime.GOOS == "darwin":
		dir = filepath.Join(home, "Library", "Application Support", "com.docker.compose")
	default:
		dir = filepath.Join(home, ".docker", "docker-compose")
	}
	return watchLock{filepath.Join(dir, project+".pid")}
}

// take takes the lock, unless a watcher that runs has it: by is its process then. A file that cannot be written
// keeps nobody from watching.
func (l watchLock) take() (by int, release func()) {
	release = func() {}
	if l.path == "" {
		return 0, release
	}
	if by = l.holder(); by != 0 {
		return by, release
	}
	_ = os.MkdirAll(filepath.Dir(l.path), 0o700)
	mine := []byte(strconv.Itoa(os.Getpid()))
	if os.WriteFile(l.path, mine, 0o644) != nil { // as docker compose writes it
		return 0, release
	}
	return 0, func() {
		if now, err := hostfile.Read(l.path, 64); err == nil && bytes.Equal(now, mine) {
			_ = os.Remove(l.path) // one that stays is that of a dead process
		}
	}
}

// holder is the process that has the lock, 0 when none has: docker compose leaves the file behind, and its number
// may be another program's by now.
func (l watchLock) holder() int {
	text, err := hostfile.Read(l.path, 64)
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(string(bytes.TrimSpace(text)))
	if err != nil || pid < 1 || pid == os.Getpid() || !processExists(pid) {
		return 0
	}
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err == nil && !bytes.Contains(line, []byte("compose")) && !bytes.Contains(line, []byte("bulkhead")) {
		return 0
	}
	return pid
}
