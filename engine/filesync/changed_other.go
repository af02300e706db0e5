//go:build !linux && !darwin

package filesync

import (
	"errors"
	"io/fs"
	"syscall"
)

// changed is 0: here no time tells of every change, so that files whose times
// tie are compared by content.
func changed(fs.FileInfo) int64 { return 0 }

// inode is 0: not known here.
func inode(fs.FileInfo) uint64 { return 0 }

// notAFolder says whether an error means that something on the way to a path is
// not a folder.
func notAFolder(err error) bool { return errors.Is(err, syscall.ENOTDIR) }
