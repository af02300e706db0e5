//go:build unix

package hostcmd

import (
	"context"
	"os/exec"
	"syscall"
)

// command puts the program in a process group of its own, so that the end of
// ctx takes its children along.
func command(ctx context.Context, c Command) *exec.Cmd {
	args := c.Args
	if c.Shell != "" {
		args = []string{"sh", "-c", c.Shell}
	}
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	return cmd
}
