package process

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"bulkhead/engine/agent"
	"bulkhead/engine/agent/supervisor"
)

// Crash makes the program of the container crash, and greets once that is done.
func Crash(signal string, out io.Writer) error {
	reply := agent.Reply{Version: agent.Version}
	if err := crash(signal); err != nil {
		reply.Error = err.Error()
	}
	return agent.NewWriter(out).Write(reply)
}

func crash(signal string) error {
	s := unix.SignalNum(signal)
	if s == 0 {
		return fmt.Errorf("%s is not a signal", signal)
	}
	pid := program()
	// The kernel keeps from process 1 what it does not handle, and a program may handle what it is
	// sent: what is left then is a fault in the program itself.
	// another user's: it may be traced all the same
	if err := unix.Kill(pid, s); err != nil && !errors.Is(err, unix.EPERM) {
		return fmt.Errorf("send %s to process %d: %w", signal, pid, err)
	}
	for range 10 {
		if gone(pid) {
			return nil
		}
		time.Sleep(50 * time.Millisecond) // nothing tells of the end of a process that is not a child
	}
	return fault(pid)
}

// program is the process that the container is there for: process 1, or the child of an init.
func program() int {
	comm, _ := os.ReadFile("/proc/1/comm") // without a name it is no init
	switch strings.TrimSpace(string(comm)) {
	case "docker-init", "tini", "dumb-init", "catatonit", supervisor.Name:
	default:
		return 1
	}
	all, _ := filepath.Glob("/proc/[0-9]*/stat")
	least := 1
	for _, file := range all {
		b, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		fields := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err == nil && len(fields) > 1 && fields[1] == "1" && (least == 1 || pid < least) {
			least = pid
		}
	}
	return least
}

func gone(pid int) bool { return errors.Is(unix.Kill(pid, 0), unix.ESRCH) }

// fault lets a process go on at an address where nothing is. That is a signal which no process may
// ignore, process 1 neither.
func fault(pid int) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.PtraceAttach(pid); err != nil {
		return fmt.Errorf("stop process %d: %w", pid, err)
	}
	var status unix.WaitStatus
	if _, err := unix.Wait4(pid, &status, unix.WALL, nil); err != nil {
		return fmt.Errorf("wait for process %d: %w", pid, err)
	}
	err := nowhere(pid)
	if err != nil {
		err = fmt.Errorf("change process %d: %w", pid, err)
	}
	return errors.Join(err, unix.PtraceDetach(pid))
}
