package docker

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/moby/sys/signal"
	"golang.org/x/sys/unix"

	"bulkhead/engine/agent/files"
	"bulkhead/engine/agent/supervisor"
)

// kernelRelease is the running kernel's, "" when it cannot be asked.
func kernelRelease() string {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return ""
	}
	return unix.ByteSliceToString(u.Release[:])
}

// isOf reports whether a process belongs to a container: a pid may be another
// process's by now, and if bulkhead runs in a container itself, then the engine's
// pids are not ours.
func isOf(pid int, id string) bool {
	b, err := readSmall(fmt.Sprintf("/proc/%d/cgroup", pid))
	return err == nil && len(id) == 64 && bytes.Contains(b, []byte(id))
}

// openRoot opens a container's root folder as its processes see it, mounts included.
func openRoot(pid int, id string) (int, error) {
	fd, err := unix.Open(fmt.Sprintf("/proc/%d/root", pid), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, files.ErrNoAccess
	}
	// Asked after the folder is open: if the process is the container's now, then so is the folder.
	if !isOf(pid, id) {
		unix.Close(fd)
		return -1, files.ErrNoAccess
	}
	return fd, nil
}

// askDirectly asks the agent that is process 1 of a container, for root of its machine. Everybody else
// gets files.ErrNoAccess, with nothing done, and so does who meets an older agent.
func askDirectly(
	ctx context.Context, pid int, id string, ended func(supervisor.End), args ...string,
) (supervisor.Report, error) {
	r, err := supervisor.Ask(ctx, pid, func() bool { return isOf(pid, id) }, ended, args...)
	if errors.Is(err, supervisor.ErrNotReached) {
		return r, files.ErrNoAccess
	}
	return r, err
}

// ownRoot is the files of a container of this machine, for root. Everybody else gets
// files.ErrNoAccess, with nothing done.
type ownRoot struct {
	pid int
	id  string
}

// do calls f with the open root. ids says that user ids matter: those in the container must be the host's.
func (o ownRoot) do(ids bool, f func(root int) error) error {
	if ids && !sameIDs(o.pid) {
		return files.ErrNoAccess
	}
	root, err := openRoot(o.pid, o.id)
	if err != nil {
		return err
	}
	defer unix.Close(root)
	return f(root)
}

func (o ownRoot) Unpack(_ context.Context, below string, r io.Reader, replace bool) error {
	if os.Geteuid() != 0 {
		return files.ErrNoAccess
	}
	return o.do(true, func(root int) error {
		if !files.Contains(root) {
			return files.ErrNoAccess
		}
		return files.Unpack(root, path.Clean("/"+below), r, replace)
	})
}

func (o ownRoot) Delete(_ context.Context, below string, names []string) error {
	return o.do(false, func(root int) error { return files.Delete(root, below, names) })
}

func (o ownRoot) Stat(_ context.Context, paths []string) (all map[string]files.Entry, err error) {
	err = o.do(false, func(root int) error { all, err = files.Stat(root, paths); return err })
	return all, err
}

func (o ownRoot) Owner(_ context.Context, name string) (uid, gid int, err error) {
	err = o.do(true, func(root int) error { uid, gid, err = files.Owner(root, name); return err })
	return uid, gid, err
}

// sameIDs reports whether user ids in the container are the host's, which user namespaces change.
func sameIDs(pid int) bool {
	theirs, err := os.ReadFile(fmt.Sprintf("/proc/%d/uid_map", pid))
	if err != nil {
		return false
	}
	ours, err := os.ReadFile("/proc/self/uid_map")
	return err == nil && bytes.Equal(theirs, ours)
}

// process is how a process reacts to signals, from its status in /proc.
type process struct {
	name                     string
	caught, blocked, ignored uint64 // bit n-1 is signal n
	inner                    int    // pid in its own namespace
}

func readProcess(pid int) (process, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return process{}, err
	}
	return parseProcess(b)
}

func parseProcess(status []byte) (process, error) {
	p := process{inner: -1}
	seen := 0
	for line := range strings.Lines(string(status)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		value = strings.TrimSpace(value)
		mask := func(m *uint64) error {
			n, err := strconv.ParseUint(value, 16, 64)
			*m = n
			seen++
			return err
		}
		var err error
		switch key {
		case "Name":
			p.name = value
		case "SigCgt":
			err = mask(&p.caught)
		case "SigBlk":
			err = mask(&p.blocked)
		case "SigIgn":
			err = mask(&p.ignored)
		case "NSpid":
			if ids := strings.Fields(value); len(ids) > 0 {
				p.inner, err = strconv.Atoi(ids[len(ids)-1])
			}
		}
		if err != nil {
			return p, fmt.Errorf("status line %q: %w", line, err)
		}
	}
	if seen < 3 {
		return p, errors.New("status has no signal masks")
	}
	return p, nil
}

// forwards reports whether a process is an init that passes signals on to its child.
func (p process) forwards() bool {
	switch p.name {
	case "docker-init", "tini", "tini-static", "dumb-init", "catatonit", "pid1", "podman-init", supervisor.Name:
		return true
	}
	return false
}

// handlesStop: process 1 of a pid namespace gets a signal only if it wants it; any
// other process ends by it unless it ignores it. A blocked signal is waited for by
// sigwait or signalfd.
func handlesStop(pid int, id, stopSignal string) (handles, known bool) {
	n := unix.SIGTERM
	if stopSignal != "" {
		s, err := signal.ParseSignal(stopSignal)
		if err != nil {
			return false, false
		}
		n = s
	}
	if n == unix.SIGKILL {
		return true, true // nothing to wait for: it ends at once
	}
	p, err := readProcess(pid)
	if err != nil || !isOf(pid, id) {
		return false, false
	}
	bit := uint64(1) << (uint(n) - 1)
	if p.forwards() {
		return childHandles(pid, bit)
	}
	if p.inner < 0 {
		return false, false // a kernel before 4.1
	}
	return p.takes(bit), true
}

func (p process) takes(bit uint64) bool {
	if (p.caught|p.blocked)&bit != 0 {
		return true
	}
	return p.inner != 1 && p.ignored&bit == 0
}

// childHandles looks at the children that an init forwards to.
func childHandles(pid int, bit uint64) (handles, known bool) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		return false, false
	}
	children := strings.Fields(string(b))
	if len(children) == 0 {
		return false, false // it has not forked yet, or its child has ended
	}
	child, err := strconv.Atoi(children[0]) // the command; those after it are orphans that it took in
	if err != nil {
		return false, false
	}
	p, err := readProcess(child)
	if err != nil || p.inner < 0 {
		return false, false
	}
	return p.takes(bit), true
}

// listener finds the process that listens on a port of this machine: "nginx
// (process 1234)", "" when it cannot be found.
func listener(port int) string {
	inodes := map[string]bool{}
	for _, file := range []string{"tcp", "tcp6", "udp", "udp6"} {
		b, err := os.ReadFile("/proc/net/" + file)
		if err != nil {
			continue
		}
		for _, inode := range listening(b, port, strings.HasPrefix(file, "udp")) {
			inodes["socket:["+inode+"]"] = true
		}
	}
	if len(inodes) == 0 {
		return ""
	}
	fds, err := filepath.Glob("/proc/[0-9]*/fd/*")
	if err != nil {
		return ""
	}
	for _, fd := range fds {
		if target, err := os.Readlink(fd); err == nil && inodes[target] {
			pid := strings.Split(fd, "/")[2]
			name, err := os.ReadFile("/proc/" + pid + "/comm")
			if err != nil {
				continue
			}
			return fmt.Sprintf("%s (process %s)", bytes.TrimSpace(name), pid)
		}
	}
	return "a process of another user"
}

// listening finds the sockets on a port in a table of /proc/net. The states are
// those of TCP; UDP's open one is 07.
func listening(table []byte, port int, udp bool) []string {
	state := "0A"
	if udp {
		state = "07"
	}
	suffix := fmt.Sprintf(":%04X", port)
	var inodes []string
	for s := bufio.NewScanner(bytes.NewReader(table)); s.Scan(); {
		f := strings.Fields(s.Text())
		if len(f) > 9 && strings.HasSuffix(f[1], suffix) && f[3] == state {
			inodes = append(inodes, f[9])
		}
	}
	return inodes
}
