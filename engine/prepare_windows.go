package engine

import (
	"context"
	"os/exec"
	"syscall"
)

// shell runs a line as cmd.exe would; the line is handed over unquoted, since cmd.exe has quoting rules of its own.
func shell(ctx context.Context, line string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "cmd")
	cmd.SysProcAttr = &syscall.SysProcAttr{CmdLine: "cmd /S /C \"" + line + "\""}
	return cmd
}
