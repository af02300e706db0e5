package watch

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"
)

// listenToParents says that a kernel watch on the folder above a root is
// cheap. kqueue opens every file in it, and FSEvents tells of all below it, so
// that the regular look at the roots has to do.
const listenToParents = false

// silent names the filesystem of path if changes that are made elsewhere (on a
// server) cause no notices here; empty for all others.
func silent(path string) string {
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return "" // gone already, or about to fail more clearly when registered
	}
	if st.Flags&unix.MNT_LOCAL != 0 {
		return ""
	}
	return unix.ByteSliceToString(st.Fstypename[:])
}

// outOfWatches says whether err means that the system refuses more watches.
func outOfWatches(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}

// moreWatches is the remedy for outOfWatches.
func moreWatches() string { return "raise the limit of open files: ulimit -n 65536" }

// moreInstances is the remedy for when the system has no watcher left at all.
func moreInstances() string { return moreWatches() }
