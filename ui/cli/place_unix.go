//go:build unix

package cli

import (
	"errors"
	"syscall"
)

// closable says that a folder can be closed to others by its mode.
const closable = true

// processExists says whether there is a process of this number, whoever's it is.
func processExists(pid int) bool {
	err := syscall.Kill(pid, 0)
	return err == nil || errors.Is(err, syscall.EPERM)
}
