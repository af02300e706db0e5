//go:build unix

package cli

import (
	"errors"
	"syscall"
)

// closable says that a folder can be closed to others by its mode.
const closable = true

// processExists says whether a process of this number runs, whoever's it is. One that has ended runs no
// more, though whoever started it has not asked how yet.
func processExists(pid int) bool {
	if state, _ := processStat(pid); state == "Z" || state == "X" {
		return false
	}
	err := syscall.Kill(pid, 0)
	return err == nil || errors.Is(err, syscall.EPERM)
}
