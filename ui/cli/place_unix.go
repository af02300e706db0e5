//go:build unix

package cli

import (
	"io/fs"
	"os"
	"syscall"
)

// ours says whether a file belongs to the user who runs this.
func ours(info fs.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(st.Uid) == os.Getuid()
}
