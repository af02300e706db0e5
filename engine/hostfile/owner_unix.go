//go:build unix

package hostfile

import (
	"io/fs"
	"os"
	"syscall"
)

// Ours says whether a file belongs to the user who runs this.
func Ours(info fs.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(st.Uid) == os.Getuid()
}
