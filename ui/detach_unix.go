//go:build unix

package ui

import (
	"os"
	"os/exec"
	"os/signal"
	"syscall"
)

// detach keeps a started program alive and out of our terminal.
func detach(c *exec.Cmd) { c.SysProcAttr = &syscall.SysProcAttr{Setsid: true} }

// notifyResize sends to c whenever the terminal's size changed.
func notifyResize(c chan<- os.Signal) { signal.Notify(c, syscall.SIGWINCH) }
