//go:build unix

package docker

import (
	"os/exec"
	"syscall"
)

// ownGroup keeps ctrl+c of the terminal from a program: the connection to the
// engine is needed to stop the project.
func ownGroup(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }
