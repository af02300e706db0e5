package watch

import (
	"path/filepath"
	"strings"

	"golang.org/x/sys/windows"
)

// listenToParents says that a kernel watch on the folder above a root is
// cheap. The handle keeps the folder from being renamed, so that the regular
// look at the roots has to do.
const listenToParents = false

// silent names the filesystem of path if changes that are made elsewhere cause
// no notices here, or not for sure: a server's, or a Linux's by its \\wsl$ name.
func silent(path string) string {
	volume := filepath.VolumeName(path)
	if strings.HasPrefix(volume, `\\`) {
		return volume
	}
	root, err := windows.UTF16PtrFromString(volume + `\`)
	if err != nil {
		return "" // no such name; it fails more clearly when it is registered
	}
	if windows.GetDriveType(root) == windows.DRIVE_REMOTE {
		return "the network drive " + volume
	}
	return ""
}

// outOfWatches says whether err means that the system refuses more watches;
// Windows has no limit of its own for them.
func outOfWatches(error) bool { return false }

// moreWatches is the remedy for outOfWatches.
func moreWatches() string { return "" }

// moreInstances is the remedy for when the system has no watcher left at all.
func moreInstances() string { return "" }
