//go:build unix

package engine

import (
	"context"
	"os/exec"
	"syscall"
)

// shell runs a line as sh would, in a process group of its own, so that a cancelled command takes its children along.
func shell(ctx context.Context, line string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "sh", "-c", line)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	return cmd
}
