//go:build unix

package watch

import (
	"io/fs"
	"syscall"
)

// fileID tells files apart whatever path leads to them.
type fileID struct{ dev, ino uint64 }

func idOf(fi fs.FileInfo) (fileID, bool) {
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok {
		return fileID{}, false
	}
	return fileID{uint64(st.Dev), uint64(st.Ino)}, true
}

func sameDevice(a, b fileID) bool { return a.dev == b.dev }
