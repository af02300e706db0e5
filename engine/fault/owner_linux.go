package fault

import (
	"os"
	"strconv"
	"strings"
	"syscall"
)

// bootID tells this boot of the machine from all others.
func bootID() string {
	b, _ := os.ReadFile("/proc/sys/kernel/random/boot_id") // "" where there is none
	return strings.TrimSpace(string(b))
}

// birth is when a process started, in ticks since the boot: pids are used again. "" when it is gone.
func birth(pid int) string {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return ""
	}
	// The name of the program, in parentheses, may hold anything.
	fields := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	if len(fields) < 20 {
		return ""
	}
	return fields[19]
}

func processRuns(pid int) bool {
	err := syscall.Kill(pid, 0)
	return err == nil || err == syscall.EPERM
}
