package tail

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// linuxSignalName returns "" for a number without a name, as that of a real-time signal.
func linuxSignalName(n int) string { return unix.SignalName(syscall.Signal(n)) }
