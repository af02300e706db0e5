package hostfile

import (
	"os"

	"golang.org/x/sys/unix"
)

// ofKernel says whether a file is not on a disk, but what the kernel answers when it is read: some of
// these wait for ever, and some are gone once they were read, as its log is.
func ofKernel(f *os.File) bool {
	var fs unix.Statfs_t
	if unix.Fstatfs(int(f.Fd()), &fs) != nil {
		return false
	}
	switch fs.Type {
	case unix.PROC_SUPER_MAGIC, unix.TRACEFS_MAGIC, unix.DEBUGFS_MAGIC, unix.SYSFS_MAGIC:
		return true
	}
	return false
}
