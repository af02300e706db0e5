//go:build linux || darwin

package filesync

import (
	"io/fs"
	"syscall"
)

// inode is the number that tells a file from every other one of its file system.
func inode(fi fs.FileInfo) uint64 {
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		return st.Ino
	}
	return 0
}
