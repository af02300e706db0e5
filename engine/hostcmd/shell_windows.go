package hostcmd

import (
	"context"
	"os/exec"
	"syscall"
)

// command hands a line for the shell over unquoted: cmd.exe has quoting rules
// of its own.
func command(ctx context.Context, c Command) *exec.Cmd {
	if c.Shell == "" {
		return exec.CommandContext(ctx, c.Args[0], c.Args[1:]...)
	}
	cmd := exec.CommandContext(ctx, "cmd")
	cmd.SysProcAttr = &syscall.SysProcAttr{CmdLine: "cmd /S /C \"" + c.Shell + "\""}
	return cmd
}
