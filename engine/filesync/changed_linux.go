package filesync

import (
	"io/fs"
	"syscall"
)

// changed is when a file was last changed in any way, its times and its mode
// included; 0 when the system does not tell.
func changed(fi fs.FileInfo) int64 {
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		return st.Ctim.Nano()
	}
	return 0
}
