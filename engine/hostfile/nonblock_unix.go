//go:build unix

package hostfile

import "syscall"

// nonblock lets the open of a pipe without a writer return at once.
const nonblock = syscall.O_NONBLOCK
