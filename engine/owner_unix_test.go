//go:build unix

package engine_test

import (
	"fmt"
	"io/fs"
	"syscall"
)

// owned is to whom a file belongs, as "user:group".
func owned(fi fs.FileInfo) string {
	st := fi.Sys().(*syscall.Stat_t)
	return fmt.Sprintf("%d:%d", st.Uid, st.Gid)
}
