//go:build !linux && !darwin && !windows

package watch

import (
	"errors"
	"syscall"
)

// listenToParents says that a kernel watch on the folder above a root is
// cheap. kqueue opens every file in a watched folder, so that the regular look
// at the roots has to do.
const listenToParents = false

// silent names the filesystem of path if changes that are made elsewhere cause
// no notices here; none is known on this system.
func silent(string) string { return "" }

// outOfWatches says whether err means that the system refuses more watches.
func outOfWatches(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}

// moreWatches is the remedy for outOfWatches.
func moreWatches() string { return "raise the limit of open files: ulimit -n 65536" }

// moreInstances is the remedy for when the system has no watcher left at all.
func moreInstances() string { return "raise the limit of open files: ulimit -n 65536" }
