package docker

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/moby/sys/signal"
	"golang.org/x/sys/unix"

	"bulkhead/engine/container"
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
		return -1, errNoAccess
	}
	// Asked after the folder is open: if the process is the container's now, then so is the folder.
	if !isOf(pid, id) {
		unix.Close(fd)
		return -1, errNoAccess
	}
	return fd, nil
}

// within opens a path below root. Links are followed as the container's processes
// would, so none leads out.
func within(root int, name string, flags int) (int, error) {
	return unix.Openat2(root, path.Join(".", name), &unix.OpenHow{
		Flags:   uint64(flags | unix.O_CLOEXEC),
		Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS,
	})
}

// deleteIn removes names below a folder of a running container, and what is below
// them. errNoAccess when it cannot be done from here.
func deleteIn(pid int, id, below string, names []string) error {
	root, err := openRoot(pid, id)
	if err != nil {
		return err
	}
	defer unix.Close(root)
	top, err := within(root, below, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW)
	if done, err := classifyOpenErr(below, err); done || err != nil {
		return err
	}
	defer unix.Close(top)
	for _, name := range names {
		if err := deleteAt(top, name); err != nil {
			return err
		}
	}
	return nil
}

// classifyOpenErr reads the error of opening a folder: done means that there is
// nothing to delete in it.
func classifyOpenErr(name string, err error) (done bool, _ error) {
	switch {
	case err == nil:
		return false, nil
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENOTDIR), errors.Is(err, unix.ELOOP):
		return true, nil // gone already, with its parent; or a link has taken the place of one
	case errors.Is(err, unix.ENOSYS), errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		return false, errNoAccess // a kernel before 5.6, or not root
	}
	return false, fmt.Errorf("%s: %w", name, err)
}

func deleteAt(top int, name string) error {
	parent, err := unix.Openat2(top, path.Dir(name), &unix.OpenHow{
		Flags:   unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS,
	})
	if done, err := classifyOpenErr(name, err); done || err != nil {
		return err
	}
	defer unix.Close(parent)
	// os.Root follows no link on its way down; its own root is the folder that is open already.
	folder, err := os.OpenRoot(fmt.Sprintf("/proc/self/fd/%d", parent))
	if err != nil {
		return errNoAccess
	}
	defer folder.Close()
	if err := folder.RemoveAll(path.Base(name)); err != nil {
		if errors.Is(err, fs.ErrPermission) && os.Geteuid() != 0 {
			return errNoAccess
		}
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// statIn looks at absolute paths in a running container. errNoAccess when it cannot
// be done from here.
func statIn(pid int, id string, paths []string) (map[string]container.Entry, error) {
	root, err := openRoot(pid, id)
	if err != nil {
		return nil, err
	}
	defer unix.Close(root)
	all := make(map[string]container.Entry, len(paths))
	for _, p := range paths {
		fd, err := within(root, p, unix.O_PATH|unix.O_NOFOLLOW)
		if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP) {
			continue
		}
		if err != nil {
			return nil, errNoAccess
		}
		f := os.NewFile(uintptr(fd), p)
		fi, err := f.Stat()
		if err == nil {
			e := container.Entry{Mode: fi.Mode(), Size: fi.Size()}
			if fi.Mode()&fs.ModeSymlink != 0 {
				b := make([]byte, unix.PathMax)
				n, _ := unix.Readlinkat(fd, "", b) // without it, it is a link all the same
				e.Link = string(b[:max(0, n)])
			}
			all[p] = e
		}
		f.Close()
		if err != nil {
			return nil, errNoAccess
		}
	}
	return all, nil
}

// ownerIn finds the owner of a clean absolute path or of its nearest existing
// parent, in a running container.
func ownerIn(pid int, id, name string) (uid, gid int, err error) {
	if !sameIDs(pid) {
		return 0, 0, errNoAccess
	}
	root, err := openRoot(pid, id)
	if err != nil {
		return 0, 0, err
	}
	defer unix.Close(root)
	for ; ; name = path.Dir(name) {
		fd, err := within(root, name, unix.O_PATH)
		if (errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR)) && name != "/" {
			continue
		}
		if err != nil {
			return 0, 0, errNoAccess
		}
		var st unix.Stat_t
		err = unix.Fstat(fd, &st)
		unix.Close(fd)
		if err != nil {
			return 0, 0, errNoAccess
		}
		return int(st.Uid), int(st.Gid), nil
	}
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
	case "docker-init", "tini", "tini-static", "dumb-init", "catatonit", "pid1", "podman-init":
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
