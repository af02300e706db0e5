package filesync

import (
	"errors"
	"io/fs"
	"syscall"
)

// changed is when a file was last changed in any way, its times and its mode
// included; 0 when the system does not tell.
func changed(fi fs.FileInfo) int64 {
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		return st.Ctimespec.Nano()
	}
	return 0
}

// inode is the number that tells a file from every other one of its file system.
func inode(fi fs.FileInfo) uint64 {
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		return st.Ino
	}
	return 0
}

// notAFolder says whether an error means that something on the way to a path is
// not a folder.
func notAFolder(err error) bool { return errors.Is(err, syscall.ENOTDIR) }
