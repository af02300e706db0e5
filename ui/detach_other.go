//go:build !unix

package ui

import (
	"os"
	"os/exec"
)

// detach does nothing here: a started program outlives us anyway.
func detach(*exec.Cmd) {}

// notifyResize does nothing: this system has no signal for it.
func notifyResize(chan<- os.Signal) {}
